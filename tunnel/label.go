package tunnel

import "strings"

// maxProject leaves a label room for a link and a host of 20 characters.
const maxProject = maxLabel - LinkLength - 1 - len(joint) - 20

// Label makes a project's label for public names from any text, such as the
// name of a folder: lower case, everything but letters and digits a single
// hyphen, at most 24 bytes. Text that has none of them is "share".
func Label(text string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(text)) {
		switch {
		case isLetterOrDigit(c):
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	label := b.String()
	label = strings.TrimRight(label[:min(len(label), maxProject)], "-")
	if label == "" {
		return "share"
	}
	return label
}

// isLabel is one label of a name (RFC 952, 1123), with the underscore that
// names made from folders have and every client takes.
func isLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isLetterOrDigit(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return true
}

func isLetterOrDigit(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// isGenerated is whether s could have come from Link or Zone.
func isGenerated(s string, length int) bool {
	if len(s) != length {
		return false
	}
	for i := range len(s) {
		if strings.IndexByte(Alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}

// isTokenName is whether label ends as unguessable names do.
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
// unguessable one, whose only key is the one it was made from.
func TokenName(name string) bool {
	_, ok := LinkAt(name)
	return ok
}

// PlainName reports whether the first label of name is one that people choose:
// neither shaped like an unguessable name nor like the zone of a key.
func PlainName(name string) bool {
	label, _, _ := strings.Cut(name, ".")
	return label != "" && !TokenName(label) && !isGenerated(label, ZoneLength)
}
