package answer

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPrecompressed(t *testing.T) {
	tests := []struct {
		accept string
		body   string
	}{
		{"", "plain"},
		{"gzip", "GZ"},
		{"x-gzip", "GZ"},
		{"GZIP", "GZ"},
		{"br", "BR"},
		{"gzip, deflate, br, zstd", "BR"},
		{"br;q=0.5, gzip;q=0.8", "GZ"},
		{"br;q=0.5, gzip;q=0.5", "BR"},
		{"br;q=0, gzip", "GZ"},
		{"br ; q=0 , gzip ; q=0.000", "plain"},
		{"*", "BR"},
		{"*;q=0.5, br;q=0", "GZ"},
		{"*;q=0", "plain"},
		{"identity", "plain"},
		{"identity;q=0.5, gzip;q=0.2", "plain"},
		{"gzip;q=0.001", "GZ"},
		{"gzip;q=nonsense", "plain"},
		{"gzip;q=NaN", "plain"},
		{"gzip;q=7", "plain"},
		{"deflate", "plain"},
		{"brr", "plain"},
	}
	f := tree(t, map[string]string{
		"app.js": "plain", "app.js.br": "BR", "app.js.gz": "GZ",
		"bare.css": "bare",
		"only.gz":  "archive",
		"noext":    "plain", "noext.gz": "GZ",
	})
	coding := map[string]string{"plain": "", "BR": "br", "GZ": "gzip"}
	for _, test := range tests {
		w, err := get(f, "GET", "/app.js", "", http.Header{"Accept-Encoding": {test.accept}})
		if err != nil || w.Body.String() != test.body || w.Header().Get("Content-Encoding") != coding[test.body] {
			t.Errorf("%q: %q %v, %v; want %q", test.accept, w.Body, w.Header(), err, test.body)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%q: %v", test.accept, w.Header())
		}
	}
	all := http.Header{"Accept-Encoding": {"br, gzip"}}
	for rest, kind := range map[string]string{"/bare.css": "text/css; charset=utf-8", "/only.gz": "application/gzip"} {
		w, err := get(f, "GET", rest, "", all.Clone())
		if err != nil || w.Code != 200 || w.Header().Get("Content-Encoding") != "" || w.Header().Get("Vary") != "" || w.Header().Get("Content-Type") != kind {
			t.Errorf("%s: %d %v, %v", rest, w.Code, w.Header(), err)
		}
	}
	if w, err := get(f, "GET", "/only", "", all.Clone()); status(w, err) != 404 {
		t.Errorf("a sibling without its file: %d %q", status(w, err), w.Body)
	}
	w, _ := get(f, "GET", "/noext", "", all.Clone())
	if w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("compressed bytes were sniffed: %v", w.Header())
	}
}

// TestPrecompressedStale has a sibling that an earlier build left behind.
func TestPrecompressedStale(t *testing.T) {
	f := tree(t, map[string]string{"app.js": "new", "app.js.gz": "OLD"})
	path := filepath.Join(f.Dir, "app.js.gz")
	if err := os.Chtimes(path, saved(), saved().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	w, err := get(f, "GET", "/app.js", "", http.Header{"Accept-Encoding": {"gzip"}})
	if err != nil || w.Body.String() != "new" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("%q %v, %v", w.Body, w.Header(), err)
	}
}

// TestPrecompressedTags has each coding be its own representation: a range of
// one must not be joined to another (RFC 9110 section 8.8.3.3).
func TestPrecompressedTags(t *testing.T) {
	f := tree(t, map[string]string{"app.js": "plain, longer", "app.js.gz": "GZ"})
	plain, _ := get(f, "GET", "/app.js", "", nil)
	w, _ := get(f, "GET", "/app.js", "", http.Header{
		"Accept-Encoding": {"gzip"},
		"Range":           {"bytes=1-"},
		"If-Range":        {plain.Header().Get("ETag")},
	})
	if w.Code != 200 || w.Body.String() != "GZ" {
		t.Errorf("a range of the plain file was cut from the compressed one: %d %q", w.Code, w.Body)
	}
}
