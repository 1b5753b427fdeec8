package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// streams is what a verb reads from and writes to. Verbs never touch the
// process's own standard streams, so that a test can hold all three.
type streams struct {
	In  io.Reader
	Out io.Writer // the result of the verb
	Err io.Writer // everything else

	// OutTTY, ErrTTY and InTTY say whether Out, Err and In are a terminal.
	OutTTY, ErrTTY, InTTY bool
	// Width is the number of columns of the terminal behind Out; 0 means
	// unknown or not a terminal.
	Width int
	// Color says whether escape sequences may be written to Out and Err.
	Color bool
}

// processStreams are the streams of this process. NO_COLOR (no-color.org) and
// TERM=dumb turn colour off.
func processStreams() *streams {
	s := &streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	s.InTTY = term.IsTerminal(int(os.Stdin.Fd()))
	s.OutTTY = term.IsTerminal(int(os.Stdout.Fd()))
	s.ErrTTY = term.IsTerminal(int(os.Stderr.Fd()))
	if s.OutTTY {
		s.Width, _, _ = term.GetSize(int(os.Stdout.Fd()))
	}
	s.Color = s.OutTTY && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
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
