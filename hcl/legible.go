package hcl

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// maxAccents is how many marks may follow a letter (UTS 39 section 5.4 finds more than
// four suspicious). More could cover the lines above and below.
const maxAccents = 4

// Legible returns text, which someone else has written, as one line that reads as what it
// is: for what a person allows. Every character that could be invisible, change the order
// of others, or look like a character of ASCII is written as \u{…}. Letters and digits of
// scripts from left to right stay, unless their word has Latin letters too and their
// script has letters like these.
func Legible(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7F }) {
		return text
	}
	var out strings.Builder
	for text != "" {
		// A word, then what is between it and the next one.
		end := strings.IndexFunc(text, notInWord)
		if end < 0 {
			end = len(text)
		}
		writeWord(&out, text[:end])
		text = text[end:]
		if text != "" {
			r, size := utf8.DecodeRuneInString(text)
			writeRune(&out, r, text[:size], ' ' <= r && r < 0x7F)
			text = text[size:]
		}
	}
	return out.String()
}

func notInWord(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) }

// writeWord writes letters, marks and digits.
func writeWord(out *strings.Builder, word string) {
	isLatin := strings.ContainsFunc(word, func(r rune) bool { return unicode.Is(unicode.Latin, r) })
	afterLetter, accents := false, 0
	for i, r := range word {
		isMark := unicode.Is(unicode.M, r)
		if isMark {
			accents++
		} else {
			accents = 0
		}
		switch {
		case r < utf8.RuneSelf:
			out.WriteRune(r)
		case isMark && (!afterLetter || accents > maxAccents), unicode.In(r, unicode.Me), !isDistinct(r), isLatin && unicode.In(r, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee, unicode.Coptic, unicode.Lisu, unicode.Deseret, unicode.Osage):
			writeRune(out, r, word[i:i+utf8.RuneLen(r)], false)
		default:
			out.WriteRune(r)
		}
		afterLetter = isMark && afterLetter || unicode.IsLetter(r)
	}
}

// isDistinct reports a character outside of ASCII that is visible, is written from left
// to right, and is not another form of characters of ASCII.
func isDistinct(r rune) bool {
	name, _ := invisible(r)
	properties, _ := bidi.LookupRune(r)
	switch properties.Class() {
	case bidi.R, bidi.AL, bidi.AN:
		return false
	}
	// NFKC of the full-width "ａ" is "a". That of "é" is itself.
	compatible := norm.NFKC.String(string(r))
	return name == "" && !strings.ContainsFunc(compatible, func(r rune) bool { return r < utf8.RuneSelf })
}

// writeRune writes a character that is written as text: as it is, or escaped.
func writeRune(out *strings.Builder, r rune, text string, plain bool) {
	switch {
	case plain:
		out.WriteString(text)
	case r == utf8.RuneError && len(text) == 1:
		fmt.Fprintf(out, `\x%02x`, text[0])
	case r < utf8.RuneSelf:
		fmt.Fprintf(out, `\x%02x`, r)
	default:
		fmt.Fprintf(out, `\u{%x}`, r)
	}
}
