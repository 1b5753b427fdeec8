package share

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// secretName is the query parameter of a link that contains its secret.
const secretName = "devproxy"

// linkSecret is the secret of a link.
type linkSecret struct {
	value []byte // empty for none
	// pattern finds the secret in other texts; nil for none.
	pattern *regexp.Regexp
}

func newSecret(value []byte) linkSecret {
	s := linkSecret{value: value}
	if len(value) >= minSecret {
		s.pattern = newSecretPattern(value)
	}
	return s
}

// newSecretPattern matches the secret itself, percent-encoded any number of times,
// and as JSON escapes it.
func newSecretPattern(value []byte) *regexp.Regexp {
	var b strings.Builder
	for _, c := range value {
		fmt.Fprintf(&b, `(?:%s|(?i:%%(?:25)*(?:u00)?%02x|\\u00%02[2]x))`, regexp.QuoteMeta(string(rune(c))), c)
	}
	return regexp.MustCompile(b.String())
}

// cut removes the secret from a raw query, and leaves the rest unchanged.
func (s *linkSecret) cut(rawQuery string) (rest string, found bool) {
	if len(s.value) == 0 {
		return rawQuery, false
	}
	pairs := strings.Split(rawQuery, "&")
	kept := slices.DeleteFunc(pairs, s.is)
	return strings.Join(kept, "&"), len(kept) < len(pairs)
}

// without returns a raw query without the secret, in any place and spelling.
func (s *linkSecret) without(rawQuery string) string {
	rest, _ := s.cut(rawQuery)
	return s.hide(rest)
}

// is reports whether a pair of a query is the secret, however name and value are
// percent-encoded. A wrong escape makes either empty.
func (s *linkSecret) is(pair string) bool {
	name, value, _ := strings.Cut(pair, "=")
	if name, _ = url.QueryUnescape(name); name != secretName {
		return false
	}
	value, _ = url.QueryUnescape(value)
	return sameSecret([]byte(value), s.value)
}

// sameSecret compares in constant time.
func sameSecret(candidate, want []byte) bool {
	a, b := sha256.Sum256(candidate), sha256.Sum256(want)
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// hide removes the secret from text, a query or the value of a field. A URL in it
// loses the parameter. Then any other occurrence is removed.
func (s *linkSecret) hide(text string) string {
	if s.pattern == nil || !s.in(text) {
		return text
	}
	before, after, _ := strings.Cut(text, "?")
	query, _, _ := strings.Cut(after, "#")
	if rest, found := s.cut(query); found {
		if rest != "" {
			rest = "?" + rest
		}
		text = before + rest + after[len(query):]
	}
	if text = s.pattern.ReplaceAllString(text, ""); s.in(text) {
		return "" // in a spelling that no program writes
	}
	return text
}

// in reports whether the secret is in text, as it is, percent-encoded, or as JSON
// escapes it. The pattern is slow, and most texts escape nothing.
func (s *linkSecret) in(text string) bool {
	value := string(s.value)
	return strings.Contains(text, value) ||
		strings.Contains(text, "%") && strings.Contains(unescape(text), value) ||
		strings.Contains(text, `\`) && s.pattern.MatchString(text)
}

// hideIn hides the secret in every field: Referer contains the page's URL, and so do
// HX-Current-URL, Next-Router-State-Tree and other fields that libraries add.
func (s *linkSecret) hideIn(h http.Header) {
	for _, values := range h {
		for i, value := range values {
			values[i] = s.hide(value)
		}
	}
}
