package advice

import (
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestCookiesOfRemoteUpstreams: what an upstream sets for its own host or above is kept
// by the browser for the local one; what no browser takes from it is not made valid.
func TestCookiesOfRemoteUpstreams(t *testing.T) {
	remote := &plan.Upstream{
		Members:  []plan.Member{{Scheme: plan.SchemeHTTPS, Network: "tcp", Addrs: []string{"app.example.com:443"}, Authority: "app.example.com"}},
		Fallback: []plan.Member{{Network: "tcp", Addrs: []string{"192.0.2.1:8000"}, Authority: "spare.example.org"}},
	}
	const https, plain = "https://shop.localhost:8443", "http://shop.localhost:8080"
	for _, test := range []struct{ origin, line, want string }{ // want empty: unchanged
		{https, "a=1; Domain=.example.com; Path=/; Secure; HttpOnly; SameSite=None; Partitioned", "a=1; Path=/; Secure; HttpOnly; SameSite=None; Partitioned"},
		{https, "a=1;domain = APP.example.com. ", "a=1"},
		{https, "a=1; Domain=app.example.com", "a=1"},
		{https, "a=1; Domain=other.example; Domain=example.com; Max-Age=9", "a=1; Max-Age=9"},
		{https, "a=1; Domain=example.org", "a=1"},
		{https, "a=1; Domain=192.0.2.1", "a=1"},
		{https, "__Secure-a=1; Secure; Domain=example.com", "__Secure-a=1; Secure"},
		{https, "a=1; Domain=0.2.1", ""},
		{https, "a=1; Domain=com", ""},
		{https, "a=1; Domain=other.example.com", ""},
		{https, "a=1; Domain=example.com; Domain=other.example", ""},
		{https, "a=1; Domain=ample.com", ""},
		{https, "a=1; Domain=shop.localhost", ""},
		{https, "a=1; Domain=", ""},
		{https, "a=1; Path=/; Secure; SameSite=Strict", ""},
		{https, "__Host-a=1; Path=/; Secure", ""},
		{https, "__Host-a=1; Path=/; Secure; Domain=example.com", ""},
		{https, "Domain=example.com", ""},
		{plain, "a=1; Secure; SameSite=None; Partitioned; Domain=example.com; HttpOnly", "a=1; HttpOnly"},
		{plain, "a=1; secure; SameSite=Lax", "a=1; SameSite=Lax"},
		{plain, "__Host-a=1; Path=/; Secure; SameSite=None", ""},
		{plain, "__SECURE-a=1; Path=/; Secure; Domain=example.com", "__SECURE-a=1; Path=/; Secure"},
		{plain, "a=1; SameSite=None", ""},
	} {
		want := test.want
		if want == "" {
			want = test.line
		}
		if got := (Outside{Route: &plan.Route{Path: "/"}, Upstream: remote, Origin: test.origin}).cookie(test.line); got != want {
			t.Errorf("%s: %q: %q, want %q", test.origin, test.line, got, want)
		}
	}
	// Path and Domain together, of a route that takes a prefix off.
	o := Outside{Route: &plan.Route{Path: "/api", StripPrefix: true}, Upstream: remote, Origin: https}
	if got := o.cookie("a=1; Domain=.example.com; Path=/admin"); got != "a=1; Path=/api/admin" {
		t.Error(got)
	}
	// An app of this machine that has the client's Host sets its own domain.
	local := &plan.Upstream{Members: []plan.Member{{Network: "tcp", Addrs: []string{"127.0.0.1:3000", "[::1]:3000"}}}}
	for _, line := range []string{"a=1; Domain=shop.localhost", "a=1; Domain=.example.com", "a=1; Domain=localhost"} {
		if got := (Outside{Route: &plan.Route{Path: "/"}, Upstream: local, Origin: https}).cookie(line); got != line {
			t.Errorf("%q: %q", line, got)
		}
	}
}
