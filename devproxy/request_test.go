package devproxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/share"
)

// ana is basic_auth for a user "ana" with the password "secret".
func ana(t testing.TB) string {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("basic_auth = { ana = %q }", hash)
}

// bearsAna is the Authorization field of ana.
const bearsAna = "Basic YW5hOnNlY3JldA=="

// counted is an upstream that says how often it was asked.
type counted struct {
	*httptest.Server
	asked atomic.Int64
}

func newCounted(t testing.TB, header http.Header) *counted {
	c := &counted{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := c.asked.Add(1)
		for name, values := range header {
			w.Header()[name] = values
		}
		_, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprintf(w, "answer %d %s%s", n, r.URL.Path, strings.Repeat(" and more", 200))
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// first is the answer up to what makes it worth compressing.
func first(body string) string {
	text, _, _ := strings.Cut(body, " and more")
	return text
}

func TestAround(t *testing.T) {
	u := newCounted(t, http.Header{"Content-Type": {"text/plain"}, "Cache-Control": {"max-age=60"}})
	s := serveFile(t, fmt.Sprintf(`
host "shop.localhost" {
  upstream = %q
  route "/nobody" { deny = ["127.0.0.0/8", "::1"] }
  route "/once" { rate_limit = { rate = "1/h" } }
  route "/members" { %s }
  route "/small" { max_body = "10B" }
  route "/packed" { compress = true }
  route "/kept" { cache = true }
  route "/ill" { simulate = { errors = "100%%" } }
  route "/shared" { cors = ["https://app.example.com"] }
  route "/fixed" {
    respond    = { status = 200, body = "fixed" }
    rate_limit = { rate = "1/h" }
  }
}
`, u.URL, ana(t)))
	tests := []struct {
		method, path string
		body         string
		fields       []string
		status       int
		field, value string
	}{
		{method: "GET", path: "/", status: 200},
		{method: "GET", path: "/nobody", status: 403},
		{method: "GET", path: "/once", status: 200},
		{method: "GET", path: "/once", status: 429, field: "Retry-After", value: "3600"},
		{method: "GET", path: "/members", status: 401, field: "Www-Authenticate", value: `Basic realm="shop.localhost", charset="UTF-8"`},
		{method: "GET", path: "/members", fields: []string{"Authorization", bearsAna}, status: 200},
		{method: "GET", path: "/members", fields: []string{"Authorization", "Basic YW5hOndyb25n"}, status: 401},
		{method: "POST", path: "/small", body: "ten bytes.", status: 200},
		{method: "POST", path: "/small", body: "eleven byte", status: 413},
		{method: "GET", path: "/packed", fields: []string{"Accept-Encoding", "br"}, status: 200, field: "Content-Encoding", value: "br"},
		{method: "GET", path: "/ill", status: 503},
		{method: "GET", path: "/shared", fields: []string{"Origin", "https://app.example.com"}, status: 200, field: "Access-Control-Allow-Origin", value: "https://app.example.com"},
		{method: "OPTIONS", path: "/shared", fields: []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT"}, status: 204, field: "Access-Control-Allow-Methods", value: "PUT"},
		{method: "GET", path: "/fixed", status: 200},
		{method: "GET", path: "/fixed", status: 429},
	}
	for _, http2 := range []bool{false, true} {
		if http2 {
			// What was counted is: the first round took all there is.
			tests = append(tests[:2], tests[3:13]...)
		}
		client := s.client(http2)
		for _, test := range tests {
			r, err := http.NewRequestWithContext(t.Context(), test.method, s.url(test.path), strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(test.fields); i += 2 {
				r.Header.Set(test.fields[i], test.fields[i+1])
			}
			res, err := client.Do(r)
			if err != nil {
				t.Errorf("%s %s: %v", test.method, test.path, err)
				continue
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || res.StatusCode != test.status || test.field != "" && res.Header.Get(test.field) != test.value {
				t.Errorf("%s %s: %d %v %.300q, %v; want %d, %s: %s", test.method, test.path, res.StatusCode, res.Header, body, err, test.status, test.field, test.value)
			}
		}
	}

	before := u.asked.Load()
	for range 3 {
		if got := s.get(s.url("/kept")); got.status != 200 {
			t.Errorf("kept: %d %q", got.status, got.body)
		}
	}
	if n := u.asked.Load() - before; n != 1 {
		t.Errorf("the upstream was asked %d times for what is kept", n)
	}
}

// TestAroundSpelling: no spelling of a protected path opens it. Whatever the
// upstream makes of a target, without the password it never sees one that leads
// there.
func TestAroundSpelling(t *testing.T) {
	var leaked atomic.Value
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, reading := range readings(r.RequestURI) {
			if reading == "/admin" || strings.HasPrefix(reading, "/admin/") {
				leaked.Store(r.RequestURI)
			}
		}
	}))
	t.Cleanup(upstream.Close)
	s := serveFile(t, fmt.Sprintf(`
host "shop.localhost" {
  upstream = %q
  route "/admin" { %s }
}
`, upstream.URL, ana(t)))
	for _, target := range []string{
		"/admin", "/admin/", "/admin/users", "/admin?x", "//admin", "///admin/users", "/./admin", "/x/../admin", "/admin/../admin", "/%61dmin", "/%41dmin",
		"/admin%2Fusers", "/%2Fadmin", "/%2fadmin/users", "/x/%2e%2e/admin", "/x/..%2Fadmin", "/x%2F..%2Fadmin", "/%2e/admin", `/\admin`, "/%5Cadmin", `/x\..\admin`,
		"/admin%00", "/%00/admin", "/admin;x", "/;x/admin", "/admin;/users", "/admin%3Bx", "/admin#x", "/a%64min/users", "/%2561dmin", "/%252Fadmin",
		"/admin/%2e%2e/admin", "/admin//users", "/admin%20", "/admin.", "http://shop.localhost/admin", "http://other.localhost/admin", "https://shop.localhost//admin", "*",
		"/x/..;/admin", "/ADMIN/../admin", "/.%2Fadmin", "/%2e%2fadmin", "/admin%E2%80%8B",
	} {
		status := raw(t, s, "GET "+target+" HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
		if at := leaked.Swap(""); at != nil && at != "" {
			t.Errorf("%q reached the upstream as %q with %d", target, at, status)
		}
	}
	if status := raw(t, s, "GET /admin HTTP/1.1\r\nHost: shop.localhost\r\nAuthorization: "+bearsAna+"\r\nConnection: close\r\n\r\n"); status != 200 || leaked.Load() != "/admin" {
		t.Errorf("with the password: %d, %v", status, leaked.Load())
	}
}

// readings are what servers make of a target: decoded once, cleaned, without
// parameters.
func readings(target string) []string {
	target, _, _ = strings.Cut(target, "?")
	decoded, err := url.PathUnescape(target)
	if err != nil {
		decoded = target
	}
	slashed := strings.ReplaceAll(decoded, `\`, "/")
	var bare []string
	for segment := range strings.SplitSeq(slashed, "/") {
		name, _, _ := strings.Cut(segment, ";")
		bare = append(bare, name)
	}
	return []string{target, path.Clean(target), decoded, path.Clean(decoded), path.Clean(slashed), path.Clean(strings.Join(bare, "/"))}
}

// raw sends bytes over TLS and reads the status of the answer; 0 when there is
// none.
func raw(t *testing.T, s *site, request string) int {
	t.Helper()
	dialer := &net.Dialer{Timeout: patience}
	conn, err := tls.DialWithDialer(dialer, "tcp", s.sockets.HTTPS()[0].String(), &tls.Config{RootCAs: s.roots, ServerName: "shop.localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// TestAroundSave changes only rate_limit: sockets, cache and what is kept of
// them stay; a route that leads elsewhere begins with an empty cache.
func TestAroundSave(t *testing.T) {
	d, u := newDevServer(t, "dev"), newCounted(t, http.Header{"Cache-Control": {"max-age=60"}})
	file := func(rate string, upstream string) string {
		return fmt.Sprintf(`
host "shop.localhost" {
  upstream   = %d
  rate_limit = %q
  route "/kept" {
    upstream = %q
    cache    = true
  }
}
`, d.port(), rate, upstream)
	}
	s := serveFile(t, file("100/s", u.URL))
	socket := s.open("/ws")
	if got := s.get(s.url("/kept")); first(got.body) != "answer 1 /kept" {
		t.Fatalf("%d %.50q", got.status, got.body)
	}
	applied := s.apply(file("2/h", u.URL))
	if applied.Dropped != 0 || applied.Kept != 1 {
		t.Errorf("kept %d, dropped %d", applied.Kept, applied.Dropped)
	}
	if err := echo(t.Context(), socket, "still here"); err != nil {
		t.Error(err)
	}
	if got := s.get(s.url("/kept")); first(got.body) != "answer 1 /kept" {
		t.Errorf("after a save: %d %.50q", got.status, got.body)
	}
	for i, want := range []int{200, 200, 429} {
		if got := s.get(s.url("/")); got.status != want {
			t.Errorf("request %d of 2 an hour: %d, want %d", i+1, got.status, want)
		}
	}
	other := newCounted(t, http.Header{"Cache-Control": {"max-age=60"}})
	s.apply(file("100/s", other.URL))
	if got := s.get(s.url("/kept")); first(got.body) != "answer 1 /kept" || other.asked.Load() != 1 {
		t.Errorf("of the new upstream: %d %.50q, asked %d times", got.status, got.body, other.asked.Load())
	}
}

// TestAroundVisitors: a visitor passes through the same, and is never local,
// even when the relay runs on this machine.
func TestAroundVisitors(t *testing.T) {
	u := newCounted(t, nil)
	s := shareFile(t, fmt.Sprintf(`
host "shop.localhost" {
  upstream = %q
  route "/here" { allow = ["127.0.0.0/8", "::1"] }
  route "/there" { allow = ["203.0.113.0/24"] }
  route "/elsewhere" { deny = ["203.0.113.7"] }
  route "/members" { %s }
}
`, u.URL, ana(t)), nil)
	for path, want := range map[string]int{"/": 200, "/here": 403, "/there": 200, "/elsewhere": 403, "/members": 401} {
		if got := s.visit(path); got.status != want {
			t.Errorf("%s: %d %.200q, want %d", path, got.status, got.body, want)
		}
	}
	s.visits(share.Visitor{Addr: netip.MustParseAddrPort("127.0.0.1:4000"), Scheme: "https", Host: s.visitor.Load().Host})
	if got := s.visit("/here"); got.status != 403 {
		t.Errorf("a visitor whose address is a loopback one: %d", got.status)
	}
}

// TestAdvice: what an upstream means for its own address is rewritten, and what
// browsers will refuse is told once a route.
func TestAdvice(t *testing.T) {
	var upstream *httptest.Server
	upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		w.Header().Set("Set-Cookie", "sid=1; Domain=localhost")
		w.Header().Set("Location", upstream.URL+"/next?q=1")
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(upstream.Close)
	s := serveFile(t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }", upstream.URL))
	for i := range 2 {
		got := s.get(s.url("/"))
		if got.header.Get("Location") != s.url("/next?q=1") || got.header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%v", got.header)
		}
		record := <-s.records
		if len(record.Advice) != 1-i {
			t.Errorf("request %d: advice %q", i+1, record.Advice)
		}
	}
}

// TestOneCache: HTTP/1.1 and HTTP/2 share stored responses, and visitors share
// those stored for them. After a change by one client, all clients get a new
// response.
func TestOneCache(t *testing.T) {
	u := newCounted(t, http.Header{"Cache-Control": {"max-age=60"}})
	s := shareFile(t, fmt.Sprintf("host \"shop.localhost\" {\n  upstream = %q\n  cache    = true\n}\n", u.URL), nil)
	for i := range 2 {
		want, forVisitors := fmt.Sprintf("answer %d /", 3*i+1), fmt.Sprintf("answer %d /", 3*i+2)
		for name, client := range map[string]*http.Client{"HTTP/1.1": s.client(false), "HTTP/2": s.client(true)} {
			if got, err := get(t.Context(), client, s.url("/")); err != nil || first(got.body) != want {
				t.Errorf("%s: %.40q, %v; want %q", name, got.body, err, want)
			}
		}
		for range 2 {
			if got := s.visit("/"); first(got.body) != forVisitors {
				t.Errorf("a visitor: %.40q; want %q", got.body, forVisitors)
			}
		}
		res, err := s.client(i == 0).Post(s.url("/"), "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
}

// TestOneRouteTakesEverySpelling: a path with "%5C", "%2F..%2F" or "//" reaches the
// upstream byte for byte when it means one route only.
func TestOneRouteTakesEverySpelling(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) }))
	t.Cleanup(upstream.Close)
	s := serveFile(t, fmt.Sprintf(`
host "shop.localhost" {
  upstream = %[1]q
  route "/api" {
    upstream     = %[1]q
    strip_prefix = true
  }
  route "/only" {
    respond = 204
    exact   = true
  }
}
`, upstream.URL))
	for target, want := range map[string]string{
		"/a%5Cb": "/a%5Cb", "/a%2F..%2Fb": "/a%2F..%2Fb", "/x%2f%2fy": "/x%2f%2fy", "/a/../b": "/a/../b", "/a/%2e/b": "/a/%2e/b", "/a//b": "/a//b", "//a": "//a",
		"/only/": "/only/", "//api/x": "/x", "/api//x": "/x", "/api/a%5Cb": "/a%5Cb", "/api/x/../y": "/x/../y",
	} {
		conn, err := tls.Dial("tcp", s.sockets.HTTPS()[0].String(), &tls.Config{RootCAs: s.roots, ServerName: "shop.localhost"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		conn.Close()
		if res.StatusCode != 200 || string(body) != want {
			t.Errorf("%q: %d, the upstream got %.200q, want %q", target, res.StatusCode, body, want)
		}
	}
	for _, target := range []string{"/api/../x", "/api%2Fx", `/x\..\api`, "/x%2F..%2Fapi/y", "/%00", "/%zz"} {
		if status := raw(t, s, "GET "+target+" HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n"); status != 400 {
			t.Errorf("%q: %d, want 400", target, status)
		}
	}
}

// TestRedirectsStayHere has an app behind strip_prefix that redirects in each way
// that frameworks do.
func TestRedirectsStayHere(t *testing.T) {
	var upstream *httptest.Server
	upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := strings.NewReplacer("UPSTREAM", upstream.URL, "HOST", "http://"+r.Host).Replace(r.URL.Query().Get("to"))
		w.Header().Set("Location", to)
		w.Header().Set("Content-Location", to)
		w.Header().Set("Refresh", "1; url="+to)
		w.Header().Set("Set-Cookie", "a=1; Path=/login")
		w.Header().Set("X-Port", r.Header.Get("X-Forwarded-Port"))
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(upstream.Close)
	s := serveFile(t, fmt.Sprintf(`
host "shop.localhost" {
  route "/api" {
    upstream     = %q
    strip_prefix = true
  }
}
`, upstream.URL))
	_, port, _ := net.SplitHostPort(s.sockets.HTTPS()[0].String())
	origin := "https://shop.localhost:" + port
	for to, want := range map[string]string{
		"/login": "/api/login", "UPSTREAM/login": origin + "/api/login", "HOST/login": origin + "/api/login", "https://example.com/login": "https://example.com/login",
	} {
		conn, err := tls.Dial("tcp", s.sockets.HTTPS()[0].String(), &tls.Config{RootCAs: s.roots, ServerName: "shop.localhost"})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = fmt.Fprintf(conn, "GET /api/?to=%s HTTP/1.1\r\nHost: shop.localhost:%s\r\nConnection: close\r\n\r\n", url.QueryEscape(to), port)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		h := res.Header
		if h.Get("Location") != want || h.Get("Content-Location") != want || h.Get("Refresh") != "1; url="+want || h.Get("Set-Cookie") != "a=1; Path=/api/login" || h.Get("X-Port") != port {
			t.Errorf("%s: %v, want %s", to, h, want)
		}
	}
}

// TestClient: a local connection counts as one client, and so does the network
// of a visitor.
func TestClient(t *testing.T) {
	local := func(id uint64) any {
		r, err := http.NewRequestWithContext(listen.ConnContext(t.Context(), listen.Scan(nil, listen.Conn{ID: id})), "GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		return client(&exchange{}, r)
	}
	visitor := func(addr string) any {
		from, _ := netip.ParseAddrPort(addr) // the zero value is an address that is not told
		return client(&exchange{visit: &visit{visitor: share.Visitor{Addr: from}}}, &http.Request{})
	}
	if local(1) == nil || local(1) != local(1) || local(1) == local(2) {
		t.Error("a connection is not one client")
	}
	if got := local(0); got != nil {
		t.Errorf("a request without a connection counts as %v", got)
	}
	for _, pair := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::2]:1", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"", "", true},
		{"", "192.0.2.1:1", false},
	} {
		if got := visitor(pair.a) == visitor(pair.b); got != pair.same {
			t.Errorf("%q and %q are one client: %t", pair.a, pair.b, got)
		}
	}
}

func TestPlainHTTPIsRedirected(t *testing.T) {
	s := serveFile(t, fixedHosts)
	base := func(host string) string { return fmt.Sprintf("https://%s:%d", host, s.port()) }
	for _, test := range []struct{ method, target, host, want string }{
		{"GET", "/", "shop.localhost", base("shop.localhost") + "/"},
		{"GET", "/a/b?c=d&e", "shop.localhost", base("shop.localhost") + "/a/b?c=d&e"},
		{"POST", "/a%2Fb%20?", "shop.localhost:8080", base("shop.localhost") + "/a%2Fb%20?"},
		{"GET", "/x", "WWW.shop.localhost.", base("WWW.shop.localhost.") + "/x"},
		{"GET", "/x", "a.tenant.localhost", base("a.tenant.localhost") + "/x"},
		{"GET", "//evil.example/x", "shop.localhost", base("shop.localhost") + "//evil.example/x"},
		{"GET", "http://shop.localhost/abs?q", "shop.localhost", base("shop.localhost") + "/abs?q"},
	} {
		got := s.plain(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", test.method, test.target, test.host))
		if got.status != http.StatusTemporaryRedirect || got.header.Get("Location") != test.want {
			t.Errorf("%s %s: %d to %q, want 307 to %q", test.host, test.target, got.status, got.header.Get("Location"), test.want)
		}
	}
}

func TestPortIsLeftOutWhenItIsTheDefault(t *testing.T) {
	s := serveFile(t, fixedHosts)
	s.SetListening(Listening{HTTPSPort: 443})
	got := s.plain("GET /x HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
	if got.header.Get("Location") != "https://shop.localhost/x" {
		t.Errorf("to %q", got.header.Get("Location"))
	}
}
