package advice

import (
	"net/http"
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
		{"Set-Cookie", "sid=1; Domain=localhost", `"sid": Domain=localhost is a top-level domain, whose hosts belong to anybody; leave Domain out, or write Domain=shop.localhost`},
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
	}}
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
		{plain, "//localhost:5173/a", ""},
		{plain, "javascript://localhost:5173/a", ""},
		{plain, "http://localhost:5173.example.com/", ""},
		{plain, "", ""},
		{strip, "http://localhost:5173/users/", "https://shop.localhost/api/users/"},
		{strip, "http://localhost:5173/", "https://shop.localhost/api/"},
		{rewrite, "http://localhost:5173/v1/users", "https://shop.localhost/api/users"},
		{rewrite, "http://localhost:5173/v1?q", "https://shop.localhost/api?q"},
		{rewrite, "http://localhost:5173/v1users", "https://shop.localhost/v1users"},
		{&plan.Route{Path: "/api", Rewrite: "/v1/{rest}"}, "http://localhost:5173/v1/users", "https://shop.localhost/api/users"},
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
		if got := Location(test.value, test.route, upstream, "https://shop.localhost"); got != want {
			t.Errorf("%s: %q, want %q", test.value, got, want)
		}
	}
}
