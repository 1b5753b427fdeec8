package provider

// maxLine bounds a line, in bytes without control sequences; a longer one is left
// out. JSON with a QR code takes some 15 KB.
const maxLine = 64 << 10

// textLines cuts what a server writes for a terminal into lines, however it
// arrives, without control characters and sequences (ECMA-48 section 5). A line
// that has not ended is none: its last word may be half of a name.
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

// feed takes the next bytes, and gives each line that ends in them to each.
func (t *textLines) feed(text []byte, each func(line string)) {
	for _, c := range text {
		t.state = t.next(c, each)
	}
}

func (t *textLines) next(c byte, each func(line string)) textState {
	if c == '\n' || c == '\r' { // it ends an unfinished sequence too
		t.end(each)
		return textPlain
	}
	switch t.state {
	case textEscape:
		return t.escape(c)
	case textControl:
		return t.control(c, each)
	case textString, textStringEscape:
		return inString(t.state, c)
	}
	if c == 0x1b {
		return textEscape
	}
	t.add(c)
	return textPlain
}

func (t *textLines) escape(c byte) textState {
	switch {
	case c == '[':
		return textControl
	case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
		return textString
	case c == 0x1b || 0x20 <= c && c <= 0x2f: // intermediate bytes
		return textEscape
	}
	return textPlain
}

// control is inside a control sequence. One that is not a colour moves the cursor
// or erases: what follows is somewhere else on the screen.
func (t *textLines) control(c byte, each func(line string)) textState {
	switch {
	case c == 0x1b:
		return textEscape
	case c < 0x40 || c > 0x7e:
		return textControl
	case c != 'm':
		t.end(each)
	}
	return textPlain
}

func inString(state textState, c byte) textState {
	switch {
	case c == 0x07, state == textStringEscape && c == '\\':
		return textPlain
	case c == 0x1b:
		return textStringEscape
	}
	return textString
}

func (t *textLines) add(c byte) {
	switch {
	case c == '\t':
		c = ' '
	case c < 0x20 || c == 0x7f:
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
