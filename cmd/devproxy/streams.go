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
	// Size reports the columns and rows of the terminal that Out is now, which
	// change when a window is resized. Nil, and a size of 0, mean unknown or not a
	// terminal.
	Size func() (columns, rows int)
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
		s.Size = func() (columns, rows int) {
			columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
			if err != nil {
				return 0, 0
			}
			return columns, rows
		}
	}
	s.Color = s.OutTTY && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return s
}

// size is what Size reports; 0 without one.
func (s *streams) size() (columns, rows int) {
	if s.Size == nil {
		return 0, 0
	}
	return s.Size()
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
