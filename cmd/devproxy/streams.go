package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/devproxy/devproxy/hcl"
)

// streams are the input and output of a verb. Verbs never use the process's own
// standard streams, so that tests can replace all three.
type streams struct {
	In  io.Reader
	Out io.Writer // the result of the verb
	Err io.Writer // everything else

	// OutTTY, ErrTTY and InTTY say whether Out, Err and In are a terminal.
	OutTTY, ErrTTY, InTTY bool
	// Size returns the current columns and rows of Out's terminal. Nil, and a size
	// of 0, mean that it is unknown or not a terminal.
	Size func() (columns, rows int)
	// Color says whether escape sequences may be written to Out and Err.
	Color bool
}

// processStreams returns the streams of this process. NO_COLOR (no-color.org) and
// TERM=dumb turn colour off.
func processStreams() *streams {
	s := &streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	s.InTTY = term.IsTerminal(int(os.Stdin.Fd()))
	s.OutTTY = term.IsTerminal(int(os.Stdout.Fd()))
	s.ErrTTY = term.IsTerminal(int(os.Stderr.Fd()))
	if s.OutTTY {
		s.Size = func() (columns, rows int) {
			columns, rows, _ = term.GetSize(int(os.Stdout.Fd())) // 0 after an error
			return columns, rows
		}
	}
	s.Color = s.OutTTY && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// columns returns the width of the terminal; 0 means any width.
func (s *streams) columns() int {
	columns, _ := s.size()
	return columns
}

func (s *streams) size() (columns, rows int) {
	if s.Size == nil {
		return 0, 0
	}
	return s.Size()
}

// json prints value on Out as one line. URLs in it keep their "&".
func (s *streams) json(value any) error {
	encoder := json.NewEncoder(s.Out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// style wraps text in an SGR sequence (ECMA-48 section 8.3.117) when colour is on.
func (s *streams) style(sgr, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return fmt.Sprintf("\x1b[%sm%s\x1b[0m", sgr, text)
}

func (s *streams) bold(text string) string   { return s.style("1", text) }
func (s *streams) dim(text string) string    { return s.style("2", text) }
func (s *streams) red(text string) string    { return s.style("31", text) }
func (s *streams) green(text string) string  { return s.style("32", text) }
func (s *streams) yellow(text string) string { return s.style("33", text) }

// printable replaces what could control the terminal in text that others write.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

// masked returns s with values of the environment replaced in everything written.
func (s *streams) masked(mask *atomic.Pointer[hcl.Mask]) *streams {
	masked := *s
	masked.Out, masked.Err = maskedWriter{s.Out, mask}, maskedWriter{s.Err, mask}
	return &masked
}

// maskedWriter masks each Write separately, since whole lines are written at
// once.
type maskedWriter struct {
	to   io.Writer
	mask *atomic.Pointer[hcl.Mask]
}

func (w maskedWriter) Write(p []byte) (int, error) {
	mask := w.mask.Load()
	text := string(p)
	if strings.HasPrefix(text, "{") {
		text = mask.JSON(text)
	} else {
		text = mask.Text(text)
	}
	if _, err := io.WriteString(w.to, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

// errUnattended is the cause of a context that ended because the terminal or
// the output was closed. No second Ctrl-C can come then.
var errUnattended = errors.New("the terminal or the output was closed")

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

// closableWriter calls closed once nothing reads the output any more. A closed
// terminal does not count: SIGHUP reports that, and a program that has to
// survive its terminal (disown) continues without it.
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

// ignoringClosedPipes returns s without the errors of pipes that nothing reads: a process
// in the background goes on.
func (s *streams) ignoringClosedPipes() *streams {
	copied := *s
	copied.Out, copied.Err = pipeWriter{s.Out}, pipeWriter{s.Err}
	return &copied
}

type pipeWriter struct{ to io.Writer }

func (w pipeWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if isClosedPipe(err) {
		return len(p), nil
	}
	return n, err
}

// canAsk reports whether a person can answer a question.
func canAsk(s *streams, asJSON bool) bool {
	return !asJSON && s.InTTY && (s.OutTTY || s.ErrTTY)
}

// confirm asks a question on the terminal. Only yes is yes.
func confirm(ctx context.Context, s *streams, question string) bool {
	answer, _ := prompt(ctx, s, question)
	return answer == "y" || answer == "yes"
}

// prompt asks a question on the terminal and returns the answer in lower case. ok is
// false at the end of the input, and when ctx ends.
func prompt(ctx context.Context, s *streams, question string) (answer string, ok bool) {
	fmt.Fprint(s.Err, question)
	read := make(chan string, 1)
	go func() { read <- readLine(s.In) }() // a read of a terminal ends with the process
	select {
	case line := <-read:
		answer, ok = strings.CutSuffix(line, "\n")
	case <-ctx.Done():
	}
	if !ok {
		fmt.Fprintln(s.Err) // the terminal does not end the line
	}
	return strings.ToLower(strings.TrimSpace(answer)), ok
}

// readLine reads a line with its "\n", if it has one. It does not read past the
// line, since the rest may be for others.
func readLine(in io.Reader) string {
	var line []byte
	for b := make([]byte, 1); len(line) < 100; {
		n, err := in.Read(b)
		line = append(line, b[:n]...)
		if err != nil || bytes.HasSuffix(line, []byte("\n")) {
			break
		}
	}
	return string(line)
}

// readHidden asks for a line of a terminal, which does not show it. Ctrl-C ends the
// reading and restores the terminal: the signal alone would end devproxy and leave a
// shell that shows nothing.
func readHidden(s *streams, terminal *os.File, question string) ([]byte, error) {
	fmt.Fprint(s.Err, question)
	defer fmt.Fprintln(s.Err) // the terminal does not show Enter either
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot read the terminal: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)

	var line []byte
	read := make(chan error, 1)
	go func() { // a read of a terminal cannot be interrupted and ends with the process
		var err error
		line, err = term.ReadPassword(fd)
		read <- err
	}()
	select {
	case err := <-read:
		if err != nil {
			return nil, fmt.Errorf("cannot read the terminal: %w", err)
		}
		return line, nil
	case <-signals:
		if err := term.Restore(fd, before); err != nil {
			return nil, failf("stty echo", "the terminal does not show what you type: %w", err)
		}
		return nil, exit(exitFailed)
	}
}
