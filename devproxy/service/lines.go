package service

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSequence bounds the parameters of a sequence that sets colours, in bytes.
const maxSequence = 64

// lineReader cuts output, which arrives in pieces of any size, into lines. It keeps
// colours and removes every other control sequence (ECMA-48 section 5). Text after a
// carriage return replaces the line so far, as on a terminal.
type lineReader struct {
	state    readerState
	text     strings.Builder // the line so far, without colours
	colored  strings.Builder
	colors   int    // bytes of sequences in colored
	sequence []byte // the parameters of a control sequence, at most maxSequence
	partial  []byte // the begin of a character in UTF-8
	returned bool   // after a carriage return
}

type readerState byte

const (
	inText         readerState = iota
	inEscape                   // after ESC
	inControl                  // ESC [ …
	inString                   // ESC ] … up to BEL or ESC \
	inStringEscape             // ESC in a control string
)

// feed takes the next bytes, and calls each for every line that ends in them.
func (r *lineReader) feed(p []byte, each func(Line)) {
	for _, c := range p {
		switch {
		case c == '\n': // it ends an unfinished sequence too
			r.flushPartial()
			r.state = inText
			r.pass(each)
		case r.state != inText:
			r.control(c)
		case c >= utf8.RuneSelf:
			r.partial = append(r.partial, c)
			if utf8.FullRune(r.partial) {
				char, size := utf8.DecodeRune(r.partial)
				r.partial = r.partial[:copy(r.partial, r.partial[size:])]
				r.add(char)
			}
		default:
			r.flushPartial()
			r.ascii(c)
		}
		if r.text.Len() >= maxLine {
			r.pass(each)
		}
	}
}

// end passes on a line that has begun and not ended.
func (r *lineReader) end(each func(Line)) {
	r.flushPartial()
	if r.text.Len() > 0 {
		r.pass(each)
	}
}

func (r *lineReader) pass(each func(Line)) {
	line := Line{Text: r.text.String(), Colored: r.colored.String()}
	r.reset()
	each(line)
}

func (r *lineReader) reset() {
	r.text.Reset()
	r.colored.Reset()
	r.colors, r.returned = 0, false
}

func (r *lineReader) ascii(c byte) {
	switch c {
	case 0x1b:
		r.state = inEscape
	case '\r':
		r.returned = true
	case '\t':
		for range 4 {
			r.add(' ')
		}
	default:
		r.add(rune(c))
	}
}

// flushPartial adds each byte of a character that is not complete as U+FFFD.
func (r *lineReader) flushPartial() {
	for range r.partial {
		r.add(utf8.RuneError)
	}
	r.partial = r.partial[:0]
}

// add adds a character that can be seen; others could control the terminal or reorder
// the text.
func (r *lineReader) add(char rune) {
	if !unicode.IsPrint(char) {
		return
	}
	if r.returned {
		r.reset()
	}
	r.text.WriteRune(char)
	r.colored.WriteRune(char)
}

// control takes a byte after ESC.
func (r *lineReader) control(c byte) {
	isEscape := c == 0x1b
	switch r.state {
	case inEscape:
		switch {
		case c == '[':
			r.state, r.sequence = inControl, r.sequence[:0]
		case bytes.IndexByte([]byte("]PX^_"), c) >= 0:
			r.state = inString
		case !isEscape && (c < 0x20 || c > 0x2f): // not an intermediate byte
			r.state = inText
		}
	case inControl:
		switch {
		case isEscape:
			r.state = inEscape
		case 0x40 <= c && c <= 0x7e:
			r.state = inText
			if c == 'm' {
				r.color()
			}
		case len(r.sequence) <= maxSequence:
			r.sequence = append(r.sequence, c)
		}
	case inString, inStringEscape:
		switch {
		case isEscape:
			r.state = inStringEscape
		case c == 0x07 || r.state == inStringEscape && c == '\\':
			r.state = inText
		default:
			r.state = inString
		}
	}
}

// color adds the sequence that sets a style.
func (r *lineReader) color() {
	size := len("\x1b[m") + len(r.sequence)
	if len(r.sequence) > maxSequence || r.colors+size > maxColors || len(bytes.Trim(r.sequence, "0123456789;:")) > 0 {
		return
	}
	if r.returned {
		r.reset()
	}
	r.colors += size
	r.colored.WriteString("\x1b[" + string(r.sequence) + "m")
}
