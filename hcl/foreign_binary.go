package hcl

import (
	"unicode/utf8"
)

// maxSniffed is how many bytes of a file say whether it is text.
const maxSniffed = 4 << 10

// notText returns the diagnostic of a file that is not text in UTF-8. A few stray
// bytes in a text are reported by newText.
func notText(t *text, where folder) (Diagnostic, bool) {
	src := t.src[:min(len(t.src), maxSniffed)]
	switch {
	case isUTF16(src):
		return t.errorAt(0, 2, "the file is UTF-16", utf16Advice(t.name)), true
	case isBinary(src):
		return t.errorAt(0, 1, "this is not a text file", "name the Proxyfile with -f FILE, or write "+smallestFor(where)), true
	}
	return Diagnostic{}, false
}

// isUTF16 reports text in which every second byte is NUL, as in that of
// English in UTF-16, with a byte order mark or without.
func isUTF16(src []byte) bool {
	if hasUTF16Mark(src) {
		return true
	}
	nul := [2]int{}
	for i, b := range src {
		if b == 0 {
			nul[i%2]++
		}
	}
	half, less, more := len(src)/2, min(nul[0], nul[1]), max(nul[0], nul[1])
	return half >= 4 && less == 0 && more*10 >= half*8
}

// isBinary reports bytes of which more than one in ten has no place in a text.
func isBinary(src []byte) bool {
	bad := 0
	for rest := src; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 || r < 0x20 && r != '\t' && r != '\n' && r != '\r' && r != '\f' || r == 0x7F {
			bad++
		}
		rest = rest[size:]
	}
	return bad > 1 && bad*10 > len(src)
}
