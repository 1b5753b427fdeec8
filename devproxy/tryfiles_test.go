package devproxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// TestTryFiles: files come before the app, with the route's headers; what is not one
// reaches the app, also in a share, which hides what it hides from both.
func TestTryFiles(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "app "+r.Method+" "+r.RequestURI)
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf(`
host "shop.localhost" {
  upstream         = %[1]q
  try_files        = "public"
  response_headers = { X-Set = "{path}" }

  route "/assets" { response_headers = { Cache-Control = "max-age=60" } }
  route "/api" { upstream = %[1]q }
  route "/raw" { try_files = null }
  route "/static" {
    upstream     = %[1]q
    try_files    = "public"
    strip_prefix = true
    cache        = true
    compress     = true
  }
}
`, app.URL), nil)
	save := func(name, text string) {
		t.Helper()
		path := filepath.Join(s.folder, "public", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.get(s.url("/robots.txt")); got.body != "app GET /robots.txt" {
		t.Errorf("before the folder is there: %q", got.body)
	}
	save("robots.txt", "file")
	save("assets/a.js", "asset")
	save("api/x.js", "not looked up")
	save("raw/x.js", "not looked up")
	save("server.pem", "secret")
	save("index.php", "source")
	for path, want := range map[string]string{
		"/robots.txt": "file", "/robots.txt?v=1": "file", "/assets/a.js": "asset", "/static/robots.txt": "file", "/static/assets/a.js": "asset",
		"/": "app GET /", "/assets": "app GET /assets", "/assets/": "app GET /assets/", "/api/x.js": "app GET /api/x.js", "/raw/x.js": "app GET /raw/x.js",
		"/static/gone.js": "app GET /gone.js", "/index.php": "app GET /index.php", "/static/index.php": "app GET /index.php",
	} {
		if got := s.get(s.url(path)); got.status != 200 || got.body != want || got.header.Get("X-Set") == "" {
			t.Errorf("%s: %d %q %v, want %q", path, got.status, got.body, got.header, want)
		}
		if got := s.visit(path); got.status != 200 || got.body != want {
			t.Errorf("a visitor at %s: %d %q, want %q", path, got.status, got.body, want)
		}
	}
	if got := s.get(s.url("/assets/a.js")); got.header.Get("Cache-Control") != "max-age=60" {
		t.Errorf("%v", got.header)
	}
	for _, path := range []string{"/server.pem", "/static/server.pem"} {
		if got := s.visit(path); got.status != 404 {
			t.Errorf("a visitor at %s: %d %q", path, got.status, got.body)
		}
	}
	save("robots.txt", "edited")
	if got := s.get(s.url("/robots.txt")); got.body != "edited" {
		t.Errorf("an edit does not show: %q", got.body)
	}
	res, err := s.client(true).Post(s.url("/robots.txt"), "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "app POST /robots.txt" {
		t.Errorf("POST: %q", body)
	}
}
