package answer

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func site() map[string]string {
	return map[string]string{
		"index.html":        "home",
		"about.html":        "about",
		"both.html":         "both page",
		"both/index.html":   "both folder",
		"guide/index.html":  "guide",
		"guide/a b.txt":     "spaced",
		"assets/app.js":     "let a",
		"assets/app.js.map": "{}",
		"100%.txt":          "percent",
		"a:b/index.html":    "colon",
		"UPPER.TXT":         "upper",
	}
}

func TestFiles(t *testing.T) {
	tests := []struct {
		rest     string
		status   int
		body     string
		location string
		kind     string
	}{
		{rest: "/", status: 200, body: "home", kind: "text/html; charset=utf-8"},
		{rest: "/index.html", status: 200, body: "home", kind: "text/html; charset=utf-8"},
		{rest: "/about", status: 200, body: "about", kind: "text/html; charset=utf-8"},
		{rest: "/about/", status: 404},
		{rest: "/both", status: 200, body: "both page", kind: "text/html; charset=utf-8"},
		{rest: "/both/", status: 200, body: "both folder", kind: "text/html; charset=utf-8"},
		{rest: "/guide/", status: 200, body: "guide", kind: "text/html; charset=utf-8"},
		{rest: "/guide/a%20b.txt", status: 200, body: "spaced", kind: "text/plain; charset=utf-8"},
		{rest: "/assets/app.js", status: 200, body: "let a", kind: "text/javascript; charset=utf-8"},
		{rest: "/assets/app.js.map", status: 200, body: "{}", kind: "application/json"},
		{rest: "/100%25.txt", status: 200, body: "percent", kind: "text/plain; charset=utf-8"},
		{rest: "/UPPER.TXT", status: 200, body: "upper", kind: "text/plain; charset=utf-8"},
		// A folder is sent to its slash, relative to where the visitor sees it.
		{rest: "", status: 302, location: "./p/?q=1"},
		{rest: "/guide", status: 302, location: "./guide/?q=1"},
		{rest: "/a%3Ab", status: 302, location: "./a%3Ab/?q=1"},
		{rest: "/a:b", status: 302, location: "./a:b/?q=1"},
		// No listing, and a file is not a folder.
		{rest: "/assets/", status: 404},
		{rest: "/assets", status: 404},
		{rest: "/about.html/", status: 404},
		{rest: "/assets/app.js/x", status: 404},
		{rest: "/nothing", status: 404},
	}
	f := tree(t, site())
	for _, test := range tests {
		w, err := get(f, "GET", test.rest, "q=1", nil)
		if got := status(w, err); got != test.status {
			t.Errorf("%q: status %d (%v), want %d", test.rest, got, err, test.status)
			continue
		}
		got := []string{w.Body.String(), w.Header().Get("Location"), w.Header().Get("Content-Type")}
		if diff := cmp.Diff([]string{test.body, test.location, test.kind}, got); diff != "" {
			t.Errorf("%q:\n%s", test.rest, diff)
		}
		if err == nil && w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%q: edits would not show: %v", test.rest, w.Header())
		}
	}
}

func TestFilesSPA(t *testing.T) {
	page := http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
	script := http.Header{"Accept": {"*/*"}}
	tests := []struct {
		rest   string
		header http.Header
		body   string // empty means 404
	}{
		{"/", page, "home"},
		{"/cart/7", page, "home"},
		{"/cart/7", script, "home"},
		{"/cart/", nil, "home"},
		{"/assets/", page, "home"},
		{"/users/john.doe", page, "home"},
		{"/assets/gone.js", script, ""},
		{"/assets/gone.js", nil, ""},
		{"/about", page, "about"},
		// A path that must not be looked up is not an unknown path.
		{"/.env", page, ""},
		{"/.well-known/x", page, ""},
		{"/a%2Fb", page, ""},
	}
	f := tree(t, site())
	f.SPA = true
	for _, test := range tests {
		w, err := get(f, "GET", test.rest, "", test.header)
		want := 200
		if test.body == "" {
			want = 404
		}
		if got := status(w, err); got != want || w.Body.String() != test.body {
			t.Errorf("%q: %d %q, want %d %q", test.rest, got, w.Body, want, test.body)
		}
	}
}

