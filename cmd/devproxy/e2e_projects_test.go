//go:build e2e && unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"golang.org/x/crypto/bcrypt"
)

// echoSocket answers each message of a WebSocket; anything else goes on.
func echoSocket(otherwise http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			otherwise.ServeHTTP(w, r)
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, Subprotocols: []string{"vite-hmr", "actioncable-v1-json"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, append([]byte("re: "), message...)) != nil {
				return
			}
		}
	})
}

// socket says something on a WebSocket and wants its echo.
func (p *project) socket(path, protocol string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, p.url(p.host, path), &websocket.DialOptions{HTTPClient: p.client("h1"), Subprotocols: []string{protocol}})
	if err != nil {
		p.t.Errorf("%s: %v", path, err)
		return
	}
	defer c.CloseNow()
	if err := c.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		p.t.Error(err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != "re: hello" || c.Subprotocol() != protocol {
		p.t.Errorf("%s: %q %v, protocol %q", path, got, err, c.Subprotocol())
	}
}

func TestE2EProjectViteGo(t *testing.T) {
	text := strings.Repeat("compressible ", 1000)
	api := http.NewServeMux()
	api.Handle("/", named("api"))
	api.HandleFunc("/api/text", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, text)
	})
	p := startProject(t, "vite-go", "shop.localhost", map[int]http.Handler{5173: echoSocket(named("vite")), 8080: api})
	p.wants(map[string]string{
		"GET /":              "200 vite GET /",
		"GET /src/main.ts?t": "200 vite GET /src/main.ts?t",
		"GET /apiary":        "200 vite GET /apiary",
		"GET /api/users?a=b": "200 api GET /api/users?a=b",
		"POST /api/upload":   "200 api POST /api/upload",
	})
	p.socket("/", "vite-hmr")
	client := p.client("h2")
	if a := p.ask(client, "GET /api/text", nil, "Accept-Encoding", "gzip"); a.Header.Get("Content-Encoding") != "gzip" || len(a.body) > len(text)/2 {
		t.Errorf("%d bytes, %v", len(a.body), a.Header)
	}
	if a := p.ask(client, "POST /api/upload", bytes.NewReader(make([]byte, 25_000_001))); a.StatusCode != 413 {
		t.Errorf("an upload that is too large: %s", a.Status)
	}
	if a := p.ask(client, "POST /api/upload", bytes.NewReader(make([]byte, 25_000_000))); a.StatusCode != 200 {
		t.Errorf("an upload: %s", a.Status)
	}
}

func TestE2EProjectNextAuth(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Cookie")) })
	auth := http.NewServeMux()
	auth.Handle("/", named("auth"))
	auth.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s1", Domain: "app.localhost", Path: "/", Secure: true, HttpOnly: true})
		http.SetCookie(w, &http.Cookie{Name: "own", Value: "o1", Path: "/", Secure: true})
	})
	p := startProject(t, "next-auth", "app.localhost", map[int]http.Handler{3000: app, 3001: auth})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := p.client("h2")
	client.Jar = jar
	p.ask(client, "GET auth.app.localhost/login", nil)
	if a := p.ask(client, "GET /", nil); a.body != "session=s1" {
		t.Errorf("the app gets the cookies %q", a.body)
	}
	p.origins("GET auth.app.localhost/api/auth/session", map[string]bool{
		p.url("app.localhost", ""): true, "https://evil.example": false, "https://evil-app.localhost": false, "null": false,
	})
	const callback = "POST auth.app.localhost/api/auth/callback"
	for i := range 5 {
		if a := p.ask(client, callback, nil); a.StatusCode != 200 {
			t.Errorf("sign-in %d: %s", i+1, a.Status)
		}
	}
	if a := p.ask(client, callback, nil); a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
		t.Errorf("the sixth sign-in: %s %v", a.Status, a.Header)
	}
	if a := p.ask(client, "GET auth.app.localhost/api/auth/callback", nil); a.StatusCode != 200 {
		t.Errorf("next to the limit: %s", a.Status)
	}
}

