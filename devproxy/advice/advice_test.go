package advice

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestOf(t *testing.T) {
	tests := []struct {
		field, value string
		want         string // a part of the sentence; empty for none
	}{
		{"Set-Cookie", "sid=1; Path=/; HttpOnly", ""},
		{"Set-Cookie", "sid=1; Domain=shop.localhost", ""},
		{"Set-Cookie", "sid=1; Domain=.shop.localhost", ""},
		{"Set-Cookie", "sid=1; Domain=admin.shop.localhost", ""},
		{"Set-Cookie", "sid=1; Domain=localhost", `"sid": Domain=localhost is a top-level domain; leave Domain out, or write Domain=shop.localhost`},
		{"Set-Cookie", "sid=1; Domain=.LOCALHOST", "Domain=shop.localhost"},
		{"Set-Cookie", "sid=1; Domain=example.com", "is not a parent of admin.shop.localhost"},
		{"Set-Cookie", "sid=1; SameSite=None", "SameSite=None needs Secure"},
		{"Set-Cookie", "sid=1; SameSite=None; Secure", ""},
		{"Set-Cookie", "__Host-sid=1; Secure; Path=/", ""},
		{"Set-Cookie", "__Host-sid=1; Secure; Path=/; Domain=shop.localhost", "__Host-"},
		{"Set-Cookie", "__Host-sid=1; Secure", "__Host-"},
		{"Set-Cookie", "__Secure-sid=1", "__Secure-"},
		{"Set-Cookie", "__host-sid=1; Secure", "__Host-"},
		{"Set-Cookie", "__SECURE-sid=1", "__Secure-"},
		{"Set-Cookie", "=", "cannot be read"},
		{"Set-Cookie", "; Secure", "cannot be read"},
		{"Set-Cookie", "sid=" + strings.Repeat("x", maxPair-3), ""},
		{"Set-Cookie", "sid=" + strings.Repeat("x", maxPair-2), "4097 bytes"},
		// What http.ParseSetCookie refuses and browsers take.
		{"Set-Cookie", `prefs={"a":1}`, ""},
		{"Set-Cookie", "user[id]=1", ""},
		{"Set-Cookie", "name=Jürgen", ""},
		{"Set-Cookie", "lone", ""},
		{"Set-Cookie", `prefs={"a":1}; samesite = none`, `"prefs": SameSite=None needs Secure`},
		{"Set-Cookie", "sid=1; Domain=localhost; Domain=shop.localhost", ""},
		{"Set-Cookie", "sid=1; SameSite=None; SameSite=Lax", ""},
		{"Set-Cookie", "sid=1; Domain=", ""},
		{"Access-Control-Allow-Origin", "*", "cors = true"},
	}
	for _, test := range tests {
		h := http.Header{test.field: {test.value}, "Access-Control-Allow-Credentials": {"true"}}
		got := strings.Join(Of(h, "admin.shop.localhost"), "\n")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.value, got, test.want)
		}
	}
	if got := Of(http.Header{"Access-Control-Allow-Origin": {"*"}}, "shop.localhost"); got != nil {
		t.Errorf("without credentials: %q", got)
	}
	for _, line := range []string{strings.Repeat("n", 4000) + "=1; SameSite=None", strings.Repeat("n", 5000) + "=1", "a=1; Domain=" + strings.Repeat("d", 5000)} {
		if got := Of(http.Header{"Set-Cookie": {line}}, "shop.localhost"); len(got) != 1 || len(got[0]) > 300 {
			t.Errorf("a long name or domain: %d bytes", len(strings.Join(got, "")))
		}
	}
	if got := Of(http.Header{"Set-Cookie": {"a=1; Domain=test"}}, "shop.test"); len(got) != 1 || !strings.Contains(got[0], "Domain=test is a top-level domain") {
		t.Errorf("another top-level domain: %q", got)
	}
}

