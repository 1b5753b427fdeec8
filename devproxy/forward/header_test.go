package forward

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/google/go-cmp/cmp"
)

func request(fields ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host, r.RemoteAddr = "shop.localhost:8443", "127.0.0.1:50000"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

// forwarded are devproxy's fields about the visitor in every request.
func forwarded(more http.Header) http.Header {
	h := http.Header{
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Host":  {"shop.localhost:8443"},
		"X-Forwarded-Port":  {"8443"},
		"X-Forwarded-Proto": {"https"},
		"Forwarded":         {`for=127.0.0.1;host="shop.localhost:8443";proto=https`},
	}
	for name, values := range more {
		h[name] = values
	}
	return h
}

func TestRequestHeader(t *testing.T) {
	route := &plan.Route{Path: "/api"}
	for _, test := range []struct {
		name  string
		in    *http.Request
		route *plan.Route
		want  http.Header
	}{
		{"nothing is invented", request(), route, forwarded(nil)},
		{"end-to-end fields pass", request("Cookie", "a=1", "Accept-Encoding", "br", "X-A", "1", "X-A", "2"), route,
			forwarded(http.Header{"Cookie": {"a=1"}, "Accept-Encoding": {"br"}, "X-A": {"1", "2"}})},
		{"hop-by-hop fields are dropped, RFC 9110 section 7.6.1",
			request("Connection", "close, X-Mine", "X-Mine", "1", "Keep-Alive", "5", "Proxy-Connection", "x", "Te", "gzip", "Upgrade", "foo",
				"Proxy-Authorization", "x", "Transfer-Encoding", "chunked"), route, forwarded(nil)},
		{"TE: trailers is kept", request("Te", "deflate, trailers;q=0.5"), route, forwarded(http.Header{"Te": {"trailers"}})},
		{"what a visitor says of itself is not believed",
			request("X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "ftp", "X-Forwarded-Host", "evil", "Forwarded", "for=6.6.6.6", "X-Real-Ip", "6.6.6.6",
				"X-Forwarded-Port", "1", "X-Forwarded-Prefix", "/evil", "X-Forwarded-Server", "evil"), route, forwarded(nil)},
		{"Connection cannot take away what devproxy says", request("Connection", "X-Forwarded-For, Forwarded"), route, forwarded(nil)},
		{"an upgrade is asked for", request("Connection", "keep-alive, upgrade", "Upgrade", "websocket"), route,
			forwarded(http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}})},
		{"the upgrade to h2c is not", request("Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "Http2-Settings", "AAMA"), route, forwarded(nil)},
		{"the stripped prefix is told", request(), &plan.Route{Path: "/api", StripPrefix: true}, forwarded(http.Header{"X-Forwarded-Prefix": {"/api"}})},
		{"the route has the last word", request("Cookie", "a=1"), &plan.Route{RequestHeaders: []plan.Header{
			{Name: "Connection", Value: "close"}, {Name: "Content-Length", Value: "7"}, {Name: "Cookie", Remove: true},
			{Name: "Host", Value: "x"}, {Name: "X-Env", Value: "dev"}, {Name: "X-Forwarded-Proto", Value: "http"}}},
			forwarded(http.Header{"X-Env": {"dev"}, "X-Forwarded-Proto": {"http"}})},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := test.in.Header.Clone()
			got, _ := RequestHeader(test.in, Exchange{Match: plan.Match{Route: test.route}, Scheme: "https"}, &plan.Member{})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, test.in.Header); diff != "" {
				t.Errorf("the visitor's own header was changed: %s", diff)
			}
		})
	}
}