func TestFilesOwnNotFoundPage(t *testing.T) {
	f := tree(t, map[string]string{"404.html": "<h1>gone</h1>"})
	for _, rest := range []string{"/nothing", "/.env", "/", ""} {
		w, err := get(f, "GET", rest, "", nil)
		if err != nil || w.Code != 404 || w.Body.String() != "<h1>gone</h1>" {
			t.Errorf("%q: %d %q, %v", rest, w.Code, w.Body, err)
		}
	}
	w, err := get(f, "HEAD", "/nothing", "", nil)
	if err != nil || w.Code != 404 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "13" {
		t.Errorf("HEAD: %d %q %v, %v", w.Code, w.Body, w.Header(), err)
	}
}

func TestFilesMethods(t *testing.T) {
	f := tree(t, site())
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
		_, err := get(f, method, "/about", "", nil)
		want := &MethodError{Method: method, Allow: []string{"GET", "HEAD"}}
		var got *MethodError
		if !errors.As(err, &got) || !cmp.Equal(got, want) {
			t.Errorf("%s: %v", method, err)
		}
	}
	w, err := get(f, "HEAD", "/about", "", nil)
	if err != nil || w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "5" {
		t.Errorf("HEAD: %d %q %v, %v", w.Code, w.Body, w.Header(), err)
	}
}

func TestFilesConditional(t *testing.T) {
	f := tree(t, site())
	first, err := get(f, "GET", "/about", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	tag := http.Header{"If-None-Match": {first.Header().Get("ETag")}}
	if w, err := get(f, "GET", "/about", "", tag.Clone()); err != nil || w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("the same file: %d %q, %v", w.Code, w.Body, err)
	}
	// An edit of the same length within the same second is a new file.
	path := filepath.Join(f.Dir, "about.html")
	write(t, path, "ABOUT")
	if err := os.Chtimes(path, saved(), saved().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if w, err := get(f, "GET", "/about", "", tag.Clone()); err != nil || w.Code != 200 || w.Body.String() != "ABOUT" {
		t.Errorf("after an edit: %d %q, %v", w.Code, w.Body, err)
	}
	if w, _ := get(f, "GET", "/about", "", http.Header{"If-Match": {`"other"`}}); w.Code != 412 {
		t.Errorf("If-Match: %d", w.Code)
	}
	since := http.Header{"If-Modified-Since": {saved().Add(time.Hour).Format(http.TimeFormat)}}
	if w, _ := get(f, "GET", "/about", "", since); w.Code != 304 {
		t.Errorf("If-Modified-Since: %d", w.Code)
	}
}

// TestFilesKeepsRouteHeaders: a route's headers win over the defaults.
func TestFilesKeepsRouteHeaders(t *testing.T) {
	f := tree(t, site())
	for rest, field := range map[string]string{"/about": "Content-Type", "/assets/app.js": "Cache-Control", "/guide": "Cache-Control"} {
		w := httptest.NewRecorder()
		w.Header().Set(field, "of/route")
		if err := Files(w, httptest.NewRequest("GET", "/p"+rest, nil), f, rest); err != nil || w.Header().Get(field) != "of/route" {
			t.Errorf("%s: %v, %v", rest, w.Header(), err)
		}
	}
}

func TestFilesFolderComesAndGoes(t *testing.T) {
	f := tree(t, site())
	moved := f.Dir + ".old"
	if err := os.Rename(f.Dir, moved); err != nil {
		t.Fatal(err)
	}
	_, err := get(f, "GET", "/about", "", nil)
	var missing *NotFoundError
	if !errors.As(err, &missing) || !missing.DirMissing || missing.Dir != f.Dir {
		t.Fatalf("without the folder: %v", err)
	}
	write(t, f.Dir, "a file in its place")
	if _, err := get(f, "GET", "/about", "", nil); !errors.As(err, &missing) || !missing.DirMissing {
		t.Errorf("a file in its place: %v", err)
	}
	if err := os.Remove(f.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(moved, f.Dir); err != nil {
		t.Fatal(err)
	}
	if w, err := get(f, "GET", "/about", "", nil); err != nil || w.Body.String() != "about" {
		t.Errorf("once it is back: %q, %v", w.Body, err)
	}
}
