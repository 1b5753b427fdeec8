package rewrite

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"regexp"
	"strings"
)

// hashes are the sources of a Content-Security-Policy that allow a script or a style
// by its content (CSP level 3 section 2.3.1). The value is the source with its
// quotes.
type hashes map[string]string

// hashSource is a source that is a hash. Browsers accept both alphabets of Base64.
var hashSource = regexp.MustCompile(`(?i)'(sha256|sha384|sha512)-([a-z0-9+/_-]+)=*'`)

// add adds the hashes of a policy, and reports whether it has some.
func (h hashes) add(policy string) bool {
	found := hashSource.FindAllStringSubmatch(policy, -1)
	for _, source := range found {
		h[hashKey(strings.ToLower(source[1]), source[2])] = source[0]
	}
	return len(found) > 0
}

// hashKey returns a normalized hash.
func hashKey(algorithm, text string) string {
	return algorithm + "-" + strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
}

// of returns the hashes of content by all algorithms, normalized.
func of(content []byte) [3]string {
	// Browsers hash the text of the element, whose line ends are normalized.
	content = bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	short, middle, long := sha256.Sum256(content), sha512.Sum384(content), sha512.Sum512(content)
	encode := base64.RawStdEncoding.EncodeToString
	return [3]string{"sha256-" + encode(short[:]), "sha384-" + encode(middle[:]), "sha512-" + encode(long[:])}
}

// additions are sources that policies need in addition: next to each hash, that of
// the content after its URLs were replaced.
type additions map[string]string

// allow adds what allows changed where content is allowed.
func (a additions) allow(allowed hashes, content, changed []byte) {
	was, is := of(content), of(changed)
	for i := range was {
		if source, ok := allowed[was[i]]; ok {
			a[source] = "'" + padded(is[i]) + "'"
		}
	}
}

// padded completes a normalized hash.
func padded(hash string) string {
	_, text, _ := strings.Cut(hash, "-")
	return hash + strings.Repeat("=", (4-len(text)%4)%4)
}

// policy returns a Content-Security-Policy with the additions.
func (a additions) policy(policy string) string {
	return hashSource.ReplaceAllStringFunc(policy, func(source string) string {
		if added, ok := a[source]; ok {
			return source + " " + added
		}
		return source
	})
}