// TestRequestHeaderFollowsTheFieldPolicy sends every controlled field, in its
// own spelling and in one that CGI reads as the same.
func TestRequestHeaderFollowsTheFieldPolicy(t *testing.T) {
	for kind, local := range map[field.Kind]bool{
		field.Connection: false, field.Address: false, field.Target: false, field.Environment: false, field.Own: false,
		field.Edge: true, field.Internal: true, field.Identity: true,
	} {
		for _, name := range field.Names(kind) {
			name = http.CanonicalHeaderKey(strings.Replace(name, "*", "anything", 1))
			for _, public := range []string{"", "shop-x.t.example.com"} {
				in := request(name, "forged")
				if strings.Contains(name, "-") {
					in.Header[strings.ReplaceAll(name, "-", "_")] = []string{"forged"}
				}
				x := Exchange{Match: plan.Match{Route: &plan.Route{}}, Scheme: "https", PublicHost: public, Visitor: netip.MustParseAddr("203.0.113.7")}
				got, _ := RequestHeader(in, x, &plan.Member{})
				forged := 0
				for _, values := range got {
					if slices.Contains(values, "forged") {
						forged++
					}
				}
				if passes := local && public == ""; passes != (got.Get(name) == "forged") || forged > 0 != passes || forged > 1 {
					t.Errorf("%s, share %q: %v", name, public, got)
				}
			}
		}
	}
	route := &plan.Route{RequestHeaders: []plan.Header{{Name: "X-Original-Url", Value: "/x"}, {Name: "Remote-User", Value: "me"}, {Name: "Proxy", Value: "on"}}}
	got, _ := RequestHeader(request("Remote-User", "forged", "My_header", "1"), Exchange{Match: plan.Match{Route: route}, PublicHost: "x.example.com"}, &plan.Member{})
	if got.Get("X-Original-Url") != "/x" || got.Get("Remote-User") != "me" || got.Get("Proxy") != "on" || got["My_header"] == nil {
		t.Errorf("a Proxyfile may set any field: %v", got)
	}
}

func TestForwardedSpeaksIPv6AndUnknownVisitors(t *testing.T) {
	x := Exchange{Match: plan.Match{Route: &plan.Route{}}, Scheme: "http", Visitor: netip.MustParseAddr("::1")}
	got, _ := RequestHeader(request(), x, &plan.Member{})
	if got.Get("Forwarded") != `for="[::1]";host="shop.localhost:8443";proto=http` || got.Get("X-Forwarded-For") != "::1" {
		t.Errorf("got %q and %q", got.Get("Forwarded"), got.Get("X-Forwarded-For"))
	}
	r := request()
	r.RemoteAddr, r.Host = "@", `a"b`
	got, _ = RequestHeader(r, Exchange{Match: plan.Match{Route: &plan.Route{}}, Scheme: "http"}, &plan.Member{})
	if got.Get("Forwarded") != `for=unknown;host="a\"b";proto=http` || got["X-Forwarded-For"] != nil {
		t.Errorf("got %q and %q", got.Get("Forwarded"), got["X-Forwarded-For"])
	}
}

func TestHostIsTheProxyfilesElseTheVisitors(t *testing.T) {
	route := &plan.Route{}
	override := &plan.Route{RequestHeaders: []plan.Header{{Name: "Host", Value: "other"}}}
	tcp := plan.Member{Network: "tcp", Addrs: []string{"127.0.0.1:3000"}}
	for _, test := range []struct {
		route     *plan.Route
		authority string
		visitor   string
		want      string
	}{
		{route, "", "shop.localhost:8443", "shop.localhost:8443"},
		{route, "staging.example.com", "shop.localhost", "staging.example.com"},
		{override, "staging.example.com", "shop.localhost", "other"},
		{route, "", "", "127.0.0.1:3000"},
	} {
		r := request()
		r.Host = test.visitor
		m := tcp
		m.Authority = test.authority
		if _, got := RequestHeader(r, Exchange{Match: plan.Match{Route: test.route}}, &m); got != test.want {
			t.Errorf("%+v: got %q", test, got)
		}
	}
}

