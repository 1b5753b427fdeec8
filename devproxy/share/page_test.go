package share

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pages are all pages of a share.
func pages() map[string]*reply {
	return map[string]*reply{
		"login":      (&gate{}).loginPage(`/cart?a="><script>&b=1`),
		"wrong":      (&gate{}).wrongPassword("/"),
		"incomplete": mustRefuse(),
		"toomany":    tooMany(14500 * time.Millisecond),
		"over":       over(time.Date(2026, 11, 22, 15, 4, 0, 0, time.UTC)),
		"nothing":    noSuchPage(),
	}
}

func mustRefuse() *reply {
	q := &request{share: &Share{}}
	return q.refuse()
}

var styleElement = regexp.MustCompile(`(?s)<style>.*</style>`)

// The pages are those in testdata; UPDATE=1 go test writes them.
func TestPages(t *testing.T) {
	for name, page := range pages() {
		w := httptest.NewRecorder()
		page.write(w, browse(ask("GET", single, "/")))
		html := styleElement.ReplaceAll(w.Body.Bytes(), []byte("<style>STYLE\n</style>"))
		golden(t, name+".html", html)
		w = httptest.NewRecorder()
		page.write(w, ask("GET", single, "/"))
		golden(t, name+".txt", w.Body.Bytes())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))) {
		t.Errorf("%s is now\n%s", name, got)
	}
}

func TestPageHeaders(t *testing.T) {
	s := mustNew(t, withPassword())
	for name, test := range map[string]struct {
		r    *http.Request
		html bool
	}{
		"a browser":  {browse(ask("GET", single, "/")), true},
		"HEAD":       {browse(ask("HEAD", single, "/")), true},
		"an old one": {ask("GET", single, "/", "Accept", "text/html"), true},
		"curl":       {ask("GET", single, "/", "Accept", "*/*"), false},
		"fetch":      {ask("GET", single, "/", "Accept", "text/html", "Sec-Fetch-Mode", "cors"), false},
		"a script":   {ask("GET", single, "/", "Accept", "*/*", "Sec-Fetch-Dest", "script"), false},
		"an iframe":  {ask("GET", single, "/", "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"), true},
		"a frame":    {ask("GET", single, "/", "Accept", "text/html", "Sec-Fetch-Dest", "frame"), true},
		"an object":  {ask("GET", single, "/", "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "object"), false},
		"no HTML":    {ask("GET", single, "/", "Accept", "text/html;q=0"), false},
	} {
		_, w := admit(s, test.r)
		h := w.Header()
		if got := strings.HasPrefix(h.Get("Content-Type"), "text/html"); got != test.html || w.Code != 401 {
			t.Errorf("%s: %d %s", name, w.Code, h.Get("Content-Type"))
		}
		if got := h.Get("Content-Security-Policy") != ""; got != test.html {
			t.Errorf("%s: policy %q", name, h.Get("Content-Security-Policy"))
		}
		if empty := w.Body.Len() == 0; empty != (test.r.Method == "HEAD") {
			t.Errorf("%s: a body of %d bytes", name, w.Body.Len())
		}
		if n := h.Get("Content-Length"); n == "" || w.Body.Len() > 0 && n != strconv.Itoa(w.Body.Len()) {
			t.Errorf("%s: Content-Length %q of %d bytes", name, n, w.Body.Len())
		}
		for field, want := range map[string]string{
			"Cache-Control": "no-store", "X-Robots-Tag": "noindex", "Referrer-Policy": "same-origin",
			"X-Content-Type-Options": "nosniff", "Www-Authenticate": `Bearer realm="share"`,
			"Vary": "Accept, Cookie, Sec-Fetch-Dest, Sec-Fetch-Mode",
		} {
			if h.Get(field) != want {
				t.Errorf("%s: %s is %q, want %q", name, field, h.Get(field), want)
			}
		}
	}
}

// TestARedirectHasNoBody: neither for a person nor for a program.
func TestARedirectHasNoBody(t *testing.T) {
	for _, r := range []*http.Request{browse(ask("GET", single, "/a")), ask("GET", single, "/a")} {
		_, w := admitFrom(mustNew(t, oneHost()), r, Visitor{Scheme: "http", Host: single})
		if w.Code != 307 || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "0" || w.Header().Get("Content-Type") != "" {
			t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
		}
	}
}

// No page of a share says where it comes from.
func TestPagesNameNothing(t *testing.T) {
	s := mustNew(t, withPassword())
	for _, r := range []*http.Request{
		ask("GET", single, "/"), ask("GET", single, "/.env"), ask("GET", single, "/@fs/home/me/shop/.env"),
		ask("GET", "x.example", "/"), sendPassword(single, "wrong"),
	} {
		_, w := admit(s, browse(r))
		for _, word := range []string{"localhost", "8443", "/home", "Proxyfile", "203.0.113", ".env"} {
			if strings.Contains(w.Body.String(), word) {
				t.Errorf("%s %s: the page names %s", r.Host, r.URL, word)
			}
		}
	}
}
