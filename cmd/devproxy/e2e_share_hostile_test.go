//go:build e2e && unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/tunnel/field"
)

// both are the protocols of visitors.
var both = []string{"h1", "h2"}

// spoofed are fields that visitors send to be taken for others.
var spoofed = []string{
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Server", "X-Forwarded-Prefix",
	"X-Forwarded-Ssl", "X-Forwarded-Client-Cert", "X_forwarded_for", "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
	"True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "X-Original-Forwarded-For", "X-Original-Url", "X-Rewrite-Url", "X-Host", "X-Original-Host",
	"Client-Ip", "X-Azure-Clientip", "Do-Connecting-Ip", "X-Unheard-Of-Client-Ip", "Cf-Ray", "Proxy", "Script-Name", "SCRIPT_NAME", "X-Sendfile-Type", "X-Accel-Mapping",
	"X-Middleware-Subrequest", "X-Matched-Path", "X-Prerender-Revalidate", "Remote-User", "Remote_User", "X-Auth-Request-Email", "Ssl-Client-Cert", "Tailscale-User-Login",
	"Devproxy-Hop", "Content.Type",
}

// TestE2EShareSpoofed: the app hears of the visitor from the relay alone, and
// not that this visitor is at a loopback address.
func TestE2EShareSpoofed(t *testing.T) {
	relay := startDevRelay(t)
	shop := startApp(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "shop") })
	p := relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\n", shop.URL)), nil)
	local := fmt.Sprintf("shop.localhost:%d", p.addr.Port())
	for _, protocol := range both {
		t.Run(protocol, func(t *testing.T) {
			var fields []string
			for _, name := range spoofed {
				fields = append(fields, name, "203.0.113.66")
			}
			fields = append(fields, "X-Own", "kept", "Connection", "X-Hop", "X-Hop", "dropped")
			if protocol == "h2" {
				fields = fields[:len(fields)-4]
			}
			if got := ask(t, relay.visitor(t, protocol), "GET", p.link+"/", "", fields...); got.status != 200 {
				t.Fatalf("%d %q", got.status, got.body)
			}
			seen := shop.take()
			if len(seen) != 1 {
				t.Fatalf("the app was asked %d times", len(seen))
			}
			h := seen[0].Header
			if text := fmt.Sprint(h, seen[0].RemoteAddr); strings.Contains(text, "203.0.113.66") || strings.Contains(text, "dropped") {
				t.Errorf("the app is told what the visitor made up: %s", text)
			}
			for name, want := range map[string]string{
				"X-Forwarded-For": field.Unknown.String(), "X-Real-Ip": field.Unknown.String(), "X-Forwarded-Proto": "https", "X-Forwarded-Host": local, "X-Own": "kept",
				"Forwarded": fmt.Sprintf("for=%s;host=%q;proto=https", field.Unknown, local), "Devproxy-Public-Host": p.host("shop.localhost"),
			} {
				if got := h[name]; !slices.Equal(got, []string{want}) {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if seen[0].Host != local {
				t.Errorf("Host is %q, want %q", seen[0].Host, local)
			}
		})
	}
}

// TestE2EShareAuthority requests other shares on the connection of one: 421 or
// the other share itself, and never another's content.
func TestE2EShareAuthority(t *testing.T) {
	relay := startDevRelay(t)
	single := func(name string) *sharedProject {
		return relay.share(t, projectDir(t, fmt.Sprintf("host %q { respond = { status = 200, body = %[1]q } }\nhost \"private.localhost\" {\n  respond = { status = 200, body = \"private\" }\n  share = false\n}\n", name+".localhost")), nil)
	}
	a, b := single("aa"), single("bb")
	zone := relay.share(t, projectDir(t, "host \"cc.localhost\" { respond = { status = 200, body = \"cc.localhost\" } }\nhost \"dd.localhost\" { respond = { status = 200, body = \"dd.localhost\" } }\n"), nil)
	hostA, hostB, hostC, hostD := a.host("aa.localhost"), b.host("bb.localhost"), zone.host("cc.localhost"), zone.host("dd.localhost")
	for _, protocol := range both {
		client := relay.visitor(t, protocol)
		dials := countDials(client)
		for _, step := range []struct {
			host string
			want string // the body, or the status of a refusal
		}{
			{hostA, "aa.localhost"},
			{hostB, "421"},
			{hostC, "421"},
			{hostD, "421"},
			{relay.name, "421"},
			{"aa.localhost", "421"},
			{fmt.Sprintf("aa.localhost:%d", a.addr.Port()), "421"},
			{"private.localhost", "421"},
			{"www.example.com", "421"},
			{"x." + hostA, "421"},
			{strings.ToUpper(hostA), "aa.localhost"},
			{hostA, "aa.localhost"},
		} {
			got := ask(t, client, "GET", a.link+"/", "", "Host", step.host)
			if text := fmt.Sprint(got.status); text != step.want && (got.status != 200 || got.body != step.want) {
				t.Errorf("%s: Host %s on the connection of %s: %d %q, want %s", protocol, step.host, hostA, got.status, got.body, step.want)
			}
			if got.status != 200 {
				noteLeaks(t, a, "a refusal", got.body, "aa.localhost", "private", "bb.localhost")
			}
		}
		if n := dials.Load(); n != 1 {
			t.Errorf("%s: there were %d connections, want all on one", protocol, n)
		}
		// A malformed authority is the last request of its connection.
		if got := ask(t, client, "GET", a.link+"/", "", "Host", hostA+"."); got.status != 400 {
			t.Errorf("%s: a host that ends in a dot: %d %q, want 400", protocol, got.status, got.body)
		}
		if got := ask(t, client, "GET", a.link+"/", "", "Host", hostA); got.status != 200 || dials.Load() != 2 {
			t.Errorf("%s: after it: %d %q on connection %d, want a second one", protocol, got.status, got.body, dials.Load())
		}
	}
}

// countDials counts the connections that client makes from now on.
func countDials(client *http.Client) *atomic.Int64 {
	count := new(atomic.Int64)
	transport := client.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		count.Add(1)
		return dial(ctx, network, address)
	}
	return count
}

