package relay

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// FuzzWideCookie: in what is kept, net/http finds no cookie wider than the share. Browsers read the last Domain; net/http does too.
func FuzzWideCookie(f *testing.F) {
	for _, cookie := range []string{"a=1", "a=1; Domain=t.example.com", "a=1; Domain=.z.t.example.com; domain=T.EXAMPLE.COM", "a=1; Domain=\"t.example.com\"", "a=1;Domain=t.example.com."} {
		f.Add(cookie)
	}
	const host, zone = "shop-x.z.t.example.com", "z.t.example.com"
	f.Fuzz(func(t *testing.T, cookie string) {
		parsed, err := http.ParseSetCookie(cookie)
		if err != nil {
			return
		}
		domain := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(parsed.Domain), "."))
		if domain == "" {
			return
		}
		if !isWide(cookie, "", host) && domain != host {
			t.Errorf("one host: %q is kept, for %q", cookie, parsed.Domain)
		}
		if !isWide(cookie, zone, host) && domain != zone && !strings.HasSuffix(domain, "."+zone) {
			t.Errorf("a zone: %q is kept, for %q", cookie, parsed.Domain)
		}
	})
}

// FuzzAuthority: an authority that can be read is a name in its normal form.
func FuzzAuthority(f *testing.F) {
	for _, host := range []string{"A.b:443", "a.b.:8443", "a@b", "[::1]:443", "a..b", "\u212Aelvin.b", ""} {
		f.Add(host)
	}
	name := regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
	f.Fuzz(func(t *testing.T, host string) {
		a, ok := readAuthority(host, "https")
		if !ok {
			return
		}
		if !name.MatchString(a.name) || len(a.name) > 253 || !strings.HasPrefix(a.full, a.name) || strings.HasSuffix(a.full, ":443") {
			t.Errorf("%q is read as %+v", host, a)
		}
		if again, ok := readAuthority(a.full, "https"); !ok || again != a {
			t.Errorf("%q is read as %+v, and that as %+v, %v", host, a, again, ok)
		}
		for _, candidate := range candidates(a.name) {
			if candidate != a.name && !strings.HasPrefix(candidate, "*") {
				t.Errorf("%q may be held as %q", a.name, candidate)
			}
		}
	})
}
