package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
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
	for _, line := range s.hanging(0, 0, text) {
		fmt.Fprintln(s.Out, line)
	}
}

// indented prints a text in a column of its own.
func (s *streams) indented(indent int, text string) {
	columns, _ := s.size()
	for _, line := range wrapped(text, columns-indent) {
		fmt.Fprintf(s.Out, "%*s%s\n", indent, "", line)
	}
}

// hanging are the lines of a text that begins in column first of its line, and is
// wrapped on a terminal with indent columns before each further line.
func (s *streams) hanging(first, indent int, text string) []string {
	columns, _ := s.size()
	lines := wrapped(strings.Repeat("\x00", first)+text, columns)
	if len(lines) > 1 && indent > 0 {
		rest := wrapped(strings.Join(lines[1:], " "), columns-indent)
		for i := range rest {
			rest[i] = strings.Repeat(" ", indent) + rest[i]
		}
		lines = append(lines[:1], rest...)
	}
	lines[0] = strings.TrimLeft(lines[0], "\x00")
	return lines
}

// note prints a text of minor weight on Err, line by line.
func (s *streams) note(text string) {
	for line := range strings.Lines(text) {
		for _, line := range s.hanging(0, 0, strings.TrimSuffix(line, "\n")) {
			fmt.Fprintln(s.Err, s.dim(line))
		}
	}
}

// event prints on Err what happened at a time.
func (s *streams) event(at time.Time, text string) { s.stamped(at, "  ", text) }

// stamped is event with its own space after the time.
func (s *streams) stamped(at time.Time, space, text string) {
	indent := len("15:04:05") + len(space)
	for i, line := range s.hanging(indent, indent, text) {
		if i == 0 {
			line = s.dim(clock(at)) + space + line
		}
		fmt.Fprintln(s.Err, line)
	}
}

// command prints a text and, below it, the command that it speaks of. A command
// is never wrapped: what is copied must run.
func (s *streams) command(text, command string) {
	s.paragraph(text)
	fmt.Fprintf(s.Out, "  %s\n", s.bold(command))
}

// inlineCommand is command with both on one line where the terminal has room.
func (s *streams) inlineCommand(text, command string) {
	if columns, _ := s.size(); columns > 0 && shownWidth(text+" "+command) > columns {
		s.command(text, command)
		return
	}
	fmt.Fprintf(s.Out, "%s %s\n", text, s.bold(command))
}

// wrapped are the lines of text in so many columns, broken at spaces. Words that
// are longer stay whole. Less than minText columns break nothing.
func wrapped(text string, columns int) []string {
	if columns < minText || shownWidth(text) <= columns {
		return []string{text}
	}
	var lines []string
	line, width := "", 0
	for word := range strings.FieldsSeq(keepItems(text)) {
		n := shownWidth(word)
		if width > 0 && width+1+n > columns {
			lines, line, width = append(lines, line), "", 0
		}
		if width > 0 {
			line, width = line+" ", width+1
		}
		line, width = line+word, width+n
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], noBreak, " ")
	}
	return lines
}

// noBreak stands for a space at which a line is not broken.
const noBreak = "\x01"

// keepItems keeps the words of each item of a list such as "o open · q quit"
// together, with the dot behind them.
func keepItems(text string) string {
	items := strings.Split(text, " · ")
	if len(items) == 1 {
		return text
	}
	for i, item := range items {
		if len(item) <= 2*minText {
			items[i] = strings.ReplaceAll(item, " ", noBreak)
		}
	}
	return strings.Join(items, noBreak+"· ")
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