// hiddenSpellings are paths to .env and .git as a hundred programs would read
// them. They are all legal in a request line.
var hiddenSpellings = []string{
	"/.env", "/.ENV", "/.Env", "/.env.local", "/.env.production", "/.env~", "/.env.bak", "/.env/", "//.env", "///.env", "/docs/.env", "/docs//.env",
	"/%2eenv", "/%2Eenv", "/.%65nv", "/.e%6ev", "/%2e%65%6e%76", "/%252eenv", "/%25252eenv", "/.env%20", "/.env%00", "/.env%00.html", "/.env%0a", "/.env%09",
	"/.env;x", "/.env;a=b", "/.env%3bx", "/.env%3fx", "/.env%23x", "/.env::$DATA", "/.env:x", "/.env.", "/.env...", "/.env%2e", "/%c0%aeenv", "/%e0%80%aeenv",
	"/%ef%bc%8eenv", "/%e2%80%8b.env", "/.e%c2%adnv", "/docs%2f.env", "/docs%5c.env", "/docs%252f.env", "/docs%2f%2eenv", "/%2f.env",
	"/.env?raw", "/.env?x=/ok", "/.env?import&raw??", "/docs/%2e%2e/.env", "/docs/%2e%2e%2f.env", "/docs/..%2f.env", "/docs/..;/.env", "/./.env", "/docs/../.env", "/%2e/.env",
	"/.git", "/.git/", "/.git/config", "/.GIT/config", "/.git%2fconfig", "/.git%5cconfig", "/%2egit/config", "/%252egit/config", "/docs/.git/config", "//.git//config",
	"/.git./config", "/.git%20/config", "/.git;x/config", "/.git::$INDEX_ALLOCATION/config", "/git~1/config", "/GIT~1/config", "/.g%69t/config", "/%2e%67%69%74/HEAD",
	"/docs/..%5c.git/config", "/.g%e2%80%8cit/config", "/@fs/etc/passwd", "/@fs/etc/passwd?raw", "/@FS/etc/passwd", "/%40fs/etc/passwd", "/@fs//etc/passwd",
	"/@fs/x/.env", "/@id/.env", "/@id//etc/passwd", "/@id/__x00__/etc/passwd", "/__open-in-editor", "/__open-in-editor?file=a", "/.well-known/devproxy/", "/.well-known/devproxy/ca",
	"/.well-known/devproxy/requests", "/.well-known%2fdevproxy/state", "//.well-known/devproxy/state", "/.Well-Known/devproxy/state",
}