func TestOnce(t *testing.T) {
	var once Once
	if got := once.New("a", []string{"x", "y"}); len(got) != 2 {
		t.Errorf("%q", got)
	}
	if got := once.New("a", []string{"x", "z"}); len(got) != 1 || got[0] != "z" {
		t.Errorf("%q", got)
	}
	if got := once.New("b", []string{"x"}); len(got) != 1 {
		t.Errorf("of another route: %q", got)
	}
	for range 10 * maxTold {
		once.New("c", []string{strings.Repeat("x", len(once.told))})
	}
	if len(once.told) > maxTold {
		t.Errorf("%d are remembered", len(once.told))
	}
}

func TestDropHSTS(t *testing.T) {
	for host, kept := range map[string]bool{"shop.localhost": false, "localhost": false, "Shop.LOCALHOST.": false, "shop.test": true, "notlocalhost": true} {
		h := http.Header{"Strict-Transport-Security": {"max-age=31536000"}}
		DropHSTS(h, host)
		if (len(h) == 1) != kept {
			t.Errorf("%s: %v", host, h)
		}
	}
}

func TestLocation(t *testing.T) {
	upstream := &plan.Upstream{Members: []plan.Member{
		{Addrs: []string{"127.0.0.1:5173", "[::1]:5173"}}, {Network: "unix", Addrs: []string{"/run/app.sock"}}, {Addrs: []string{"api.example.com:3000"}},
		{Addrs: []string{"vm:8000"}}, {Addrs: []string{"192.168.7.9:8000", "[fd00::7]:8000"}}, {Scheme: plan.SchemeHTTPS, Addrs: []string{"site.example:443"}, Authority: "site.example"},
		{Addrs: []string{"127.0.0.1:7000"}, Authority: "named.test"},
	}, Fallback: []plan.Member{{Addrs: []string{"spare:9000"}}}}
	plain, strip := &plan.Route{Path: "/"}, &plan.Route{Path: "/api", StripPrefix: true}
	rewrite := &plan.Route{Path: "/api", Rewrite: "/v1{rest}"}
	tests := []struct {
		route       *plan.Route
		value, want string // an empty want is value
	}{
		{plain, "http://localhost:5173/a?b=http://localhost:5173/#c", "https://shop.localhost/a?b=http://localhost:5173/#c"},
		{plain, "http://127.0.0.1:5173/%2Fa", "https://shop.localhost/%2Fa"},
		{plain, "http://[::1]:5173/", "https://shop.localhost/"},
		{plain, "http://0.0.0.0:5173", "https://shop.localhost"},
		{plain, "HTTP://LOCALHOST:5173/a", "https://shop.localhost/a"},
		{plain, "http://localhost:5173?q", "https://shop.localhost?q"},
		{plain, "http://localhost:3000/", ""},
		{plain, "http://localhost/", ""},
		{plain, "http://example.com:5173/", ""},
		{plain, "http://u:p@localhost:5173/", ""},
		{plain, "/a", ""},
		{plain, "//localhost:5173/a", "https://shop.localhost/a"},
		{plain, "//example.com/a", ""},
		{plain, "///a", ""},
		{strip, `/\example.com/a`, ""},
		{plain, "javascript://localhost:5173/a", ""},
		{plain, "http://localhost:5173.example.com/", ""},
		{plain, "", ""},
		{strip, "http://localhost:5173/users/", "https://shop.localhost/api/users/"},
		{strip, "http://localhost:5173/", "https://shop.localhost/api/"},
		{rewrite, "http://localhost:5173/v1/users", "https://shop.localhost/api/users"},
		{rewrite, "http://localhost:5173/v1?q", "https://shop.localhost/api?q"},
		{rewrite, "http://localhost:5173/v1users", "https://shop.localhost/v1users"},
		{&plan.Route{Path: "/api", Rewrite: "/v1/{rest}"}, "http://localhost:5173/v1/users", "https://shop.localhost/api/users"},
		// The upstream by its name, by another of its names, and by its address.
		{plain, "http://api.example.com:3000/a", "https://shop.localhost/a"},
		{plain, "http://API.example.com.:3000", "https://shop.localhost"},
		{strip, "http://api.example.com:3000/a?b#c", "https://shop.localhost/api/a?b#c"},
		{plain, "http://api.example.com/a", ""},
		{plain, "http://vm:8000/a", "https://shop.localhost/a"},
		{plain, "http://192.168.7.9:8000/a", "https://shop.localhost/a"},
		{plain, "http://[fd00:0::7]:8000/a", "https://shop.localhost/a"},
		{plain, "http://192.168.7.9:8001/a", ""},
		{plain, "https://site.example/a", "https://shop.localhost/a"},
		{plain, "https://site.example:443/a", "https://shop.localhost/a"},
		{plain, "http://spare:9000/a", "https://shop.localhost/a"},
		{plain, "http://named.test/a", "https://shop.localhost/a"},
		{plain, "http://named.test:7000/a", "https://shop.localhost/a"},
		{plain, "http://named.test:7001/a", ""},
		// The visitor's own host, in the scheme that the app speaks.
		{plain, "http://shop.localhost/a?b", "https://shop.localhost/a?b"},
		{plain, "http://SHOP.localhost:80/a", "https://shop.localhost/a"},
		{plain, "https://shop.localhost/a", ""},
		{plain, "https://shop.localhost:443/a", ""},
		{plain, "http://shop.localhost:9999/a", ""},
		{plain, "http://other.localhost/a", ""},
		{strip, "http://shop.localhost/login", "https://shop.localhost/api/login"},
		{strip, "https://shop.localhost/login", "https://shop.localhost/api/login"},
		{strip, "https://shop.localhost/api/login", ""},
		{strip, "//shop.localhost/login", "//shop.localhost/api/login"},
		// A path alone.
		{strip, "/login", "/api/login"},
		{strip, "/", "/api/"},
		{strip, "/?a#b", "/api/?a#b"},
		{strip, "/apiary", "/api/apiary"},
		{strip, "/api/login", ""},
		{strip, "/api", ""},
		{strip, "/api?q", ""},
		{strip, "login", ""},
		{strip, "../login", ""},
		{strip, "?q", ""},
		{strip, "#f", ""},
		{strip, "http:login", ""},
		{plain, "/login", ""},
		{rewrite, "/v1/users?q", "/api/users?q"},
		{rewrite, "/v1", "/api"},
		{rewrite, "/login", ""},
		{rewrite, "/api/users", ""},
		{&plan.Route{Path: "/api", Rewrite: "/api/v2{rest}"}, "/api/v2/x", "/api/x"},
		{&plan.Route{Path: "/", Rewrite: "/public{rest}"}, "/public/x", "/x"},
		{&plan.Route{Path: "/", StripPrefix: true}, "/x", ""},
		{&plan.Route{Path: "/api", Exact: true, StripPrefix: true}, "/x", ""},
		{&plan.Route{Path: "/api", Rewrite: "/fixed"}, "/x", ""},
		// Spelled otherwise than url.URL does.
		{plain, "http://localhost:5173/ü/a b?c d", "https://shop.localhost/ü/a b?c d"},
		{strip, `http://localhost:5173/{x}|"y"`, `https://shop.localhost/api/{x}|"y"`},
		{plain, "http://[::1%25lo]:5173/a", "https://shop.localhost/a"},
		{rewrite, "http://localhost:5173/login", "https://shop.localhost/login"},
	}
	for _, test := range tests {
		want := test.want
		if want == "" {
			want = test.value
		}
		if got := (Outside{Route: test.route, Upstream: upstream, Origin: "https://shop.localhost"}).Reference(test.value); got != want {
			t.Errorf("%s: %q, want %q", test.value, got, want)
		}
	}
}

// TestOutsideOfStars: a route's path with stars is put back as the request had it.
func TestOutsideOfStars(t *testing.T) {
	o := Outside{Route: &plan.Route{Path: "/*/v1", StripPrefix: true}, Prefix: "/shop/v1", Upstream: &plan.Upstream{}, Origin: "https://a.localhost"}
	for value, want := range map[string]string{"/login": "/shop/v1/login", "/shop/v1/x": "/shop/v1/x", "/cart/v1/x": "/shop/v1/cart/v1/x"} {
		if got := o.Reference(value); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
}

// TestOutsideHeader has all fields that lead somewhere.
func TestOutsideHeader(t *testing.T) {
	o := Outside{Route: &plan.Route{Path: "/api", StripPrefix: true}, Upstream: &plan.Upstream{Members: []plan.Member{{Addrs: []string{"vm:8000"}}}}, Origin: "https://shop.localhost:8443", Page: "http://page.localhost"}
	for _, test := range []struct{ field, value, want string }{
		{"Location", "http://vm:8000/a", "https://shop.localhost:8443/api/a"},
		{"Location", "http://shop.localhost:8443/a", "https://shop.localhost:8443/api/a"},
		{"Location", "http://shop.localhost/a", "http://shop.localhost/a"},
		{"Content-Location", "/a/1", "/api/a/1"},
		{"Content-Location", "http://vm:8000/a.json", "https://shop.localhost:8443/api/a.json"},
		{"Refresh", "5", "5"},
		{"Refresh", "5; url=/a", "5; url=/api/a"},
		{"Refresh", "5;URL = '/a'; x", "5;URL = '/api/a'; x"},
		{"Refresh", `0, "http://vm:8000/a"`, `0, "https://shop.localhost:8443/api/a"`},
		{"Refresh", "0;/a", "0;/api/a"},
		{"Refresh", "0; url=", "0; url="},
		{"Refresh", `0; url="/a`, `0; url="/api/a`},
		{"Refresh", "0; url=https://example.com/a", "0; url=https://example.com/a"},
		{"Set-Cookie", "a=1; Path=/admin; HttpOnly", "a=1; Path=/api/admin; HttpOnly"},
		{"Set-Cookie", "a=1;path = /admin", "a=1;path =/api/admin"},
		{"Set-Cookie", "a=/x; Path=/", "a=/x; Path=/"},
		{"Set-Cookie", "__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure"},
		{"Set-Cookie", "a=1; Path=/api", "a=1; Path=/api"},
		{"Set-Cookie", "a=1; Path=relative", "a=1; Path=relative"},
		{"Set-Cookie", "Path=/admin", "Path=/admin"},
		{"Set-Cookie", "a=1", "a=1"},
		{"X-Other", "/a", "/a"},
		{"Link", `<http://shop.localhost:8443/a>; rel=preload, <http://vm:8000/b>; rel=next; anchor="http://vm:8000/c", </d>; title="http://vm:8000/"`,
			`<https://shop.localhost:8443/api/a>; rel=preload, <https://shop.localhost:8443/api/b>; rel=next; anchor="https://shop.localhost:8443/api/c", </api/d>; title="http://vm:8000/"`},
		{"Hx-Redirect", "http://shop.localhost:8443/api/a", "https://shop.localhost:8443/api/a"},
		{"Hx-Push-Url", "false", "false"},
		{"Hx-Replace-Url", "/a", "/api/a"},
		{"Hx-Location", `{"path":"http://shop.localhost:8443/api/a","target":"#x"}`, `{"path":"https://shop.localhost:8443/api/a","target":"#x"}`},
		{"X-Inertia-Location", "http://vm:8000/a", "https://shop.localhost:8443/api/a"},
		{"Turbolinks-Location", "http://shop.localhost:8443/api/a", "https://shop.localhost:8443/api/a"},
		{"Sourcemap", "main.js.map", "main.js.map"},
		{"Access-Control-Allow-Origin", "http://shop.localhost:8443", "https://shop.localhost:8443"},
		{"Access-Control-Allow-Origin", "http://vm:8000", "https://shop.localhost:8443"},
		{"Access-Control-Allow-Origin", "*", "*"},
		{"Access-Control-Allow-Origin", "null", "null"},
		{"Access-Control-Allow-Origin", "http://page.localhost", "http://page.localhost"},
		{"Access-Control-Allow-Origin", "http://evil.example", "http://evil.example"},
		{"Timing-Allow-Origin", "http://shop.localhost:8443, http://evil.example", "https://shop.localhost:8443, http://evil.example"},
		{"Content-Security-Policy", "default-src 'self' http://shop.localhost:8443/x ws://shop.localhost:8443; connect-src http://vm:8000 ws://vm:8000 http://shop.localhost:* http://shop.localhost https:; report-uri http://shop.localhost:8443/r",
			"default-src 'self' https://shop.localhost:8443/x wss://shop.localhost:8443; connect-src http://vm:8000 ws://vm:8000 https://shop.localhost:* http://shop.localhost https:; report-uri https://shop.localhost:8443/r"},
		{"Content-Security-Policy-Report-Only", "img-src http://SHOP.localhost:8443 http://shop.localhost.evil.example:8443", "img-src https://shop.localhost:8443 http://shop.localhost.evil.example:8443"},
	} {
		h := http.Header{test.field: {"", test.value}}
		o.Header(h)
		if got := h[test.field][1]; got != test.want || h[test.field][0] != "" {
			t.Errorf("%s: %s: %q, want %q", test.field, test.value, got, test.want)
		}
	}
}

// TestOutsidePage: an origin that may read is left as the browser says it, even if
// it is one that would otherwise be this host's own.
func TestOutsidePage(t *testing.T) {
	o := Outside{Route: &plan.Route{Path: "/"}, Upstream: &plan.Upstream{}, Origin: "https://shop.localhost", Page: "http://shop.localhost"}
	for value, want := range map[string]string{"http://shop.localhost": "http://shop.localhost", "http://shop.localhost:80": "https://shop.localhost"} {
		h := http.Header{"Access-Control-Allow-Origin": {value}}
		o.Header(h)
		if got := h.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s became %s", value, got)
		}
	}
	plain := Outside{Route: &plan.Route{Path: "/"}, Upstream: &plan.Upstream{}, Origin: "http://shop.localhost:8080"}
	h := http.Header{"Location": {"http://shop.localhost:8080/a"}, "Content-Security-Policy": {"img-src http://shop.localhost:8080 ws://shop.localhost:8080"}}
	plain.Header(h)
	if h.Get("Location") != "http://shop.localhost:8080/a" || h.Get("Content-Security-Policy") != "img-src http://shop.localhost:8080 ws://shop.localhost:8080" {
		t.Errorf("served over plain HTTP: %v", h)
	}
}

