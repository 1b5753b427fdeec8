package share

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxRounds bounds how often a path is read again. Percent-encoding, however
// deep, takes one round; only mixing it with other disguises takes more.
const maxRounds = 8

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

// foldPath is path in the one reading by which guard, paths and public compare
// names: decoded until nothing is left to decode, and folded. ok is false for a
// path that is still disguised after maxRounds, which only somebody sends who
// looks for a way in; folded is empty then.
func foldPath(path string) (folded string, ok bool) {
	for range maxRounds {
		next := fold(unescape(path))
		if next == path {
			return path, true
		}
		path = next
	}
	return "", false
}

// fold reads text as the most lenient program does: in lower case, overlong
// UTF-8 (which RFC 3629 section 3 forbids, and some decode) as what it stands
// for, and every character as the ASCII that it looks like or that a system
// converts it to: compatibility decomposition (Unicode, UAX #15) without its
// marks, and the "best fit" tables of Windows.
func fold(text string) string {
	if isASCII(text) {
		return strings.ToLower(text)
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			r, size = overlong(text[i:])
		}
		if size == 0 { // a byte that is nothing in any reading
			out, size = append(out, text[i]), 1
		} else {
			out = utf8.AppendRune(out, r)
		}
		i += size
	}
	decomposed := norm.NFKD.Bytes(out)
	out = out[:0:0]
	for len(decomposed) > 0 {
		r, size := utf8.DecodeRune(decomposed)
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, decomposed[0])
		case !unicode.Is(unicode.Mn, r):
			r = unicode.ToLower(r)
			out = utf8.AppendRune(out, cmp.Or(bestFits[r], r))
		}
		decomposed = decomposed[size:]
	}
	return string(out)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
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

// bestFits maps what systems convert to ASCII when they need a file name in it
// and what Unicode does not decompose, in lower case: the tables bestfit1252, 932
// and 949 of Windows (windows-1252-2000.ucm of ICU has the first). Yen and won
// have the place of the backslash in the last two. What has no place in a hidden
// name or in the syntax of a path is left out.
var bestFits = func() map[rune]rune {
	fits := map[rune]rune{}
	for ascii, likes := range map[rune]string{
		'\\': "\u00a5\u20a9\u2216\u29f5\u29f9", '/': "\u2044\u2215\u29f8",
		'%': "\u066a", ':': "\u0589\u2236", '~': "\u223c", '_': "\u02cd\u2584",
		'-': "\u2010\u2011\u2212\u2500\u252c\u2534\u2550\u2564\u2565\u2566\u2567\u2568\u2569",
		'8': "\u221e", 'a': "\u03b1", 'b': "\u0180", 'd': "\u0111\u00f0\u03b4", 'e': "\u03b5\u025b\u212e", 'f': "\u0192\u03c6",
		'g': "\u0261\u03b3\u01e5", 'h': "\u0127\u04bb", 'i': "\u0131\u0268\u0269", 'l': "\u0142\u019a", 'n': "\u2229",
		'o': "\u03bf\u00f8\u03c9\u0275", 'p': "\u03c0\u2118\u20a7", 's': "\u03c3\u03c2", 't': "\u0167\u03c4\u03b8\u01ab\u0288", 'v': "\u221a", 'z': "\u01b6",
	} {
		for _, like := range likes {
			fits[like] = ascii
		}
	}
	return fits
}()