// TestE2EShareHidden asks in every spelling for files that are there, and of an
// app that would tell everything.
func TestE2EShareHidden(t *testing.T) {
	relay := startDevRelay(t)
	tells := startApp(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "SECRET "+r.RequestURI) })
	dir := projectDir(t, fmt.Sprintf(`host "shop.localhost" {
  upstream = %q
  route "/files" { files = "." }
  route "/moved" {
    upstream = %[1]q
    rewrite  = "/.git{rest}"
  }
}
`, tells.URL))
	for _, name := range []string{".env", ".git/config", "docs/.env", "docs/.git/config", "docs/index.html"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		saveFile(t, filepath.Join(dir, name), "SECRET "+name)
	}
	p := relay.share(t, dir, nil)
	host := p.host("shop.localhost")
	for _, path := range []string{"/ok", "/environment", "/.vite/deps/x.js", "/env.js", "/files/docs/"} {
		if got := raw(t, relay, host, path); got.status != 200 {
			t.Errorf("%s is hidden by mistake: %d %q", path, got.status, got.body)
		}
	}
	tells.take()
	for _, path := range append(slices.Clone(hiddenSpellings), "/moved/config") {
		for _, prefix := range []string{"", "/files"} {
			if path == "/moved/config" && prefix != "" || prefix != "" && strings.Contains(path, ".well-known") || prefix != "" && strings.HasPrefix(path, "/@id//") {
				continue // another path, which is nobody's secret
			}
			// A path with dots that lead elsewhere is refused before: 400.
			got := raw(t, relay, host, prefix+path)
			if got.status != 404 && (got.status != 400 || !strings.Contains(unescapeDots(path), "/.")) {
				t.Errorf("HTTP/1.1 %s: %d %q, want 404", prefix+path, got.status, got.body)
			}
			if got.status == 404 && strings.Contains(got.body, "SECRET") {
				t.Errorf("%s: %q", prefix+path, got.body)
			}
		}
	}
	client := relay.visitor(t, "h2")
	for _, path := range hiddenSpellings {
		if got := opaque(t, client, host, path); got != 404 && got != 400 {
			t.Errorf("HTTP/2 %s: %d, want 404", path, got)
		}
	}
	for _, r := range tells.take() {
		t.Errorf("the app was asked for %s", r.RequestURI)
	}
}

