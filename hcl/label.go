package hcl

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Label returns text as a DNS label (RFC 1035 section 2.3.4), for a name that nobody has
// chosen: in lower case, Latin letters without accents, and a "-" for everything else but
// digits. It is empty for a text without any of them. Different texts can have one label.
func Label(text string) string {
	label := strings.Trim(notInLabel.ReplaceAllString(plainLetters(strings.ToLower(text)), "-"), "-")
	return strings.TrimRight(label[:min(len(label), maxLabel)], "-")
}

var notInLabel = regexp.MustCompile(`[^a-z0-9]+`)

// plainLetters replaces Latin letters by those of ASCII: "größe" becomes "grosse". Other
// letters stay.
func plainLetters(text string) string {
	return undecomposed.Replace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(text)))
}

// undecomposed has the Latin letters in lower case that Unicode does not decompose.
var undecomposed = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "đ", "d", "ð", "d", "þ", "th", "ł", "l", "ħ", "h", "ı", "i", "ŋ", "ng")
