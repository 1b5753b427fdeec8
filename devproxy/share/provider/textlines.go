package provider

// maxLine bounds a line, in bytes without control sequences; a longer one is left
// out. JSON with a QR code takes some 15 KB.
const maxLine = 64 << 10

// textLines cuts a server's terminal output, which arrives in pieces of any
// size, into lines without control characters and sequences (ECMA-48 section
// 5). A line that has not ended does not count: its last word may be half of a
// name.
type textLines struct {
	line  []byte
	over  bool // the line is longer than maxLine
	state textState
}

type textState byte

const (
	textPlain        textState = iota
	textEscape                 // after ESC
	textControl                // a control sequence: ESC [ …
	textString                 // a control string: ESC ] … up to BEL or ESC \
	textStringEscape           // ESC in a control string
)

// feed takes the next bytes, and calls each for every line that ends in them.
func (t *textLines) feed(text []byte, each func(line string)) {
	for _, c := range text {
		if c == '\n' || c == '\r' { // it ends an unfinished sequence too
			t.end(each)
			t.state = textPlain
			continue
		}
		state := t.state
		t.state = state.next(c)
		switch {
		case state == textPlain && t.state == textPlain:
			t.add(c)
		case state == textControl && t.state == textPlain && c != 'm':
			// A control sequence that is not a colour moves the cursor or erases:
			// the text after it is somewhere else on the screen.
			t.end(each)
		}
	}
}

// next returns the state after a character that does not end a line.
func (s textState) next(c byte) textState {
	isEscape := c == 0x1b
	switch s {
	case textEscape:
		switch {
		case c == '[':
			return textControl
		case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
			return textString
		case isEscape || 0x20 <= c && c <= 0x2f: // intermediate bytes
			return textEscape
		}
	case textControl:
		if !isEscape && (c < 0x40 || c > 0x7e) {
			return textControl
		}
	case textString, textStringEscape:
		switch {
		case isEscape:
			return textStringEscape
		case c != 0x07 && (s != textStringEscape || c != '\\'):
			return textString
		}
	}
	if isEscape {
		return textEscape
	}
	return textPlain
}

// add adds a character to the line, unless it is a control character.
func (t *textLines) add(c byte) {
	if c == '\t' {
		c = ' '
	}
	if c < 0x20 || c == 0x7f {
		return
	}
	if t.over = t.over || len(t.line) == maxLine; !t.over {
		t.line = append(t.line, c)
	}
}

func (t *textLines) end(each func(line string)) {
	line, over := string(t.line), t.over
	t.line, t.over = t.line[:0], false
	if line != "" && !over {
		each(line)
	}
}
