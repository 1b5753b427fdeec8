package container

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// isText reports whether text is printable and has at most limit bytes.
func isText(text string, limit int) bool {
	return len(text) <= limit && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// shorten returns text without control characters and invalid UTF-8, and without what is
// over limit bytes.
func shorten(text string, limit int) string {
	cut := len(text) > limit
	text = strings.ToValidUTF8(text[:min(len(text), limit)], "")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
	if cut {
		text += "…"
	}
	return text
}

// lastLine returns the last line of text that is not empty.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}
