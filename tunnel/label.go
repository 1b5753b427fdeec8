package tunnel

import (
	"cmp"
	"strings"
)

// maxProject leaves a label room for a link and a host of 20 characters.
const maxProject = maxLabel - LinkLength - 1 - len(joint) - 20

// lettersAndDigits are the characters that any label may have.
const lettersAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789"

// Label makes a project's label for public names from any text, such as the
// name of a folder: lower case, everything but letters and digits a single
// hyphen, at most 24 bytes. Text that has none of them is "share".
func Label(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !strings.ContainsRune(lettersAndDigits, r) })
	label := strings.Join(words, "-")
	label = strings.TrimRight(label[:min(len(label), maxProject)], "-")
	return cmp.Or(label, "share")
}

// isLabel reports whether s is one label of a name (RFC 952, 1123), with the
// underscore that names made from folders have and every client accepts.
func isLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && s[0] != '-' && s[len(s)-1] != '-' && consistsOf(s, lettersAndDigits+"-_")
}

// isGenerated reports whether s could have come from Link or Zone.
func isGenerated(s string, length int) bool { return len(s) == length && consistsOf(s, Alphabet) }

func consistsOf(s, characters string) bool { return strings.Trim(s, characters) == "" }

// isTokenName reports whether label ends as unguessable names do.
func isTokenName(label string) bool {
	cut := len(label) - LinkLength
	return cut > 0 && label[cut-1] == '-' && isGenerated(label[cut:], LinkLength)
}

// LinkAt returns where the link of an unguessable name begins, LinkLength bytes
// of its first label. ok is false for a name that is not shaped like one.
func LinkAt(name string) (at int, ok bool) {
	label, _, _ := strings.Cut(name, ".")
	start, _, _ := strings.Cut(label, joint)
	switch {
	case isTokenName(start):
		return len(start) - LinkLength, true
	case isTokenName(label): // by NamesByZone
		return len(label) - LinkLength, true
	}
	return 0, false
}

// TokenName reports whether name, up to its first dot, is shaped like an
// unguessable name, which only the key that made it may claim.
func TokenName(name string) bool {
	_, ok := LinkAt(name)
	return ok
}

// PlainName reports whether the first label of name is a label that people
// choose: shaped neither like an unguessable name nor like the zone of a key.
func PlainName(name string) bool {
	label, _, _ := strings.Cut(name, ".")
	return label != "" && !TokenName(label) && !isGenerated(label, ZoneLength)
}
