package share

import (
	"regexp"
	"strings"
	"testing"
)

// TestAuthorityAlphabet puts every byte in the middle of a name, of a label and
// of a port.
func TestAuthorityAlphabet(t *testing.T) {
	name, label, port := regexp.MustCompile(`^[a-zA-Z0-9_.*\[\]-]$`), regexp.MustCompile(`^[a-z0-9_-]$`), regexp.MustCompile(`^[0-9]$`)
	for c := range 256 {
		text := string([]byte{byte(c)})
		if _, ok := parseAuthority("a"+text+"b", httpsPort); ok != name.MatchString(text) {
			t.Errorf("%q in a name: %v", text, ok)
		}
		if got := isLabel("a" + text + "b"); got != label.MatchString(text) {
			t.Errorf("%q in a label: %v", text, got)
		}
		if _, ok := parseAuthority("a:1"+text, httpsPort); ok != port.MatchString(text) && text != ":" && text != "]" {
			t.Errorf("%q in a port: %v", text, ok)
		}
		lowered := text
		if 'A' <= c && c <= 'Z' {
			lowered = string(rune(c - 'A' + 'a'))
		}
		if got := lower("a" + text + "b"); got != "a"+lowered+"b" {
			t.Errorf("%q in lower case: %q", text, got)
		}
	}
	if got := lower("É\u212a"); got != "É\u212a" {
		t.Errorf("what is not ASCII became %q", got)
	}
}

func TestAuthority(t *testing.T) {
	for text, want := range map[string]string{
		"a.b": "a.b", "A.b.": "a.b", "a:443": "a", "a:": "a", "a:80": "a:80", "a:65535": "a:65535", "a:655350": "",
		"[::1]": "[::1]", "[::1]:80": "[::1]:80", "*.a": "*.a", "": "", ".": "", ":80": "", "a:b": "", "a:-1": "", "u@a": "", "a/b": "", "a%2eb": "",
	} {
		a, ok := parseAuthority(text, httpsPort)
		if ok != (want != "") || ok && a.String() != want {
			t.Errorf("%q: %q, %v; want %q", text, a, ok, want)
		}
	}
	if a, _ := parseAuthority("a", httpPort); a != (authority{"a", "80"}) {
		t.Errorf("without a port: %+v", a)
	}
	for length, want := range map[int]bool{0: false, 1: true, maxLabel: true, maxLabel + 1: false} {
		if got := isLabel(strings.Repeat("a", length)); got != want {
			t.Errorf("a label of %d bytes: %v", length, got)
		}
	}
}

// TestWithin: only at the border of a label, and never in an empty domain.
func TestWithin(t *testing.T) {
	for _, test := range []struct {
		name, domain string
		want         bool
	}{
		{"a.b", "a.b", true}, {"x.a.b", "a.b", true}, {"xa.b", "a.b", false}, {"b", "a.b", false}, {"a.b", "", false}, {"", "", false}, {"a.", "", false},
	} {
		if got := within(test.name, test.domain); got != test.want {
			t.Errorf("%q in %q: %v", test.name, test.domain, got)
		}
	}
}