// The fields on the wire are exactly those of RequestHeader, and the hop field.
func TestNoFieldIsAddedOnTheWire(t *testing.T) {
	heads := make(chan string, 1)
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if head, err := readHead(r); err == nil {
			heads <- head
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		}
	}))
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: shop.localhost\r\nX-A: 1\r\n\r\n")
	lines := strings.Split(strings.TrimSpace(<-heads), "\r\n")
	slices.Sort(lines)
	want := []string{
		"Devproxy-Hop: this-instance", "Forwarded: for=127.0.0.1;host=shop.localhost;proto=https", "GET / HTTP/1.1", "Host: shop.localhost",
		"X-A: 1", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: shop.localhost", "X-Forwarded-Port: 443", "X-Forwarded-Proto: https",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

func TestTheAnswersHeadPassesWithoutWhatBelongsToTheConnection(t *testing.T) {
	p := newProxy(t, "h1", Options{}, answering(t, "HTTP/1.1 200 Fine\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: X-Mine\r\nX-Mine: 1\r\n"+
		"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: foo\r\nServer: vite\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Powered-By: me\r\nContent-Length: 2\r\n\r\nok"))
	p.route.ResponseHeaders = []plan.Header{{Name: "X-Env", Value: "dev"}, {Name: "X-Powered-By", Remove: true}, {Name: "Content-Length", Value: "9"}}
	res, body := p.get(t, "/")
	want := http.Header{"Date": {"Mon, 01 Jan 2024 00:00:00 GMT"}, "Server": {"vite"}, "Set-Cookie": {"a=1", "b=2"}, "X-Env": {"dev"}, "Content-Length": {"2"}}
	if diff := cmp.Diff(want, res.Header); diff != "" || body != "ok" {
		t.Error(diff, body)
	}
}

func TestARequestThatComesBackIsALoop(t *testing.T) {
	var p *proxy
	dialled := 0
	p = newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dialled++
		p.ServeHTTP(w, r)
	})))
	res, _ := p.get(t, "/")
	if res.StatusCode != http.StatusLoopDetected || dialled != 1 {
		t.Errorf("got %s after %d requests to the upstream", res.Status, dialled)
	}
}

// TestTrailerNeverSent: a response whose trailer was announced and did not come ends
// all the same.
func TestTrailerNeverSent(t *testing.T) {
	for _, front := range []string{"h1", "h2"} {
		p := newProxy(t, front, Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
			if _, err := readHead(r); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\n\r\n")
			}
		}))
		client := p.client()
		client.Timeout = 10 * time.Second // only a failing test waits for it
		res, err := client.Get(p.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != "ok" || err != nil || res.Trailer.Get("X-Sum") != "" {
			t.Errorf("%s: %q, %v, %v", front, body, res.Trailer, err)
		}
	}
}

// TestTrailersFollowTheFieldPolicy sends forbidden trailers both ways.
func TestTrailersFollowTheFieldPolicy(t *testing.T) {
	names := []string{"X-Forwarded-For", "X_forwarded_for", "Forwarded", "Remote-User", "Proxy", "Cache-Control"}
	answers := []string{"Set-Cookie", "Www-Authenticate", "Location"}
	trailers := func(all ...string) (text string) {
		for _, name := range all {
			text += name + ": forged\r\n"
		}
		return "0\r\nX-Sum: 1\r\n" + text + "\r\n"
	}
	seen := make(chan string, 1)
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil {
			return
		}
		rest, err := readHead(r) // chunks and trailers, up to the empty line
		if err != nil {
			t.Error(err)
		}
		seen <- head + rest
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Set-Cookie, X-Forwarded-For\r\n\r\n2\r\nok\r\n"+trailers(append(answers, names...)...))
	}))
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: shop.localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Forwarded-For, Remote-User\r\n\r\n2\r\nhi\r\n"+trailers(names...))
	sent := <-seen
	if !strings.Contains(sent, "X-Sum: 1") || strings.Contains(sent, "forged") || strings.Contains(sent, "Remote-User") {
		t.Errorf("the upstream got %q", sent)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "ok" {
		t.Errorf("%q, %v", body, err)
	}
	if len(res.Trailer) != 1 || res.Trailer.Get("X-Sum") != "1" || len(res.Header["Set-Cookie"]) > 0 {
		t.Errorf("the client got %v and %v", res.Header, res.Trailer)
	}
}