// opaque asks with a path as it is.
func opaque(t *testing.T, client *http.Client, host, path string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rawPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "https://"+host, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "//" + host + path
	response, err := client.Do(r)
	if err != nil {
		t.Errorf("HTTP/2 %s: %v", path, err)
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// unescapeDots shows the dots of a path that are encoded once.
func unescapeDots(path string) string {
	return strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%5c", "/").Replace(path)
}

// raw asks with a target as it is, on its own connection.
func raw(t *testing.T, relay *devRelay, host, target string) answered {
	t.Helper()
	conn := relay.dialRaw(t, host)
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	return answered{response.StatusCode, response.Header, string(body)}
}

// TestE2EShareUpgrade: in a share with a gate a foreign page opens no socket,
// not even with the visitor's own cookie.
func TestE2EShareUpgrade(t *testing.T) {
	relay := startDevRelay(t)
	shop := startApp(t, socketPage)
	p := relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nshare { name = \"upgrades\" }\n", shop.URL)), nil)
	client := relay.visitor(t, "h1")
	cookie, _, _ := strings.Cut(ask(t, client, "GET", p.link, "").header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(cookie, "__Host-devproxy=") {
		t.Fatalf("the link sets the cookie %q", cookie)
	}
	shop.take()
	secret := p.link[strings.LastIndex(p.link, "=")+1:]
	for origin, want := range map[string]int{
		p.base(): 101, "": 101,
		"https://evil.example": 403, "null": 403, "https://other-0123456789abcdef." + relay.name: 403, "https://" + relay.name: 403,
		strings.Replace(p.base(), "https", "http", 1): 403, p.base() + ".evil.example": 403,
		fmt.Sprintf("https://shop.localhost:%d", p.addr.Port()): 403,
	} {
		for _, key := range [][]string{{"Cookie", cookie}, {"Authorization", "Bearer " + secret}, nil} {
			fields := append([]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, key...)
			if origin != "" {
				fields = append(fields, "Origin", origin)
			}
			want := want
			if key == nil && want == 101 {
				want = 401
			}
			if got := handshake(t, relay, p.host0(), fields); got != want {
				t.Errorf("Origin %q with %.13q: %d, want %d", origin, key, got, want)
			}
			if seen := shop.take(); want != 101 && len(seen) > 0 {
				t.Errorf("Origin %q: the app was asked", origin)
			}
		}
	}
}

// host0 is the authority of the link.
func (p *sharedProject) host0() string { return strings.TrimPrefix(p.base(), "https://") }

// handshake gives the status of an upgrade.
func handshake(t *testing.T, relay *devRelay, host string, fields []string) int {
	t.Helper()
	conn := relay.dialRaw(t, host)
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\n", host)
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(conn, "%s: %s\r\n", fields[i], fields[i+1])
	}
	fmt.Fprint(conn, "\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// TestE2EShareGuessing: after five wrong passwords, no one from that network
// may guess.
func TestE2EShareGuessing(t *testing.T) {
	relay := startDevRelay(t)
	shop := startApp(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "shop") })
	for _, way := range []string{"form", "bearer"} {
		t.Run(way, func(t *testing.T) {
			p := relay.share(t, projectDir(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nshare { password = \"right\" }\n", shop.URL)), nil)
			client := relay.visitor(t, "h2")
			guess := func(password string) answered {
				if way == "bearer" {
					return ask(t, client, "GET", p.link+"/", "", "Authorization", "Bearer "+password)
				}
				return ask(t, client, "POST", p.link+"/.well-known/devproxy/login", "to=/&password="+password,
					"Origin", p.link, "Content-Type", "application/x-www-form-urlencoded")
			}
			var got []int
			for i := range 8 {
				a := guess(fmt.Sprint("wrong", i))
				got = append(got, a.status)
				if a.status == 429 && a.header.Get("Retry-After") == "" {
					t.Error("429 without Retry-After")
				}
				noteLeaks(t, p, "the answer to a guess", a.body)
			}
			if want := []int{401, 401, 401, 401, 401, 429, 429, 429}; !slices.Equal(got, want) {
				t.Errorf("eight guesses are answered %v, want %v", got, want)
			}
			if a := guess("right"); a.status != 429 {
				t.Errorf("the right password, guessed at last: %d, want 429", a.status)
			}
			if seen := shop.take(); len(seen) > 0 {
				t.Errorf("the app was asked by who guesses: %d times", len(seen))
			}
		})
	}
}

