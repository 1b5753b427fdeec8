package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// errUnattended is the cause of a context that ended because the terminal was
// closed or the reader of the output is gone: no second Ctrl-C can come.
var errUnattended = errors.New("the terminal or the reader of the output is gone")

// unattendedPatience is how long requests in flight have in a verb that ends
// unattended.
const unattendedPatience = 30 * time.Second

// attended is the context and the streams of a verb that runs until someone
// stops it: by Ctrl-C, by SIGTERM, by closing the terminal (SIGHUP) or by closing
// the pipe that the verb prints to. All of them end the context, so that the verb
// finishes what it is doing and removes its files. release gives the signals back.
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

// watched are s with closed called when nobody reads Out or Err any more. Until
// release is called a closed pipe does not end the program, as the Go runtime
// would have it for these two.
func (s *streams) watched(closed func()) (own *streams, release func()) {
	pipes := make(chan os.Signal, 1)
	signal.Notify(pipes, syscall.SIGPIPE) // the failed write is what counts
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

// closableWriter calls closed when nobody can read what is written any more. A
// terminal that is gone does not count: SIGHUP tells of it, and a program that
// was told to survive its terminal (disown) goes on without.
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
