package relay

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

func TestWideCookies(t *testing.T) {
	const host, zone = "shop-x.z.t.example.com", "z.t.example.com"
	for _, c := range []struct {
		cookie       string
		single, many bool // kept for a share with one host, with several
	}{
		{"a=1", true, true},
		{"a=1; Path=/; HttpOnly", true, true},
		{"a=1; Domain=" + host, true, true},
		{"a=1; domain = ." + host, true, true},
		{"a=1; Domain=Z.T.example.com", false, true},
		{"a=1; Domain=.z.t.example.com", false, true},
		{"a=1; Domain=t.example.com", false, false},
		{"a=1; Domain=example.com; Path=/", false, false},
		{"a=1; Domain=com", false, false},
		{"a=1; Domain=z.t.example.com; Domain=t.example.com", false, false},
		{"a=1; Domain=t.example.com; Domain=z.t.example.com", false, false},
		{"a=1; Domain=t.example.com.", false, false},
		{"a=1; Domain=..t.example.com", false, false},
		{"a=1; Domain=\"t.example.com\"", false, false},
		{"a=1;\tDOMAIN\t=\tt.example.com", false, false},
		{"a=1; Domain=fooz.t.example.com", false, false},
		{"a=1; Domain=other.z.t.example.com", false, true},
		{"a=1; Domain=", true, true},
		{"a=1; Domain= .", false, false},
		{"a=1; Domain", true, true},
		{"a=Domain=t.example.com", true, true},
		{"Domain=t.example.com", true, true}, // a cookie of that name
	} {
		for share, zone := range map[string]string{"one host": "", "several": zone} {
			h := http.Header{"Set-Cookie": {"first=1", c.cookie, "last=1"}}
			dropWideCookies(h, zone, host)
			kept := map[string]bool{"one host": c.single, "several": c.many}[share]
			if got := slices.Contains(h["Set-Cookie"], c.cookie); got != kept || len(h["Set-Cookie"]) < 2 {
				t.Errorf("%s: %q kept is %v, want %v", share, c.cookie, got, kept)
			}
		}
	}
}

// TestWideCookieNeverLeaves: through the whole relay.
func TestWideCookieNeverLeaves(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, domain := range []string{domain, visitorOf(r).Host, "example.com"} {
			w.Header().Add("Set-Cookie", "a="+domain+"; Domain="+domain)
		}
		fmt.Fprint(w, "ok")
	})
	one := w.agent(key, claimOf(key, ""), app).grant
	_, _, header := get(t, w.client("h1"), "https://"+one.Hosts[0]+"/")
	if got := header["Set-Cookie"]; len(got) != 1 || got[0] != "a="+one.Hosts[0]+"; Domain="+one.Hosts[0] {
		t.Errorf("cookies that left: %q", got)
	}
}