// TestE2EShareTellsNothing reads every page of devproxy's that a visitor can
// come to.
func TestE2EShareTellsNothing(t *testing.T) {
	relay := startDevRelay(t)
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(broken.Close)
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(stuck.Close)
	p := relay.share(t, projectDir(t, fmt.Sprintf(`host "shop.localhost" {
  route "/waiting" {
    upstream = "unix:none.sock"
    hold     = "0s"
  }
  route "/broken" { upstream = %q }
  route "/stuck" {
    upstream = %q
    timeout  = "50ms"
  }
  route "/files" { files = "." }
  route "/missing" { files = "no-such-folder" }
}
`, broken.URL, stuck.URL)), nil)
	broken2, stuck2 := broken.Listener.Addr().String(), stuck.Listener.Addr().String()
	for path, want := range map[string]int{
		"/waiting": 503, "/broken": 502, "/stuck": 504, "/files/none.html": 404, "/missing/": 404, "/nowhere": 404, "/.env": 404,
		"/files/%2e%2e/b": 400, "/.well-known/devproxy/x": 404, "/files/.git/": 404,
	} {
		for _, protocol := range both {
			for _, accept := range []string{"*/*", "text/html"} {
				got := ask(t, relay.visitor(t, protocol), "GET", p.link+path, "", "Accept", accept)
				if got.status != want {
					t.Errorf("%s: %d %q, want %d", path, got.status, got.body, want)
				}
				noteLeaks(t, p, path, got.body+fmt.Sprint(got.header), "none.sock", "no-such-folder", "folder", broken2, stuck2, "EOF")
				if got.header.Get("X-Robots-Tag") != "noindex" {
					t.Errorf("%s: robots are told %q", path, got.header.Get("X-Robots-Tag"))
				}
			}
		}
	}
	for host, want := range map[string]int{"nobody-0123456789abcdef." + relay.name: 404, "nobody." + relay.name: 404, relay.name: 404} {
		got := ask(t, relay.visitor(t, "h2"), "GET", "https://"+host+"/", "", "Accept", "text/html")
		if got.status != want {
			t.Errorf("%s: %d, want %d", host, got.status, want)
		}
		noteLeaks(t, p, host, got.body+fmt.Sprint(got.header))
	}
	p.stop()
	got := ask(t, relay.visitor(t, "h2"), "GET", p.link+"/", "", "Accept", "text/html")
	if got.status != 503 && got.status != 404 {
		t.Errorf("asleep: %d", got.status)
	}
	noteLeaks(t, p, "the page of a sleeping link", got.body+fmt.Sprint(got.header))
}

// TestE2EShareKeys: a relay that lists keys lets in those, and drops one that
// is revoked with all its visitors. A name belongs to who had it first.
func TestE2EShareKeys(t *testing.T) {
	file := filepath.Join(shortDir(t), "keys")
	saveFile(t, file, "# nobody yet\n")
	relay := startDevRelay(t, "--authorized-keys", file)
	dir := projectDir(t, "host \"shop.localhost\" { respond = { status = 200, body = \"shop\" } }\nshare { name = \"first\" }\n")
	failed := relay.shareOnly(t, dir).awaitEnd()
	key := keyIn(t, failed.Line)
	if !strings.Contains(failed.Error, "does not know this folder's key") || failed.Fix == "" {
		t.Errorf("an unknown key is told %s", failed.Line)
	}

	saveFile(t, file, "devproxy-ed25519 "+key+" ada\n")
	p, e := relay.shareKnown(t, dir)
	if e.Event != "shared" {
		t.Fatalf("a known key is told %s", e.Line)
	}
	client := relay.visitor(t, "h1")
	if got := ask(t, client, "GET", p.link, ""); got.status != 303 {
		t.Fatalf("the link answers %d %q", got.status, got.body)
	}

	// Another folder, whose key is known as well, asks for the same name.
	thief := projectDir(t, "host \"shop.localhost\" { respond = { status = 200, body = \"stolen\" } }\nshare { name = \"first\" }\n")
	thiefKey := keyIn(t, relay.shareOnly(t, thief).awaitEnd().Line)
	saveFile(t, file, "devproxy-ed25519 "+key+" ada\n"+thiefKey+" eve\n")
	_, failed = relay.shareKnown(t, thief)
	if failed.Event != "failed" || !strings.Contains(failed.Error, "first") || failed.Fix == "" {
		t.Errorf("a stolen name is told %s", failed.Line)
	}
	if got := ask(t, client, "GET", p.link, ""); got.status != 303 {
		t.Errorf("next to the thief the link answers %d %q", got.status, got.body)
	}

	saveFile(t, file, "revoked devproxy-ed25519 "+key+"\n")
	if e := p.awaitPast("unshared"); !strings.Contains(e.Line, "revoked this folder's key") {
		t.Errorf("a revoked key is told %s", e.Line)
	}
	if got := ask(t, client, "GET", p.link, ""); got.status < 400 {
		t.Errorf("the revoked link answers %d %q", got.status, got.body)
	}
	p.stop()
	if failed := relay.shareOnly(t, dir).awaitEnd(); !strings.Contains(failed.Error, "revoked this folder's key") {
		t.Errorf("a revoked key comes again and is told %s", failed.Line)
	}
}
