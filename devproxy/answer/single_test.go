package answer

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// getOne asks a route of one path.
func getOne(f *plan.Files, method, path string, header http.Header) (*httptest.ResponseRecorder, error) {
	r := httptest.NewRequest(method, "/", nil)
	r.URL = &url.URL{Path: path}
	if header != nil {
		r.Header = header
	}
	w := httptest.NewRecorder()
	return w, File(w, r, f, path[strings.LastIndexByte(path, '/'):])
}

// TestFile: a route of one path serves its file, whatever the path is.
func TestFile(t *testing.T) {
	f := tree(t, map[string]string{"sw.js": "let a", "plain": "text", ".env": secret, "404.html": "none", "sub/x.js": "x"})
	single := func(name string) *plan.Files {
		return &plan.Files{Dir: filepath.Join(f.Dir, filepath.FromSlash(name)), Text: "public/" + name, Within: f.Within}
	}
	w, err := getOne(single("sw.js"), "GET", "/worker", nil)
	if status(w, err) != 200 || w.Body.String() != "let a" || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache" || w.Header().Get("ETag") == "" {
		t.Errorf("%d %q %v, %v", status(w, err), w.Body, w.Header(), err)
	}
	again, err := getOne(single("sw.js"), "GET", "/worker", http.Header{"If-None-Match": {w.Header().Get("ETag")}})
	if status(again, err) != 304 {
		t.Errorf("with its tag: %d, %v", status(again, err), err)
	}
	if w, err := getOne(single("sw.js"), "GET", "/worker", http.Header{"Range": {"bytes=1-2"}}); status(w, err) != 206 || w.Body.String() != "et" {
		t.Errorf("range: %d %q, %v", status(w, err), w.Body, err)
	}
	if w, err := getOne(single("sw.js"), "HEAD", "/worker", nil); status(w, err) != 200 || w.Body.Len() > 0 {
		t.Errorf("HEAD: %d, %v", status(w, err), err)
	}
	if w, err := getOne(single("sw.js"), "POST", "/worker", nil); status(w, err) != 405 {
		t.Errorf("POST: %d, %v", status(w, err), err)
	}
	for _, name := range []string{"gone.js", ".env", "gone/x.js", "sw.js/x"} {
		w, err := getOne(single(name), "GET", "/worker", nil)
		if missing := (*NotFoundError)(nil); status(w, err) != 404 || !errors.As(err, &missing) || !missing.Single {
			t.Errorf("%s: %d, %v", name, status(w, err), err)
		}
	}
	// Clients of a well-known path insist on its type.
	write(t, filepath.Join(f.Dir, "association"), `{"applinks":{}}`)
	for path, want := range map[string]string{"/.well-known/apple-app-site-association": "application/json", "/association": "text/plain; charset=utf-8"} {
		if w, err := getOne(single("association"), "GET", path, nil); status(w, err) != 200 || w.Header().Get("Content-Type") != want {
			t.Errorf("%s: %d %v, %v", path, status(w, err), w.Header(), err)
		}
	}
	// It is found as soon as it is there, and when a folder takes its place.
	write(t, filepath.Join(f.Dir, "gone.js"), "back")
	if w, err := getOne(single("gone.js"), "GET", "/worker", nil); w.Body.String() != "back" {
		t.Errorf("a file that appeared: %v", err)
	}
	if w, err := getOne(single("sub"), "GET", "/a/x.js", nil); w.Body.String() != "x" {
		t.Errorf("a folder: %v", err)
	}
}

// TestFileBehindLinks: a link must not lead out of the file's folder, and the folder
// not out of what the Proxyfile's user has allowed.
func TestFileBehindLinks(t *testing.T) {
	f := tree(t, map[string]string{"real.js": "let a", ".hidden": secret, "sub/x.js": "x"})
	for link, target := range map[string]string{"ok.js": "real.js", "out.js": "../secret.txt", "dot.js": ".hidden", "away": ".."} {
		if err := os.Symlink(target, filepath.Join(f.Dir, link)); err != nil {
			t.Skip("this system has no links: ", err)
		}
	}
	dir, err := filepath.EvalSymlinks(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ok.js": "let a", "sub/x.js": "x", "out.js": "", "dot.js": "", "away/secret.txt": ""} {
		w, err := getOne(&plan.Files{Dir: filepath.Join(f.Dir, filepath.FromSlash(name)), Text: name, Within: dir}, "GET", "/worker", nil)
		if (err == nil) != (want != "") || want != "" && w.Body.String() != want || strings.Contains(w.Body.String(), secret) {
			t.Errorf("%s: %q, %v", name, w.Body, err)
		}
	}
}

// TestFileOutside: outside the project the file alone was allowed, and no other one
// that its path leads to later.
func TestFileOutside(t *testing.T) {
	f := tree(t, map[string]string{"a/sw.js": "let a", "b/sw.js": secret})
	dir, err := filepath.EvalSymlinks(f.Dir)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(f.Dir, "link")
	if err := os.Symlink("a", link); err != nil {
		t.Skip("this system has no links: ", err)
	}
	single := &plan.Files{Dir: filepath.Join(link, "sw.js"), Text: "link/sw.js", Within: filepath.Join(dir, "a", "sw.js")}
	if w, err := getOne(single, "GET", "/sw.js", nil); err != nil || w.Body.String() != "let a" {
		t.Errorf("%q, %v", w.Body, err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("b", link); err != nil {
		t.Fatal(err)
	}
	if w, err := getOne(single, "GET", "/sw.js", nil); status(w, err) != 500 || strings.Contains(w.Body.String(), secret) {
		t.Errorf("another file: %d %q, %v", status(w, err), w.Body, err)
	}
}

// TestFileOfFolder: a route of one path looks its own name up in a folder.
func TestFileOfFolder(t *testing.T) {
	f := tree(t, map[string]string{"robots.txt": "none", "about.html": "about", "docs/index.html": "docs", "index.html": "home"})
	for _, test := range []struct{ path, body string }{ // no body for 404
		{"/robots.txt", "none"},
		{"/a/b/robots.txt", "none"},
		{"/about", "about"},
		{"/docs", "docs"}, // no redirect to "/docs/", which is not the route's
		{"/docs/", "home"},
		{"/", "home"},
		{"/other", "home"},
		{"/gone.txt", ""},
		{"/.env", ""},
	} {
		w, err := getOne(f, "GET", test.path, nil)
		if got := status(w, err); test.body == "" && got != 404 || test.body != "" && (got != 200 || w.Body.String() != test.body) {
			t.Errorf("%s: %d %q, %v", test.path, got, w.Body, err)
		}
	}
}
