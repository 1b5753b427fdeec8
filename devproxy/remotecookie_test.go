package devproxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
)

// TestCookiesOfRemoteUpstreams: a cookie that an upstream sets for its own domain is
// one of the local host, and of the public one in a share; also from a cache.
func TestCookiesOfRemoteUpstreams(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Add("Set-Cookie", "a="+r.Host+"; Domain=.example.com; Path=/in; Secure; SameSite=None; Partitioned")
		w.Header().Add("Set-Cookie", "__Host-b=1; Path=/; Secure")
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf(`
host "shop.localhost" {
  upstream        = %q
  request_headers = { Host = "app.example.com" }
  route "/api" {
    strip_prefix = true
    cache        = true
  }
}
`, app.URL), nil)
	for path, want := range map[string]string{
		"/":      "a=app.example.com; Path=/in; Secure; SameSite=None; Partitioned",
		"/api/x": "a=app.example.com; Path=/api/in; Secure; SameSite=None; Partitioned",
	} {
		for range 2 {
			for who, got := range map[string]reply{"local": s.get(s.url(path)), "a visitor": s.visit(path)} {
				lines := got.header.Values("Set-Cookie")
				if len(lines) != 2 || lines[0] != want || lines[1] != "__Host-b=1; Path=/; Secure" {
					t.Errorf("%s at %s: %q, want %q", who, path, lines, want)
				}
			}
		}
	}
}

// TestCookiesOfSockets: the cookie of a WebSocket's handshake, by which balancers
// know a browser again, is mapped too.
func TestCookiesOfSockets(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "lb=1; Domain=.example.com; Path=/; Secure")
		if conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}); err == nil {
			_ = conn.Close(websocket.StatusNormalClosure, "")
		}
	}))
	t.Cleanup(app.Close)
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  request_headers = { Host = \"app.example.com\" }\n}\n", app.URL), nil)
	conn, response, err := websocket.Dial(t.Context(), s.url("/ws"), &websocket.DialOptions{HTTPClient: s.client(false)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	_, shared := s.openShared("/ws")
	for who, header := range map[string]http.Header{"local": response.Header, "a visitor": shared} {
		if got := header.Get("Set-Cookie"); got != "lb=1; Path=/; Secure" {
			t.Errorf("%s: %q", who, got)
		}
	}
}
