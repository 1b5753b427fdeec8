package answer

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func redirect(w http.ResponseWriter, r *http.Request, x *plan.Redirect, rest string) error {
	return Redirect(w, r, x, plan.Match{Route: &plan.Route{Answer: x}, Rest: rest})
}

func TestRedirect(t *testing.T) {
	tests := []struct{ target, rest, query, want string }{
		{"/docs{rest}", "", "", "/docs"},
		{"/docs{rest}", "/a/b", "", "/docs/a/b"},
		{"/docs{rest}", "/a%2Fb%20c", "x=1&y=%20", "/docs/a%2Fb%20c?x=1&y=%20"},
		{"/docs/{rest}", "/a", "", "/docs/a"},
		{"/docs", "/a", "q=1", "/docs?q=1"},
		{"/docs?v=2", "/a", "q=1", "/docs?v=2&q=1"},
		{"/docs?v=2#top", "/a", "q=1", "/docs?v=2&q=1#top"},
		{"https://example.com{rest}", "/a", "q=1", "https://example.com/a?q=1"},
		{"https://example.com{rest}", "", "", "https://example.com"},
		// A path stays on this host.
		{"{rest}", "//evil.example", "", "/evil.example"},
		{"{rest}", "///evil.example/", "", "/evil.example/"},
		{"{rest}", `/\evil.example`, "", "/%5Cevil.example"},
		{"{rest}", "", "", "/"},
		{"/{rest}", "//evil.example", "", "/evil.example"},
		{"/{rest}", `/\evil.example`, "", "/%5Cevil.example"},
		{"/{rest}", "/\t/evil.example", "", "/%09/evil.example"},
		{"/docs{rest}", "//evil.example", "", "/docs//evil.example"},
		// A line stays one line.
		{"{rest}", "/a\r\nSet-Cookie: a=b", "", "/a%0D%0ASet-Cookie:%20a=b"},
		{"/docs", "", "a\r\nSet-Cookie: a=b", "/docs?a%0D%0ASet-Cookie:%20a=b"},
		{"/docs{rest}", "/%0d%0aSet-Cookie:a=b", "", "/docs/%0d%0aSet-Cookie:a=b"},
	}
	for _, test := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL = &url.URL{Path: "/old" + test.rest, RawQuery: test.query}
		w := httptest.NewRecorder()
		err := redirect(w, r, &plan.Redirect{Target: test.target, Status: 308}, test.rest)
		if got := w.Header().Get("Location"); err != nil || w.Code != 308 || got != test.want {
			t.Errorf("%q with %q: %d %q, %v; want %q", test.target, test.rest, w.Code, got, err, test.want)
		}
		if w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%q: a browser would keep it for ever", test.target)
		}
	}
}

// FuzzRedirectStays has a browser's reading as the oracle: below a target that
// is a path, no rest and no query leads to another host.
func FuzzRedirectStays(f *testing.F) {
	f.Add("//evil.example", "")
	f.Add(`/\evil.example`, "a=b")
	f.Add("/a\r\nb", "\r\n")
	f.Add("/\t/evil.example", "#//")
	f.Fuzz(func(t *testing.T, rest, query string) {
		if rest != "" && rest[0] != '/' {
			return // plan.Match makes none
		}
		for _, target := range []string{"{rest}", "/{rest}", "/docs{rest}", "/docs?a={rest}"} {
			r := httptest.NewRequest("GET", "/", nil)
			r.URL = &url.URL{Path: "/", RawQuery: query}
			w := httptest.NewRecorder()
			if err := redirect(w, r, &plan.Redirect{Target: target, Status: 302}, rest); err != nil {
				t.Fatal(err)
			}
			location := w.Header().Get("Location")
			if strings.ContainsFunc(location, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				t.Fatalf("%q with %q, %q: %q has a control character", target, rest, query, location)
			}
			// The URL standard reads "\" as "/".
			asBrowser := strings.ReplaceAll(location, `\`, "/")
			if path, _, _ := strings.Cut(asBrowser, "?"); !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
				t.Fatalf("%q with %q: %q leaves this host", target, rest, location)
			}
		}
	})
}
