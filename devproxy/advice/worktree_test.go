package advice

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// inWorktree translates for https://fix-ui.shop.localhost, with that Cookie line.
func inWorktree(t *testing.T, cookie string) Outside {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Proxyfile")
	text := `host "shop.localhost" { upstream = 5173 }
host "admin.shop.localhost" { upstream = 5174 }
host "*.tenant.shop.localhost" { upstream = 5175 }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{Worktree: &hcl.Worktree{Name: "fix-ui", Key: "fix-ui"}})
	if err != nil || len(diags) > 0 {
		t.Fatal(err, diags)
	}
	p, _ := plan.Build(file, plan.Env{})
	m, err := p.Match(plan.Request{Method: "GET", Host: "fix-ui.shop.localhost", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	o := Outside{Route: m.Route, Upstream: m.Route.Answer.(*plan.Upstream), Origin: "https://fix-ui.shop.localhost", Relocation: p.Relocation()}
	if cookie != "" {
		o.Cookie = []string{cookie}
	}
	return o
}

// TestWorktreeURLs: what an upstream says of the hosts as the Proxyfile has them means
// those of the worktree.
func TestWorktreeURLs(t *testing.T) {
	o := inWorktree(t, "")
	for value, want := range map[string]string{
		"https://admin.shop.localhost/a?b#c":          "https://admin.fix-ui.shop.localhost/a?b#c",
		"https://admin.shop.localhost:443/":           "https://admin.fix-ui.shop.localhost:443/",
		"//admin.shop.localhost/a":                    "//admin.fix-ui.shop.localhost/a",
		"https://ADMIN.shop.localhost":                "https://admin.fix-ui.shop.localhost",
		"https://shop.localhost/a":                    "https://fix-ui.shop.localhost/a",
		"http://shop.localhost/a":                     "https://fix-ui.shop.localhost/a", // as for the own name
		"https://x.tenant.shop.localhost/":            "https://x.tenant.fix-ui.shop.localhost/",
		"https://admin.fix-ui.shop.localhost/":        "https://admin.fix-ui.shop.localhost/",
		"https://other.shop.localhost/":               "https://other.shop.localhost/", // not a host of the file
		"https://other.localhost/":                    "https://other.localhost/",
		"https://admin.shop.localhost:9999/":          "https://admin.shop.localhost:9999/",
		"https://admin.shop.localhost.example.com/":   "https://admin.shop.localhost.example.com/",
		"https://u@admin.shop.localhost/":             "https://u@admin.shop.localhost/",
		"/login?next=https://admin.shop.localhost/":   "/login?next=https://admin.shop.localhost/",
		"https://example.com/https://shop.localhost/": "https://example.com/https://shop.localhost/",
	} {
		if got := o.Reference(value); got != want {
			t.Errorf("%s becomes %s, want %s", value, got, want)
		}
	}
	h := http.Header{
		"Access-Control-Allow-Origin": {"https://admin.shop.localhost"},
		"Content-Security-Policy":     {"connect-src 'self' wss://admin.shop.localhost https://example.com admin.shop.localhost; img-src *.shop.localhost"},
	}
	o.Header(h)
	if diff := cmp.Diff(http.Header{
		"Access-Control-Allow-Origin": {"https://admin.fix-ui.shop.localhost"},
		"Content-Security-Policy":     {"connect-src 'self' wss://admin.fix-ui.shop.localhost https://example.com admin.fix-ui.shop.localhost; img-src *.shop.localhost"},
	}, h); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	o.Relocation = nil
	if got := o.Reference("https://admin.shop.localhost/"); got != "https://admin.shop.localhost/" {
		t.Errorf("in the main worktree: %s", got)
	}
}

// TestWorktreeSetCookie: a cookie stays in its worktree.
func TestWorktreeSetCookie(t *testing.T) {
	past := "Expires=Thu, 01 Jan 1970 00:00:00 GMT"
	for _, test := range []struct {
		sent, line string
		want       []string
	}{
		{"", "a=1; Path=/", []string{"a=1; Path=/"}},
		{"", "a=1; HttpOnly", []string{"a=1; HttpOnly"}},
		{"", "a=1; Domain=shop.localhost", []string{"a=1; Domain=fix-ui.shop.localhost"}},
		{"", "a=1; domain=.SHOP.localhost; Secure", []string{"a=1; Secure; Domain=fix-ui.shop.localhost"}},
		{"", "a=1; Domain=admin.shop.localhost; HttpOnly", []string{"a=1; HttpOnly; Domain=admin.fix-ui.shop.localhost"}},
		{"", "a=1; Domain=fix-ui.shop.localhost; HttpOnly", []string{"a=1; Domain=fix-ui.shop.localhost; HttpOnly"}},
		{"", "a=1; Domain=example.com; HttpOnly", []string{"a=1; Domain=example.com; HttpOnly"}},
		{"", "a=1; Domain=localhost; HttpOnly", []string{"a=1; Domain=localhost; HttpOnly"}}, // refused by browsers
		{"", "a=1=2; Domain=shop.localhost; HttpOnly", []string{"a~worktree=1=2; HttpOnly; Domain=fix-ui.shop.localhost"}},
		{"", "__Secure-a=1; Secure; HttpOnly; Domain=shop.localhost", []string{"__Secure-a~worktree=1; Secure; HttpOnly; Domain=fix-ui.shop.localhost"}},
		// Removed: an empty one stays.
		{"a~worktree=1", "a=; Domain=shop.localhost; HttpOnly; Max-Age=0", []string{"a~worktree=; HttpOnly; Domain=fix-ui.shop.localhost"}},
		{"a~worktree=1", "a=; Domain=shop.localhost; HttpOnly; " + past, []string{"a~worktree=; HttpOnly; Domain=fix-ui.shop.localhost"}},
		{"b=1; a~worktree=1", "a=; Domain=shop.localhost; " + past, []string{
			"a=; " + past + "; Domain=fix-ui.shop.localhost", "a~worktree=; Domain=fix-ui.shop.localhost"}},
		{"b=1", "a=; Domain=shop.localhost; " + past, []string{"a=; " + past + "; Domain=fix-ui.shop.localhost"}},
		// It was one with HttpOnly before.
		{"a~worktree=1", "a=2; Domain=shop.localhost; Path=/x", []string{
			"a=2; Path=/x; Domain=fix-ui.shop.localhost", "a~worktree=; Path=/x; Domain=fix-ui.shop.localhost; Max-Age=0"}},
	} {
		o := inWorktree(t, test.sent)
		h := http.Header{"Set-Cookie": {test.line}}
		o.Cookies(h)
		if diff := cmp.Diff(test.want, h["Set-Cookie"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.line, diff)
		}
	}
	o := inWorktree(t, "")
	o.Relocation = nil
	h := http.Header{"Set-Cookie": {"a=1; Domain=shop.localhost; HttpOnly"}}
	o.Cookies(h)
	if h.Get("Set-Cookie") != "a=1; Domain=shop.localhost; HttpOnly" {
		t.Errorf("in the main worktree: %s", h.Get("Set-Cookie"))
	}
}

// TestOwnCookies: the upstream gets its own cookies by their names, and not the main
// worktree's of these names.
func TestOwnCookies(t *testing.T) {
	for sent, want := range map[string]string{
		"":                             "",
		"a=1;b=2":                      "a=1;b=2",
		"a=main; a~worktree=1=2; b=3":  "a=1=2; b=3",
		"a~worktree=1; a=main":         "a=1",
		"a~worktree=; a=main":          "",
		"a~worktree=; a=main; b=2|c=3": "b=2; c=3",
		"a=main|a~worktree=1":          "a=1",
		"a~worktree":                   "a",
	} {
		var lines []string
		if sent != "" {
			lines = strings.Split(sent, "|")
		}
		got := OwnCookies(lines)
		if joined := strings.Join(got, "|"); joined != want || want == "" && got != nil && len(got) > 0 {
			t.Errorf("%q becomes %q, want %q", sent, joined, want)
		}
		if !strings.Contains(sent, ownSuffix) && !slices.Equal(got, lines) {
			t.Errorf("%q changes", sent)
		}
	}
}
