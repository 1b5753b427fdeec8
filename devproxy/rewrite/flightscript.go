package rewrite

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// flightCalls are the beginnings of the scripts that hand rows to React on the page: those
// of Next.js, and those of rsc-html-stream, which others use. The rows are in the string
// after it, as text or as Base64.
var flightCalls = [...]struct {
	call    string
	base64s bool
}{
	{`self.__next_f.push([1,"`, false},
	{`self.__next_f.push([3,"`, true},
	{`(self.__FLIGHT_DATA||=[]).push("`, false},
	{`(self.__FLIGHT_DATA||=[]).push(Uint8Array.from(atob("`, true},
}

// flightScripts follows the rows in the scripts of a page, and replaces their URLs. One
// row may be in several scripts, and one URL in two: what may be the beginning of a URL
// moves from the end of a string to the beginning of the next one.
type flightScripts struct {
	flight
	names *Names
	// write writes a part of a script; without URLs to replace if it is verbatim.
	write func(b []byte, verbatim bool) error
	// whole is set if every script has to keep what it has.
	whole bool

	within  scriptPart
	pending []byte // what was not decided
	urls    *Text  // nil until there are rows
	decoded []byte // what makes no whole group of Base64 yet
}

// scriptPart is a part of a script.
type scriptPart int

const (
	atStart scriptPart = iota
	inString
	inBase64
	inCode // any other
)

// start begins a script.
func (s *flightScripts) start() { s.within, s.pending = atStart, nil }

// code writes a part of a script that is not of a row.
func (s *flightScripts) code(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return s.write(b, false)
}

// toBase64 is the emit of rows in Base64.
func (s *flightScripts) toBase64(b []byte, _ bool) error {
	s.decoded = append(s.decoded, b...)
	return nil
}

// replaced gets the rows with their URLs replaced.
type replaced struct{ *flightScripts }

// Write implements io.Writer.
func (r replaced) Write(b []byte) (int, error) { return len(b), r.write(b, true) }

// free gives up what was held back.
func (s *flightScripts) free() {
	if s.urls != nil {
		s.urls.Free()
		s.urls = nil
	}
}

// script emits a part of a script. end is set for the last one.
func (s *flightScripts) script(b []byte, end bool) error {
	if len(s.pending) > 0 {
		b = append(s.pending, b...)
		s.pending = nil
	}
	for len(b) > 0 && s.within != inCode { // as long as rows may come
		n, err := s.next(b, end)
		if err != nil {
			return err
		}
		if n < 0 {
			s.pending = bytes.Clone(b)
			return nil
		}
		b = b[n:]
	}
	if end && s.within == inBase64 { // the script breaks off
		return s.write(s.encoded(len(s.decoded)), true)
	}
	return s.code(b)
}