func TestE2EProjectRails(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	p := startProject(t, "rails", "blog.localhost", map[int]http.Handler{28080: echoSocket(named("cable"))},
		"$2y$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234", string(hash))
	sockets := filepath.Join(p.dir, "tmp", "sockets")
	if err := os.MkdirAll(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(sockets, "puma.sock"))
	if err != nil {
		t.Fatal(err)
	}
	puma := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "puma %s %s ssl=%s", r.URL.Path, r.Host, r.Header.Get("X-Forwarded-Ssl"))
	})}
	go func() { _ = puma.Serve(ln) }()
	t.Cleanup(func() { _ = puma.Close() })
	client := p.client("h2")
	if a := p.ask(client, "GET /posts", nil); a.body != fmt.Sprintf("puma /posts blog.localhost:%d ssl=on", p.addr.Port()) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	p.socket("/cable", "actioncable-v1-json")
	if a := p.ask(client, "GET /assets/app.css", nil); a.StatusCode != 200 || a.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("an asset: %s %v", a.Status, a.Header)
	}
	for path, want := range map[string]int{"/sidekiq": 401, "/sidekiq/queues": 401, "/sidekiq/healthz": 200, "/sidekiq/healthz/x": 401} {
		if a := p.ask(client, "GET "+path, nil); a.StatusCode != want || (want == 401) != strings.HasPrefix(a.Header.Get("Www-Authenticate"), "Basic ") {
			t.Errorf("%s: %s %v", path, a.Status, a.Header)
		}
	}
	for credentials, want := range map[string]int{"YWRtaW46c2VjcmV0": 200, "YWRtaW46d3Jvbmc=": 401, "cm9vdDpzZWNyZXQ=": 401} {
		if a := p.ask(client, "GET /sidekiq", nil, "Authorization", "Basic "+credentials); a.StatusCode != want {
			t.Errorf("%s: %s, want %d", credentials, a.Status, want)
		}
	}
}

func TestE2EProjectMonorepo(t *testing.T) {
	admin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "admin %s prefix=%s", r.RequestURI, r.Header.Get("X-Forwarded-Prefix"))
	})
	p := startProject(t, "monorepo", "acme.localhost", map[int]http.Handler{
		5173: named("store"), 5174: admin, 4001: named("v1"), 4002: named("v2"), 4003: named("next"),
	})
	p.wants(map[string]string{
		"GET /cart":                  "200 store GET /cart",
		"GET /admin":                 "200 admin / prefix=/admin",
		"GET /admin/users?a":         "200 admin /users?a prefix=/admin",
		"GET /api/items?a=b":         "200 v1 GET /v1/items?a=b",
		"GET /api/v2/items":          "200 v2 GET /v2/items",
		"GET /api/items?preview=yes": "200 next GET /api/items?preview=yes",
		"GET /api/items?preview=no":  "200 v1 GET /v1/items?preview=no",
	})
	if a := p.ask(p.client("h2"), "GET /api/items", nil, "X-Preview", "1"); a.body != "next GET /api/items" {
		t.Errorf("with X-Preview: %s", a.body)
	}
}

func TestE2EProjectTenants(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		fmt.Fprint(w, "app of ", host)
	})
	p := startProject(t, "tenants", "tenants.localhost", map[int]http.Handler{3000: app, 3001: named("api"), 3002: named("branding")})
	p.wants(map[string]string{
		"GET ann.tenants.localhost/":              "200 app of ann.tenants.localhost",
		"GET bob.tenants.localhost/x":             "200 app of bob.tenants.localhost",
		"GET bob.tenants.localhost/branding/logo": "200 branding GET /branding/logo",
		"GET api.tenants.localhost/branding":      "200 api GET /branding",
	})
	p.redirects(map[string]string{"GET /a?b=c": "302 https://www.tenants.localhost/a?b=c"})
	p.origins("GET api.tenants.localhost/me", map[string]bool{
		p.url("ann.tenants.localhost", ""): true, p.url("tenants.localhost", ""): true,
		p.url("a.b.tenants.localhost", ""): false, "https://tenants.localhost.evil.example": false,
	})
}
