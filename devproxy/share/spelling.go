package share

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxRounds bounds how often a path is read again. Percent-encoding of any depth takes
// one round; only a mix with other disguises takes more.
const maxRounds = 8

// unescape decodes percent-encoding until none is left, in one pass: the result
// of an escape may complete the escape before it. It decodes %uXXXX too, as
// JavaScript's unescape does. Everything else stays unchanged.
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

// reduce decodes the escape at the end of out, if there is one.
func reduce(out []byte) ([]byte, bool) {
	var value [2]byte
	if n := len(out) - 3; n >= 0 && out[n] == '%' {
		if _, err := hex.Decode(value[:], out[n+1:]); err == nil {
			return append(out[:n], value[0]), true
		}
	}
	if n := len(out) - 6; n >= 0 && out[n] == '%' && out[n+1]|0x20 == 'u' {
		if _, err := hex.Decode(value[:], out[n+2:]); err == nil {
			return utf8.AppendRune(out[:n], rune(binary.BigEndian.Uint16(value[:]))), true
		}
	}
	return out, false
}

// foldPath returns path in the one reading in which guard, paths and public compare
// names: decoded until nothing is left to decode, and folded. It reports false for a
// path that is still disguised after maxRounds, which only an attacker sends; folded is
// empty then.
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

// fold reads text as the most lenient program does: in lower case, overlong UTF-8
// (which RFC 3629 section 3 forbids, and some programs decode) decoded, and every
// character as the ASCII that it looks like or that a system converts it to:
// compatibility decomposition (Unicode, UAX #15) without its marks, and the "best fit"
// tables of Windows.
func fold(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(text)
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			r, size = overlong(text[i:])
		}
		if size == 0 { // a byte that has no meaning in any reading
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

// overlong decodes a rune at the beginning of text that is longer than necessary. size
// is 0 when text does not begin with one.
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

// bestFits maps what systems convert to ASCII when they need a file name, and
// Unicode does not decompose, in lower case: the tables bestfit1252, 932 and
// 949 of Windows (windows-1252-2000.ucm of ICU has the first). Yen and won
// replace the backslash in the last two. Characters that occur neither in a
// hidden name nor in the syntax of a path are left out.
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

// readings are the segments of a folded path as three kinds of programs read
// them: programs that end no name early, programs that cut names there, and
// programs that read a separator there. A name that begins with a dot in the
// first does so in the second.
type readings [3][]string

func read(folded string) readings {
	return readings{
		appendSegments(nil, folded),
		appendSegments(nil, endNames(folded)),
		appendPieces(nil, folded, func(r rune) bool { return isSeparator(r) || endsName(r) }),
	}
}

// isPlain reports whether path has only characters that every program reads alike,
// and no escape.
func isPlain(path string) bool {
	for i := range len(path) {
		if !plainBytes[path[i]] {
			return false
		}
	}
	return true
}

// plainBytes are the printable ASCII characters without those that are escapes or
// separators to some program.
var plainBytes = func() (plain [256]bool) {
	for c := byte('!'); c <= '~'; c++ {
		plain[c] = !strings.ContainsRune(`%\;:?#`, rune(c))
	}
	return plain
}()

// split cuts path into its segments, without empty ones.
func split(path string) []string { return strings.FieldsFunc(path, isSeparator) }

func isSeparator(r rune) bool { return r == '/' || r == '\\' }

// appendSegments appends the segments of a folded path without the characters that
// file systems ignore. Segments that are "." then are left out.
func appendSegments(segments []string, path string) []string {
	return appendPieces(segments, path, isSeparator)
}

func appendPieces(result []string, path string, cuts func(rune) bool) []string {
	for piece := range strings.FieldsFuncSeq(path, cuts) {
		if piece = visible(piece); piece != "" {
			result = append(result, piece)
		}
	}
	return result
}

// endsName reports characters at which some program ends a name early: parameters, a
// NUL, an encoded query or fragment, or a stream of the file on Windows.
func endsName(r rune) bool {
	return r == ';' || r == ':' || r == '?' || r == '#' || unicode.IsControl(r)
}

// endNames cuts the segments of a path off where a name ends early.
func endNames(path string) string {
	ended := false
	return strings.Map(func(r rune) rune {
		if ended = !isSeparator(r) && (ended || endsName(r)); ended {
			return -1
		}
		return r
	}, path)
}

// visible returns name without the characters that file systems ignore: invisible
// ones, bytes that are not text, and on Windows dots and spaces at the end. A name of
// several dots, which may lead up, becomes "..".
func visible(name string) string {
	if !isPlain(name) {
		name = strings.Map(func(r rune) rune {
			if unseen(r) {
				return -1
			}
			return r
		}, name)
		name = strings.TrimLeftFunc(name, unicode.IsSpace)
	}
	trimmed := strings.TrimRightFunc(name, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
	if trimmed == "" && strings.Count(name, ".") > 1 {
		return ".."
	}
	return trimmed
}

// isUp reports the way to the folder above.
func isUp(name string) bool { return name == ".." }

// unseen reports control characters, characters without a glyph in Unicode, and bytes
// that are not text.
func unseen(r rune) bool {
	return r == unicode.ReplacementChar ||
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isShortName reports a name of the form that Windows also gives to long names and to
// those that begin with a dot (8.3 names): "ENV~1", "GI3F2A~1", "PROXYF~1.HCL". Assets
// of bundlers look alike ("a~1.js"); a name with such an ending is a short name only
// where it may be that of a hidden one.
func isShortName(name string) bool {
	base, extension, _ := strings.Cut(name, ".")
	letters, number, found := strings.Cut(base, "~")
	if !found || len(letters) < 1 || len(letters) > 6 || !isNumber(number) || number[0] == '0' || len(number) > 2 && len(base) > 8 || len(extension) > 3 {
		return false
	}
	if extension == "" && isNumber(letters) {
		return false // "5~10" is a range: no hidden name has only digits
	}
	switch extension {
	case "js", "mjs", "css", "map", "png", "jpg", "gif", "svg", "ts", "tsx", "jsx", "vue", "htm", "pdf", "ico", "bmp", "mp3", "mp4", "ogg", "wav", "ttf", "otf", "eot", "glb", "vtt":
		return strings.HasPrefix(letters, "env") || isHashed(letters)
	}
	return true
}

// isHashed reports "EN" and four digits of a checksum, the form of later names that
// begin with ".env".
func isHashed(letters string) bool {
	return len(letters) == 6 && letters[:2] == "en" && strings.Trim(letters[2:], "0123456789abcdef") == ""
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }
