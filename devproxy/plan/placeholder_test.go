package plan

import (
	"net/url"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// someValues are hostile wherever they can be.
func someValues() Values {
	return Values{Client: "::1", Host: "shop.localhost:8443", Path: "/a%20b/c", Query: "x=1&y=%2F", ID: "0123"}
}

func TestLocationPlaceholders(t *testing.T) {
	for _, test := range []struct{ target, want string }{
		{"https://{host}{uri}", "https://shop.localhost:8443/a%20b/c?x=1&y=%2F"},
		{"https://{host}{path}", "https://shop.localhost:8443/a%20b/c?x=1&y=%2F"},
		{"https://www.{host}/", "https://www.shop.localhost:8443/?x=1&y=%2F"},
		{"{path}/", "/a%20b/c/?x=1&y=%2F"},
		{"{uri}", "/a%20b/c?x=1&y=%2F"},
		{"/v2{path}", "/v2/a%20b/c?x=1&y=%2F"},
		{"/v2/{path}", "/v2/a%20b/c?x=1&y=%2F"},
		{"/search?{query}", "/search?x=1&y=%2F"},
		{"/search?a=b&{query}", "/search?a=b&x=1&y=%2F"},
		{"/login?next={uri}", "/login?next=/a%2520b/c%3Fx%3D1%26y%3D%252F"},
		{"/login?next=https://{host}{path}", "/login?next=https://shop.localhost:8443/a%20b/c&x=1&y=%2F"},
		{"/by/{client}/{id}", "/by/::1/0123?x=1&y=%2F"},
		{"/search?q={rest}", "/search?q=/a%20b/c&x=1&y=%2F"},
		{"/x#{path}", "/x?x=1&y=%2F#/a%20b/c"},
		{"/{{path}}", "/{path}?x=1&y=%2F"},
		{"/q{query}", "/qx%3D1%26y%3D%252F"},
	} {
		m := Match{Route: &Route{Path: "/", Answer: &Redirect{Target: test.target}}, Rest: "/a%20b/c"}.With(someValues())
		if got := m.Location("x=1&y=%2F"); got != test.want {
			t.Errorf("%s: %s, want %s", test.target, got, test.want)
		}
	}
}

// TestLocationsStayHere: no path leads from a target on this host to another host, and
// what is in a query comes out of it as it was.
func TestLocationsStayHere(t *testing.T) {
	base, _ := url.Parse("https://shop.localhost:8443/")
	for _, path := range []string{"//evil.example", "///evil.example", `/\\evil.example`, `/\evil.example`, "/\t/evil.example", "/\r\n/evil.example", "/%0d%0aSet-Cookie:x", "/..//evil.example", "/@evil.example", "/x?y#z", "/a&b=c;d", "/é"} {
		v := Values{Host: "shop.localhost:8443", Path: path, Query: "q=https://evil.example&\r\nX: y", ID: "1", Client: "::1"}
		for _, target := range []string{"{path}", "{uri}", "{rest}", "{path}/", "/{path}", "/{rest}", "https://{host}{path}", "https://{host}{uri}", "https://{host}{rest}", "/x{path}", "/x?next={uri}"} {
			m := Match{Route: &Route{Path: "/", Answer: &Redirect{Target: target}}, Rest: path}.With(v)
			location := m.Location(v.Query)
			if strings.ContainsFunc(location, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
				t.Errorf("%s of %q: %q", target, path, location)
			}
			to, err := base.Parse(location)
			if err != nil || to.Host != base.Host || to.Scheme != "https" {
				t.Errorf("%s of %q leads to %q: %v", target, path, location, err)
			}
			if next := to.Query().Get("next"); target == "/x?next={uri}" && next != path+"?"+v.Query {
				t.Errorf("%q came out as %q", path, next)
			}
		}
	}
}

func TestFieldPlaceholders(t *testing.T) {
	text := func(s string) *string { return &s }
	route := routeOf("/hooks", 1)
	route.RequestHeaders = map[string]*string{
		"X-Real-Ip": text("{client}"), "X-Url": text("https://{host}{uri}"), "X-Rest": text("[{rest}]"), "X-Id": text("{id}"), "X-Query": text("{query}"),
		"X-Json": text(`{"a":{"b":"{{path}}"}}`), "X-Plain": text("{} {a b} $x"), "X-Other": text("{unknown}"), "Host": text("{host}"),
	}
	route.ResponseHeaders = map[string]*string{"X-Path": text("{path}"), "X-Gone": nil}
	p := build(t, hostOf("shop.localhost", to(1), route))
	m, err := p.Match(Request{Method: "GET", Host: "shop.localhost", Path: "/hooks/a"})
	if err != nil || !m.Route.Placeholders() || !m.Route.FieldPlaceholders() {
		t.Fatal(err, m.Route)
	}
	v := someValues()
	v.Path, v.Query = "/hooks/a", "b\r\nX-Evil: é \x7f\x00"
	expanded := m.With(v).Route
	got := map[string]string{}
	for _, h := range append(expanded.RequestHeaders, expanded.ResponseHeaders...) {
		got[h.Name] = h.Value
	}
	for name, want := range map[string]string{
		"X-Real-Ip": "::1", "X-Url": "https://shop.localhost:8443/hooks/a?b%0D%0AX-Evil:%20%C3%A9%20%7F%00", "X-Rest": "[/a]", "X-Id": "0123",
		"X-Query": "b%0D%0AX-Evil:%20%C3%A9%20%7F%00", "X-Json": `{"a":{"b":"{path}"}}`, "X-Plain": "{} {a b} $x", "X-Other": "{unknown}", "X-Path": "/hooks/a",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if _, sent := got["Host"]; sent {
		t.Error("Host is a field")
	}
	if again := m.Route; again == expanded || again.ResponseHeaders[1].Value != "{path}" {
		t.Errorf("the plan has changed: %+v", again.ResponseHeaders)
	}
}

// TestKeepHost: Host = "{host}" has an upstream elsewhere get the client's Host, and
// its own name for TLS.
func TestKeepHost(t *testing.T) {
	keep := hcl.KeepHost
	route := &hcl.Route{Path: "/a", Settings: hcl.Settings{Upstream: members(hcl.Member{Scheme: hcl.SchemeHTTPS, Host: "example.com", Port: 443, Text: "https://example.com"}), RequestHeaders: map[string]*string{"Host": &keep}}}
	m := build(t, hostOf("shop.localhost", to(1), route)).Hosts()[0].Routes[0].Answer.(*Upstream).Members[0]
	if m.Authority != "" || m.ServerName != "example.com" {
		t.Errorf("%+v", m)
	}
}

// FuzzLocation: whatever a client writes, a redirect of this host stays on it, begins
// no header line, and gives a query its values back.
func FuzzLocation(f *testing.F) {
	targets := []string{"{path}", "{uri}/x", "{rest}", "/{path}", "/a{rest}/b", "https://{host}{path}", "https://{host}{uri}", "/x?next={uri}&a={query}", "/x?{query}#{path}", "/{{path}}/{id}"}
	for i := range targets {
		f.Add(i, "//evil.example/%2e%2e", "a=b&c=%0d%0a")
		f.Add(i, "/\\evil\t.example;x/..", "next=//evil?#\r\n")
	}
	base, err := url.Parse("https://shop.localhost:8443/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, i int, path, query string) {
		if i < 0 || i >= len(targets) || !strings.HasPrefix(path, "/") {
			t.Skip()
		}
		if _, wrong := vetPath(path); wrong != "" {
			t.Skip("Match refuses it")
		}
		m := Match{Route: &Route{Path: "/", Answer: &Redirect{Target: targets[i]}}, Rest: path}.With(Values{Client: "::1", Host: base.Host, Path: path, Query: query, ID: "1"})
		location := m.Location(query)
		if strings.ContainsFunc(location, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
			t.Fatalf("%s: %q", targets[i], location)
		}
		if strings.HasPrefix(location, "//") {
			t.Fatalf("%s: %q names another host", targets[i], location)
		}
		if rest, absolute := strings.CutPrefix(location, "https://"); absolute && rest != base.Host && !strings.HasPrefix(rest, base.Host+"/") && !strings.HasPrefix(rest, base.Host+"?") {
			t.Fatalf("%s: %q leads to another host", targets[i], location)
		}
		if strings.HasPrefix(targets[i], "/x?next=") {
			to, err := base.Parse(location)
			if err != nil {
				t.Fatal(err)
			}
			want := path
			if query != "" {
				want += "?" + query
			}
			if got := to.Query(); got.Get("next") != want || got.Get("a") != query {
				t.Fatalf("%q and %q came out as %q", want, query, got)
			}
		}
	})
}
