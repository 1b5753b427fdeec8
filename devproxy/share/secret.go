package share

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// secretName is the query parameter in which a link carries its secret.
const secretName = "devproxy"

// cutSecret takes the secret of the link out of a raw query and leaves all else
// as it is.
func (s *Share) cutSecret(rawQuery string) (rest string, found bool) {
	if len(s.secret) == 0 {
		return rawQuery, false
	}
	var kept []string
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if s.isSecret(pair) {
			found = true
		} else {
			kept = append(kept, pair)
		}
	}
	if !found {
		return rawQuery, false
	}
	return strings.Join(kept, "&"), true
}

// isSecret reports whether a pair of a query is the link's secret, in whatever
// way name and value are percent-encoded. A wrong escape makes either empty.
func (s *Share) isSecret(pair string) bool {
	name, value, _ := strings.Cut(pair, "=")
	if name, _ = url.QueryUnescape(name); name != secretName {
		return false
	}
	value, _ = url.QueryUnescape(value)
	have, want := sha256.Sum256([]byte(value)), sha256.Sum256(s.secret)
	return subtle.ConstantTimeCompare(have[:], want[:]) == 1
}

// newSecretPattern matches secret as it is, percent-encoded however often, and
// as JSON escapes it.
func newSecretPattern(secret []byte) *regexp.Regexp {
	var b strings.Builder
	for _, c := range secret {
		fmt.Fprintf(&b, `(?:%s|(?i:%%(?:25)*(?:u00)?%02x|\\u00%02[2]x))`, regexp.QuoteMeta(string(rune(c))), c)
	}
	return regexp.MustCompile(b.String())
}

// hideSecret takes the link's secret out of text, a query or the value of a
// field: a URL in it loses the parameter, and what is left of the secret in any
// other place is cut out.
func (s *Share) hideSecret(text string) string {
	if s.secretPattern == nil || !s.holdsSecret(text) {
		return text
	}
	before, after, _ := strings.Cut(text, "?")
	query, _, _ := strings.Cut(after, "#")
	if rest, found := s.cutSecret(query); found {
		if rest != "" {
			rest = "?" + rest
		}
		text = before + rest + after[len(query):]
	}
	if text = s.secretPattern.ReplaceAllString(text, ""); s.holdsSecret(text) {
		return "" // in a spelling that no program writes
	}
	return text
}

// holdsSecret reports whether the secret is in text as it is, percent-encoded,
// or as JSON escapes it. The pattern is slow, and most texts escape nothing.
func (s *Share) holdsSecret(text string) bool {
	secret := string(s.secret)
	return strings.Contains(text, secret) ||
		strings.Contains(text, "%") && strings.Contains(unescape(text), secret) ||
		strings.Contains(text, `\`) && s.secretPattern.MatchString(text)
}

// hideSecretIn is hideSecret of every field: Referer tells the page's URL, and
// so do HX-Current-URL, Next-Router-State-Tree and others that libraries add.
func (s *Share) hideSecretIn(h http.Header) {
	for _, values := range h {
		for i, value := range values {
			values[i] = s.hideSecret(value)
		}
	}
}
