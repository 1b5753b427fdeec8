package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// errUnattended is the cause of a context that ended because the terminal was
// closed or the reader of the output is gone. No second Ctrl-C can come then.
var errUnattended = errors.New("the terminal or the reader of the output is gone")

// unattendedGrace is how long requests in flight may take in a verb that ends
// unattended.
const unattendedGrace = 30 * time.Second

// attended returns the context and the streams of a verb that runs until it is
// stopped: by Ctrl-C, by SIGTERM, by closing the terminal (SIGHUP) or by closing the
// pipe that it prints to. All of them end the context, so that the verb finishes its
// work and removes its files. release restores the signals.
//
// A SIGHUP that is ignored at the start, as nohup leaves it, stays ignored.
func attended(parent context.Context, s *streams) (ctx context.Context, own *streams, release func()) {
	ctx, end := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	own, releasePipes := s.watched(func() { end(errUnattended) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				end(errUnattended)
			}
			end(nil)
		case <-ctx.Done():
		}
	}()
	return ctx, own, func() {
		end(nil)
		<-done
		signal.Stop(signals)
		releasePipes()
	}
}

// watched returns s with closed called once no one reads Out or Err any more. Until
// release is called a closed pipe does not end the program, as the Go runtime would
// do for these two.
func (s *streams) watched(closed func()) (own *streams, release func()) {
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // the failed write is handled instead
	copied := *s
	copied.Out, copied.Err = closableWriter{s.Out, closed}, closableWriter{s.Err, closed}
	return &copied, func() { signal.Stop(pipes) }
}

// stopSignals are the signals that ask a program to stop.
func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// interruptible returns the RunE of a verb whose context ends at a stop signal.
func interruptible(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), stopSignals()...)
		defer stop()
		return run(ctx, args)
	}
}

// closableWriter calls closed once what is written cannot be read any more. A
// terminal that is gone does not count: SIGHUP reports that, and a program that has
// to survive its terminal (disown) goes on without it.
type closableWriter struct {
	to     io.Writer
	closed func()
}

func (w closableWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if isClosedPipe(err) {
		w.closed()
	}
	return n, err
}
