package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"unicode"

	"golang.org/x/term"

	"github.com/devproxy/devproxy/hcl"
)

// streams is what a verb reads from and writes to. Verbs never use the process's
// own standard streams, so that tests can replace all three.
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

// maskedWriter masks each Write by itself, since whole lines are written at once.
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
