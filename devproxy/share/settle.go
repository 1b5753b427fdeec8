package share

import (
	"unicode"
	"unicode/utf8"
)

// maxRounds bounds how often a path is read again. Percent-encoding, however
// deep, takes one round; only mixing it with other disguises takes more.
const maxRounds = 8

// settle applies read to path until it changes nothing; false when it still
// does after maxRounds, which only somebody does who looks for a way in.
func settle(path string, read func(string) string) (string, bool) {
	for range maxRounds {
		next := read(path)
		if next == path {
			return path, true
		}
		path = next
	}
	return "", false
}

// unescape decodes percent-encoding until none is left, in one pass: what an
// escape gives may complete the escape before it. %uXXXX, which JavaScript's
// unescape reads, is one too. What is no escape stays as it is.
func unescape(path string) string {
	out := make([]byte, 0, len(path))
	for i := range len(path) {
		out = append(out, path[i])
		for shrunk := true; shrunk; {
			out, shrunk = reduce(out)
		}
	}
	return string(out)
}

// reduce decodes the escape that out ends in, if it does.
func reduce(out []byte) ([]byte, bool) {
	if n := len(out) - 3; n >= 0 && out[n] == '%' {
		if value, ok := hexadecimal(out[n+1:]); ok {
			return append(out[:n], byte(value)), true
		}
	}
	if n := len(out) - 6; n >= 0 && out[n] == '%' && out[n+1]|0x20 == 'u' {
		if value, ok := hexadecimal(out[n+2:]); ok {
			return utf8.AppendRune(out[:n], value), true
		}
	}
	return out, false
}

func hexadecimal(digits []byte) (value rune, ok bool) {
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		value = value<<4 | rune(c)
	}
	return value, true
}

// fold reads text as the most lenient program does: in lower case, overlong
// UTF-8 (which RFC 3629 section 3 forbids, and some decode) as what it stands
// for, wide forms of ASCII as ASCII.
func fold(text string) string {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			r, size = overlong(text[i:])
		}
		if size == 0 { // a byte that is nothing in any reading
			out, size = append(out, text[i]), 1
		} else {
			out = utf8.AppendRune(out, narrow(unicode.ToLower(r)))
		}
		i += size
	}
	return string(out)
}

// overlong is the rune that text begins with when it is longer than need be;
// size 0 means that it does not begin with one.
func overlong(text string) (r rune, size int) {
	switch lead := text[0]; {
	case lead&0xe0 == 0xc0:
		r, size = rune(lead&0x1f), 2
	case lead&0xf0 == 0xe0:
		r, size = rune(lead&0x0f), 3
	case lead&0xf8 == 0xf0:
		r, size = rune(lead&0x07), 4
	default:
		return 0, 0
	}
	if len(text) < size {
		return 0, 0
	}
	for _, c := range []byte(text[1:size]) {
		if c&0xc0 != 0x80 {
			return 0, 0
		}
		r = r<<6 | rune(c&0x3f)
	}
	return r, size
}

// narrow maps what systems convert to ASCII when they need a file name in it.
func narrow(r rune) rune {
	switch {
	case 0xff01 <= r && r <= 0xff5e: // the wide forms of "!" to "~"
		return unicode.ToLower(r - 0xff01 + '!')
	case r == 'ı':
		return 'i'
	case r == '\u2024' || r == '\ufe52': // one dot leader, small full stop
		return '.'
	case r == '\ufe68': // small backslash
		return '\\'
	}
	return r
}
