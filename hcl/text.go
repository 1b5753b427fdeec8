package hcl

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// newText prepares src for the parser. Bytes that are no text are reported
// once a file and replaced, so that the rest is still checked.
func newText(src source) (*text, Diagnostics) {
	t := &text{name: src.name, src: src.text, clean: src.text}
	if hasUTF16Mark(src.text) {
		t.clean = nil
		return t, Diagnostics{t.errorAt(0, 2, "the file is UTF-16", utf16Advice(src.name))}
	}
	var diags Diagnostics
	if at := invalidUTF8(src.text); at >= 0 {
		diags = append(diags, t.errorAt(at, at+1, fmt.Sprintf("byte 0x%02x is not UTF-8", src.text[at]), "save the file as UTF-8"))
		t.replace(func(text []byte) { bytesToValid(text) })
	}
	if at := bytes.IndexByte(src.text, 0); at >= 0 {
		diags = append(diags, t.errorAt(at, at+1, "a NUL byte is no text", "remove it; is this the right file?"))
		t.replace(func(text []byte) {
			for i, b := range text {
				if b == 0 {
					text[i] = ' '
				}
			}
		})
	}
	return t, diags
}

func (t *text) replace(edit func([]byte)) {
	t.clean = bytes.Clone(t.clean)
	edit(t.clean)
}

func (t *text) errorAt(start, end int, summary, detail string) Diagnostic {
	return Diagnostic{Severity: Error, Summary: summary, Detail: detail, Range: t.span(start, end)}
}

// invalidUTF8 is the place of the first byte that is not UTF-8, or -1.
func invalidUTF8(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// bytesToValid overwrites each byte that is not UTF-8.
func bytesToValid(text []byte) {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			text[at] = '?'
		}
		at += size
	}
}
