package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// minText is the least room for a text next to its label, in columns: in less it
// is not wrapped.
const minText = 16

// row prints a label, padded to width columns, and a text that is wrapped in its
// own column on a terminal.
func (s *streams) row(label string, width int, text string) {
	indent := len("  ") + width + len("  ")
	columns, _ := s.size()
	lines := wrapped(text, columns-indent)
	fmt.Fprintf(s.Out, "  %s  %s\n", s.dim(pad(label, width)), lines[0])
	for _, line := range lines[1:] {
		fmt.Fprintf(s.Out, "%*s%s\n", indent, "", line)
	}
}

// paragraph prints a text that is wrapped on a terminal.
func (s *streams) paragraph(text string) {
	columns, _ := s.size()
	for _, line := range wrapped(text, columns) {
		fmt.Fprintln(s.Out, line)
	}
}

// command prints a text and, below it, the command that it speaks of. A command
// is never wrapped: what is copied must run.
func (s *streams) command(text, command string) {
	s.paragraph(text)
	fmt.Fprintf(s.Out, "  %s\n", s.bold(command))
}

// wrapped are the lines of text in so many columns, broken at spaces. Words that
// are longer stay whole. Less than minText columns break nothing.
func wrapped(text string, columns int) []string {
	if columns < minText || utf8.RuneCountInString(text) <= columns {
		return []string{text}
	}
	var lines []string
	line, width := "", 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		if width > 0 && width+1+n > columns {
			lines, line, width = append(lines, line), "", 0
		}
		if width > 0 {
			line, width = line+" ", width+1
		}
		line, width = line+word, width+n
	}
	return append(lines, line)
}

// height is the number of rows that text takes on the terminal, where long lines
// are broken.
func (s *streams) height(text string) int {
	columns, _ := s.size()
	height := 0
	for line := range strings.Lines(text) {
		height++
		if width := shownWidth(strings.TrimSuffix(line, "\n")); columns > 0 && width > columns {
			height += (width - 1) / columns
		}
	}
	return height
}

// shownWidth is the number of columns of text without its escape sequences for
// colours (ECMA-48 section 8.3.117).
func shownWidth(text string) int {
	width, escape := 0, false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = !unicode.IsLetter(r)
		default:
			width++
		}
	}
	return width
}
