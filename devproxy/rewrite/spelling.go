package rewrite

import "bytes"

// spelling is a way to write a slash.
type spelling struct {
	slash string // in lower case
	colon string // how the colon before a port is written next to it
}

// spellings are those of the texts that contain URLs. The longest of those with
// the same beginning comes first.
var spellings = [...]spelling{
	{`/`, ":"},
	{`\/`, ":"},        // JSON, also in JavaScript
	{`\\/`, ":"},       // JSON in JSON, whose backslash is written twice
	{`\\\\/`, ":"},     // JSON in JSON in a string of a script
	{`\\\/`, ":"},      // the same, with the slash escaped again
	{`\u002f`, ":"},    // JSON
	{`\\u002f`, ":"},   // JSON in JSON
	{`\x2f`, ":"},      // JavaScript
	{`%2f`, "%3A"},     // in a query
	{`%252f`, "%253A"}, // in a query of a query
	{`&#x2f;`, ":"},    // HTML
	{`&#47;`, ":"},     // HTML
}

// cut says how a parse ended.
type cut int

const (
	no   cut = iota // not that
	yes             // found
	more            // undecided: the text ends too early
)

// slashes finds two slashes of one spelling at the beginning of b.
func slashes(b []byte) (s *spelling, result cut) {
	for i := range spellings {
		spelled := &spellings[i]
		n := len(spelled.slash)
		got := hasFold(b, spelled.slash)
		if got == yes {
			got = hasFold(b[n:], spelled.slash)
		}
		switch got {
		case yes:
			return spelled, yes
		case more:
			result = more
		}
	}
	return nil, result
}

// hasFold reports whether b begins with text, which is in lower case, or may
// do so when more of it has come.
func hasFold(b []byte, text string) cut {
	for i := range len(text) {
		if i == len(b) {
			return more
		}
		if lower(b[i]) != text[i] {
			return no
		}
	}
	return yes
}

// hasSuffixFold reports whether b ends with text, which is in lower case.
func hasSuffixFold(b []byte, text string) bool {
	return len(b) >= len(text) && hasFold(b[len(b)-len(text):], text) == yes
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func isLetter(c byte) bool { return 'a' <= lower(c) && lower(c) <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// isHost reports whether c can be in the name of a host.
func isHost(c byte) bool { return hostBytes[c] }

// hostBytes is never changed.
var hostBytes = func() (all [256]bool) {
	for c := range len(all) {
		b := byte(c)
		all[c] = isLetter(b) || isDigit(b) || b == '-' || b == '_' || b == '.'
	}
	return all
}()

// colons are the spellings of the colon after a scheme.
var colons = [...]string{":", "%3a", "%253a"}

// schemes are those of replaced URLs. A longer one comes before its ending.
var schemes = [...]string{"https", "http", "wss", "ws"}

// before finds the scheme and the colon that end before. It returns where the
// colon begins; without one, the length of before. False means that the slashes
// after it belong to another scheme, or are a part of a path.
func before(before []byte) (scheme string, colon int, ok bool) {
	for _, spelled := range colons {
		if !hasSuffixFold(before, spelled) {
			continue
		}
		rest := before[:len(before)-len(spelled)]
		for _, scheme := range schemes {
			if hasSuffixFold(rest, scheme) {
				return scheme, len(rest), scheme[0] == 'h' || !inWord(rest[:len(rest)-len(scheme)])
			}
		}
		return "", 0, false
	}
	return "", len(before), !inWord(before) && !endsInPath(before)
}

// inWord reports whether a letter or digit precedes, other than as the end of an
// escape: of "\n", and of "%3D".
func inWord(before []byte) bool {
	n := len(before)
	if n == 0 || !isLetter(before[n-1]) && !isDigit(before[n-1]) {
		return false
	}
	escaped := n >= 2 && before[n-2] == '\\' || n >= 3 && before[n-3] == '%'
	return !escaped
}

// endsInPath reports whether two slashes here would continue a path.
func endsInPath(before []byte) bool {
	n := len(before)
	return n > 0 && (bytes.IndexByte([]byte(`/\.-_~:@`), before[n-1]) >= 0 || n >= 3 && hasSuffixFold(before, "%2f"))
}