// TestOutsideLeavesStoredHeaders: a cache has the slices that came.
func TestOutsideLeavesStoredHeaders(t *testing.T) {
	o := Outside{Route: &plan.Route{Path: "/api", StripPrefix: true}, Upstream: &plan.Upstream{}, Origin: "https://shop.localhost"}
	h := http.Header{"Location": {"http://shop.localhost/api/a"}, "Link": {"<http://shop.localhost/api/a>"}, "Set-Cookie": {"a=1; Path=/b"}}
	stored := h.Clone()
	for name := range h {
		stored[name] = h[name] // the same slices
	}
	o.Header(h)
	if stored.Get("Location") != "http://shop.localhost/api/a" || stored.Get("Link") != "<http://shop.localhost/api/a>" || stored.Get("Set-Cookie") != "a=1; Path=/b" {
		t.Errorf("changed in place: %v", stored)
	}
	if h.Get("Location") != "https://shop.localhost/api/a" || h.Get("Set-Cookie") != "a=1; Path=/api/b" {
		t.Errorf("not changed: %v", h)
	}
}

func TestFormRefusal(t *testing.T) {
	const own = "https://shop.localhost:8443"
	text := func(kind string) http.Header { return http.Header{"Content-Type": {kind}} }
	remix := http.Header{"X-Remix-Response": {"yes"}}
	for _, test := range []struct {
		name     string
		method   string
		origin   string
		navigate bool
		status   int
		header   http.Header
		body     string
		told     bool
	}{
		{"Astro", "POST", own, true, 403, nil, "Cross-site POST form submissions are forbidden", true},
		{"Astro, in JSON", "POST", own, false, 403, nil, `{"message":"Cross-site PUT form submissions are forbidden"}`, true},
		{"Qwik", "POST", own, true, 403, nil, `CSRF check failed. Cross-site POST form submissions are forbidden. The request origin "https://x"`, true},
		{"Django", "POST", own, true, 403, nil, "<p>Origin checking failed - https://shop.localhost:8443 does not match any trusted origins.</p>", true},
		{"Django REST framework", "DELETE", own, false, 403, nil, `{"detail":"CSRF Failed: Origin checking failed - https://x does not match any trusted origins."}`, true},
		{"Spring", "POST", own, false, 403, nil, "Invalid CORS request", true},
		{"React Router, built", "POST", own, false, 400, remix, `[{"_1":2},"error",["SanitizedError",3,4,-7],"Error","Unexpected Server Error"]`, true},
		{"React Router, in development", "POST", own, false, 400, remix, `[{"_1":2},"error",["SanitizedError",3,4,5],"Error","Bad Request","Error: Bad Request\n at"]`, true},
		{"React Router, without scripts", "POST", own, true, 400, text("text/plain;charset=UTF-8"), "Bad Request", true},

		{"another 403", "POST", own, true, 403, nil, "You are not allowed to do that.", false},
		{"Django without a token", "POST", own, true, 403, nil, "CSRF verification failed. Request aborted. CSRF token missing.", false},
		{"a policy", "POST", own, true, 403, nil, `{"error":"forbidden"}`, false},
		{"a validation", "POST", own, true, 400, nil, "Bad Request: name is missing", false},
		{"an action's own 400", "POST", own, false, 400, remix, `[{"_1":2},"data",{"_3":4},"error","name is missing"]`, false},
		{"an API", "POST", own, false, 400, text("text/plain;charset=UTF-8"), "Bad Request", false},
		{"Express", "POST", own, true, 400, text("text/plain; charset=utf-8"), "Bad Request", false},
		{"a bad request without a type", "POST", own, true, 400, nil, "Bad Request", false},
		{"another status", "POST", own, true, 422, nil, "Cross-site POST form submissions are forbidden", false},
		{"it is right", "POST", "https://evil.example", true, 403, nil, "Cross-site POST form submissions are forbidden", false},
		{"no origin", "POST", "", true, 403, nil, "Cross-site POST form submissions are forbidden", false},
		{"null", "POST", "null", true, 403, nil, "Cross-site POST form submissions are forbidden", false},
		{"a page about it", "GET", own, true, 403, nil, "Cross-site POST form submissions are forbidden", false},
	} {
		r := httptest.NewRequest(test.method, "/", nil)
		if test.origin != "" {
			r.Header.Set("Origin", test.origin)
		}
		mode := "cors"
		if test.navigate {
			mode = "navigate"
		}
		r.Header.Set("Sec-Fetch-Mode", mode)
		told := ""
		if MayRefuseForm(r, own, test.status) {
			told = FormRefusal(r, test.status, test.header, []byte(test.body))
		}
		if (told != "") != test.told || test.told && !strings.Contains(told, `forwarded_proto = "http"`) {
			t.Errorf("%s: %q", test.name, told)
		}
	}
}
