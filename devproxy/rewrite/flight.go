package rewrite

import (
	"bytes"
	"strings"
)

// A flight follows the rows of React's payload for server components, "Flight" in
// React's source. A row is an identifier in hexadecimal digits, a colon, and either
// text that ends with a line or, after a letter, a length in bytes, a comma and that
// many bytes:
//
//	1:["$","a",null,{"href":"$2"}]
//	2:T5c8,a text that is long
//
// A URL of another length in a row with a length would move the limits of all rows
// after it. So a long text becomes a row that ends with a line, with the text in it as a
// JSON string: React reads the same from both. Rows of bytes pass as they are. Both
// happen while the rows flow by; only a length is held back.
type flight struct {
	emit func(b []byte, verbatim bool) error
	// inScript is set if the rows are in a string of a script.
	inScript bool

	part   flightPart
	digits int   // of the identifier, or of the length
	length int64 // of the row, or what is left of it
	first  bool  // nothing of the text has been seen
	header []byte
	lost   bool // what follows cannot be understood, and passes
	out    []byte
}

// flightPart is a part of a row.
type flightPart int

const (
	inIdentifier flightPart = iota
	inTag
	inLine      // of a row that ends with one
	inLength    // of a row of bytes
	inLengthOfT // of a text
	inBytes
	inText
)

const (
	// maxIdentifier is the length of the longest identifier of a row, in bytes, with
	// a mark that Next.js puts before the first.
	maxIdentifier = 20
	// maxLength is the most digits of a length.
	maxLength = 8
	// lengths are the letters of rows of bytes: arrays of numbers and buffers.
	lengths = "AObUSsLlGgMmVo"
)

// run follows bytes that are written as they are, and emits them.
func (f *flight) run(b []byte) error {
	for len(b) > 0 && !f.lost {
		n, err := f.step(b)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return f.put(b)
}

// step follows at least one byte of b, and returns how many.
func (f *flight) step(b []byte) (n int, err error) {
	switch f.part {
	case inLine:
		n = bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			return len(b), f.put(b)
		}
		f.part, f.digits = inIdentifier, 0
		return n, f.put(b[:n])
	case inBytes:
		n = int(min(int64(len(b)), f.length))
		f.spend(n)
		return n, f.emit(b[:n], true)
	case inText:
		n = int(min(int64(len(b)), f.length))
		return n, f.text(b[:n])
	}
	return 1, f.char(b[0], b[:1])
}

// char follows a character outside of a content. written is how it is written.
func (f *flight) char(c byte, written []byte) error {
	switch f.part {
	case inIdentifier:
		if f.digits++; f.digits > maxIdentifier {
			f.lost = true
		}
		if c == ':' {
			f.part = inTag
		}
	case inTag:
		f.digits, f.length = 0, 0
		switch {
		case c == 'T':
			f.part, f.header = inLengthOfT, append(f.header[:0], written...)
			return nil
		case strings.IndexByte(lengths, c) >= 0:
			f.part = inLength
		case c == '\n':
			f.part = inIdentifier
		default:
			f.part = inLine
		}
	default:
		return f.lengthChar(c, written)
	}
	return f.put(written)
}

// lengthChar follows a digit of a length, or the comma after it.
func (f *flight) lengthChar(c byte, written []byte) error {
	if f.part == inLengthOfT {
		f.header = append(f.header, written...)
	}
	digit := hexDigit(c)
	f.digits++
	switch {
	case c == ',' && f.part == inLength:
		f.part = inBytes
		f.spend(0)
		return f.put(written)
	case c == ',':
		f.part, f.first = inText, true
		if err := f.put([]byte(f.quote())); err != nil {
			return err
		}
		return f.endText()
	case digit < 0 || f.digits > maxLength:
		f.lost = true
		if f.part == inLengthOfT {
			written = f.header
		}
	case f.part == inLengthOfT:
		f.length = f.length<<4 | int64(digit)
		return nil
	}
	f.length = f.length<<4 | int64(max(digit, 0))
	return f.put(written)
}

// spend counts bytes of a row.
func (f *flight) spend(n int) {
	if f.length -= int64(n); f.length == 0 {
		f.part, f.digits = inIdentifier, 0
	}
}

// text emits a part of a long text as that of a JSON string.
func (f *flight) text(b []byte) error {
	f.begin(rune(b[0]))
	for _, c := range b {
		f.out = f.appendJSON(f.out, c, []byte{c})
	}
	f.length -= int64(len(b))
	if err := f.put(f.out); err != nil {
		return err
	}
	return f.endText()
}

// begin starts f.out. A "$" at the beginning of a string has a meaning in a row.
func (f *flight) begin(c rune) {
	f.out = f.out[:0]
	if f.first && c == '$' {
		f.out = append(f.out, '$')
	}
	f.first = false
}

// endText ends the string and the row, if nothing of its text is left.
func (f *flight) endText() error {
	if f.length > 0 {
		return nil
	}
	f.part, f.digits = inIdentifier, 0
	if f.inScript {
		return f.put([]byte(`\"\n`))
	}
	return f.put([]byte("\"\n"))
}

// escape follows a character that a string of a script writes as an escape. size is
// the length of the character in UTF-8.
func (f *flight) escape(c rune, size int, written []byte) error {
	switch {
	case f.lost:
		return f.put(written)
	case f.part == inText && int64(size) <= f.length:
		f.begin(c)
		if c < 0x80 {
			f.out = f.appendJSON(f.out, byte(c), written)
		} else {
			f.out = append(f.out, written...)
		}
		f.length -= int64(size)
		if err := f.put(f.out); err != nil {
			return err
		}
		return f.endText()
	case f.part == inBytes && int64(size) <= f.length:
		f.spend(size)
		return f.emit(written, true)
	case f.part == inText, f.part == inBytes: // half a character
		f.lost = true
		return f.put(written)
	case f.part == inLine && c == '\n':
		f.part, f.digits = inIdentifier, 0
		return f.put(written)
	case f.part == inLine:
		return f.put(written)
	case c >= 0x80:
		f.lost = true
		return f.put(written)
	}
	return f.char(byte(c), written)
}

// quote returns a quote as the rows write it.
func (f *flight) quote() string {
	if f.inScript {
		return `\"`
	}
	return `"`
}

// appendJSON appends a byte of a text as it is written in a JSON string, which is itself
// in a string of a script if the rows are. written is how the byte was written.
func (f *flight) appendJSON(out []byte, c byte, written []byte) []byte {
	const digits = "0123456789abcdef"
	switch {
	case c == '"' || c == '\\':
		if out = append(out, '\\'); f.inScript {
			out = append(out, '\\', '\\')
		}
		return append(out, c)
	case c < 0x20:
		if out = append(out, '\\'); f.inScript {
			out = append(out, '\\')
		}
		return append(out, 'u', '0', '0', digits[c>>4], digits[c&15])
	}
	return append(out, written...)
}

func (f *flight) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return f.emit(b, f.lost) // there may be lengths in what cannot be understood
}

// end emits a length that is not complete.
func (f *flight) end() error {
	if f.part != inLengthOfT || f.lost {
		return nil
	}
	f.lost = true
	return f.put(f.header)
}