// next emits the beginning of b, and returns its length; -1 if more of it is needed.
func (s *flightScripts) next(b []byte, end bool) (int, error) {
	switch s.within {
	case atStart:
		n, part := startOf(b, end)
		if part == atStart {
			return -1, nil
		}
		s.begin(part)
		return n, s.code(b[:n])
	case inBase64:
		return s.base64(b, end)
	}
	n := bytes.IndexAny(b, `"\`)
	switch {
	case n < 0:
		return len(b), s.run(b)
	case n > 0:
		return n, s.run(b[:n])
	case b[0] == '"':
		s.within = inCode
		if s.lost || s.whole {
			if err := s.urls.pass(nil); err != nil {
				return 0, err
			}
		}
		return 1, s.code(b[:1])
	}
	c, size, n := escapeAt(b)
	switch {
	case n > 0:
		return n, s.escape(c, size, b[:n])
	case end: // the script breaks off
		s.within = inCode
		return 0, nil
	}
	return -1, nil
}

// begin begins a part of a script.
func (s *flightScripts) begin(part scriptPart) {
	s.within = part
	if s.inScript = part == inString; s.inScript {
		if s.urls == nil {
			s.urls = NewText(s.names, replaced{s})
		}
		s.emit = s.urls.put
	}
	if part == inBase64 {
		s.emit = s.toBase64
		if s.urls != nil { // which is not the beginning of a URL then
			s.decoded = unescaped(s.urls.buf)
			s.urls.buf, s.urls.known = s.urls.buf[:0], 0
		}
	}
}

// unescaped returns the text that a string of a script has.
func unescaped(b []byte) (text []byte) {
	for len(b) > 0 {
		if b[0] != '\\' {
			text, b = append(text, b[0]), b[1:]
			continue
		}
		c, _, n := escapeAt(b)
		if n == 0 {
			break
		}
		text, b = utf8.AppendRune(text, c), b[n:]
	}
	return text
}

// startOf returns the part of a script that begins after a call with rows, and where;
// inCode if there is none, and atStart if that is undecided.
func startOf(b []byte, end bool) (n int, part scriptPart) {
	part = inCode
	for _, known := range flightCalls {
		switch {
		case bytes.HasPrefix(b, []byte(known.call)) && known.base64s:
			return len(known.call), inBase64
		case bytes.HasPrefix(b, []byte(known.call)):
			return len(known.call), inString
		case bytes.HasPrefix([]byte(known.call), b) && !end:
			part = atStart
		}
	}
	return 0, part
}

// escapeAt reads the escape at the beginning of b: its character, the length of that in
// UTF-8, and the length of the escape; 0 if it is not complete.
func escapeAt(b []byte) (c rune, size, n int) {
	if len(b) < 2 {
		return 0, 0, 0
	}
	switch b[1] {
	case 'b', 't', 'n', 'v', 'f', 'r':
		return '\b' + rune(strings.IndexByte("btnvfr", b[1])), 1, 2 // in the order of ASCII
	case '0':
		return 0, 1, 2
	case 'x':
		return code(b, 2)
	case 'u':
		return code(b, 4)
	}
	if !utf8.FullRune(b[1:]) && len(b) < 1+utf8.UTFMax {
		return 0, 0, 0
	}
	c, size = utf8.DecodeRune(b[1:])
	return c, size, 1 + size
}

// code reads a code point of so many digits.
func code(b []byte, digits int) (c rune, size, n int) {
	if n = 2 + digits; len(b) < n {
		return 0, 0, 0
	}
	value, err := strconv.ParseUint(string(b[2:n]), 16, 16)
	if err != nil { // not an escape
		return rune(b[1]), 1, 2
	}
	switch {
	case value < 0x80:
		return rune(value), 1, n
	case value < 0x800:
		return rune(value), 2, n
	case 0xd800 <= value && value < 0xe000: // one half of a character
		return rune(value), 2, n
	}
	return rune(value), 3, n
}

// base64 emits a part of a string with rows in Base64. Where nothing of them changes, it
// stays as it is.
func (s *flightScripts) base64(b []byte, end bool) (int, error) {
	n := bytes.IndexByte(b, '"')
	last := n >= 0 || end
	if n < 0 {
		n = len(b)
	}
	groups := n &^ 3
	if groups == 0 && !last {
		return -1, nil
	}
	rows, valid := decodeGroups(b[:groups])
	_ = s.run(rows) // toBase64 does not fail
	if valid < groups || last && groups < n {
		s.lost, s.within = true, inCode
		if err := s.write(s.encoded(len(s.decoded)), true); err != nil {
			return 0, err
		}
		return n, s.code(b[valid:n])
	}
	whole := len(s.decoded)
	if last {
		s.within = inCode
	} else {
		whole -= whole % 3
	}
	return groups, s.write(s.encoded(whole), true)
}

// decodeGroups decodes groups of Base64, and returns the length of those that are valid. Each
// may have padding, so that it does not matter which came at once.
func decodeGroups(b []byte) (rows []byte, valid int) {
	for ; valid < len(b); valid += 4 {
		group := b[valid : valid+4]
		decoded, err := base64.StdEncoding.AppendDecode(rows, group)
		if err != nil || bytes.ContainsAny(group, "\r\n") { // which the decoder leaves out
			break
		}
		rows = decoded
	}
	return rows, valid
}

// encoded takes so many bytes of s.decoded, and returns them in Base64.
func (s *flightScripts) encoded(n int) []byte {
	text := base64.StdEncoding.AppendEncode(nil, s.decoded[:n])
	s.decoded = append(s.decoded[:0], s.decoded[n:]...)
	return text
}
