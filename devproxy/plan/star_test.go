package plan

import (
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// TestStars: fewer stars and longer literals win, wherever a route is written.
func TestStars(t *testing.T) {
	routes := []*hcl.Route{
		routeOf("/api", 2), routeOf("/api/*/store", 3), routeOf("/api/*", 4), routeOf("/api/v1/store", 5),
		routeOf("/app_*", 6), routeOf("/app_admin_*", 7), exactly("/app_*", 8), routeOf("/*/*", 9), exactly("/*.js", 10),
		when("/api/*/store", 11, hcl.Match{Methods: []string{"POST"}}), routeOf("/a*b*c", 12), routeOf("/a*c", 13), routeOf("/api/0", 14),
	}
	backwards := make([]*hcl.Route, len(routes))
	for i, r := range routes {
		backwards[len(routes)-1-i] = r
	}
	for _, p := range []*Plan{build(t, hostOf("a.localhost", to(1), routes...)), build(t, hostOf("a.localhost", to(1), backwards...))} {
		for _, test := range []struct{ path, label, rest string }{
			{"/api", "/api", ""},
			{"/api/", "/api", "/"},
			{"/api/1", "/api/*", ""},
			{"/api/1/", "/api/*", "/"},
			{"/api/1/x", "/api/*", "/x"},
			{"/api/0/x", "/api/0", "/x"},
			{"/api/0/store", "/api/*/store", ""}, // more segments
			{"/api/1/store", "/api/*/store", ""},
			{"/api/1/store/2/", "/api/*/store", "/2/"},
			{"//api//1//store//2", "/api/*/store", "//2"},
			{"/api/v1/store", "/api/v1/store", ""},
			{"/api/v1/stores", "/api/*", "/stores"},
			{"/api/%2A/store", "/api/*/store", ""},
			{"/api/a%20b/s%74ore", "/api/*/store", ""},
			{"/app_1", "/app_* (exact)", ""},
			{"/app_", "/app_* (exact)", ""},
			{"/app_/", "/app_*", "/"},
			{"/app_x/y", "/*/*", ""},
			{"/app_admin_", "/app_admin_*", ""},
			{"/app", "/", "/app"},
			{"/APP_1", "/", "/APP_1"},
			{"/x.js", "/*.js (exact)", ""},
			{"/.js", "/*.js (exact)", ""},
			{"/x.js/", "/", "/x.js/"},
			{"/x.JS", "/", "/x.JS"},
			{"/abc", "/a*b*c", ""},
			{"/a-b-c", "/a*b*c", ""},
			{"/acb", "/", "/acb"},
			{"/a-c", "/a*c", ""},
			{"/x/y/z", "/*/*", "/z"},
			{"/x//y", "/*/*", ""},
			{"/x/", "/", "/x/"},
		} {
			m, err := p.Match(Request{Method: "GET", Host: "a.localhost", Path: test.path})
			if err != nil || m.Route.Label() != test.label || m.Rest != test.rest || m.Taken+m.Rest != test.path {
				t.Errorf("%s: %v rest %q, %v; want %s rest %q", test.path, m.Route, m.Rest, err, test.label, test.rest)
			}
		}
		m, err := p.Match(Request{Method: "POST", Host: "a.localhost", Path: "/api/1/store"})
		if err != nil || m.Route.Label() != "/api/*/store (POST)" {
			t.Errorf("POST: %v, %v", m.Route, err)
		}
	}
}

// TestStarsAreNoWayAroundAGuard: a path that another program reads as one of a
// guarded star is refused, and a plain one is not.
func TestStarsAreNoWayAroundAGuard(t *testing.T) {
	p := build(t, hostOf("a.localhost", to(1), routeOf("/api", 1), protect(routeOf("/api/*/admin", 1)), routeOf("/open/*", 2)))
	for path, want := range map[string]string{ // want is empty for 400
		"/api/1/admin":             "/api/*/admin",
		"/api/1/admin/x":           "/api/*/admin",
		"/api/1/users":             "/api",
		"/api/admin":               "/api",
		"/api/":                    "/api",
		"/open/a%2Fb":              "/open/*",
		"/api//admin":              "", // of nothing, where empty segments count
		"/api/1%2Fadmin":           "",
		"/api%2F1/admin":           "",
		`/api\1\admin`:             "",
		"/api/a%2Fb/admin":         "",
		"/api/x/1/../admin":        "",
		"/open/../api/1/admin":     "",
		"/open/..%2fapi%2f1/admin": "",
		"/api/1;x/admin":           "/api/*/admin",
		"/api/1/admin;x":           "",
		"/open/%2e%2e/api":         "",
	} {
		m, err := p.Match(Request{Method: "GET", Host: "a.localhost", Path: path})
		if got := statusOf(t, err); want == "" && got != 400 || want != "" && (err != nil || m.Route.Label() != want) {
			t.Errorf("%s: %v, %v; want %q", path, m.Route, err, want)
		}
	}
}

// TestOverlaps: two routes that say a path equally well are an error, in either
// order; conditions that exclude each other and exact tell them apart.
func TestOverlaps(t *testing.T) {
	get, post := hcl.Match{Methods: []string{"GET"}}, hcl.Match{Methods: []string{"POST"}}
	for _, test := range []struct {
		a, b *hcl.Route
		want string // a path that both match
	}{
		{routeOf("/a/*", 2), routeOf("/*/b", 3), "/a/b"},
		{routeOf("/a*", 2), routeOf("/*b", 3), "/ab"},
		{routeOf("/*m*", 2), routeOf("/*n*", 2), "mn"},
		{exactly("/a/*", 2), exactly("/*/b", 3), "/a/b"},
		{when("/a/*", 2, post), when("/*/b", 3, post), "/a/b"},
		{exactly("/a/*", 2), routeOf("/*/b", 3), ""},
		{when("/a/*", 2, get), when("/*/b", 3, post), ""},
		{when("/a/*", 2, get), routeOf("/*/b", 3), ""},
		{routeOf("/a/*", 2), routeOf("/*/bc", 3), ""},
		{routeOf("/a/*", 2), routeOf("/b/*", 3), ""},
		{routeOf("/a*", 2), routeOf("/b*", 3), ""},
		{routeOf("/a/*", 2), routeOf("/*/*/b", 3), ""},
		{when("/a/*", 2, get), when("/a/*", 3, post), ""},
	} {
		test.a.PathRange.Start.Byte, test.b.PathRange.Start.Byte = 10, 20
		for _, routes := range [][]*hcl.Route{{test.a, test.b}, {test.b, test.a}} {
			_, diags := Build(fileOf(hostOf("a.localhost", to(1), routes...)), Env{})
			if test.want == "" && len(diags) > 0 || test.want != "" && (len(diags) != 1 || diags[0].Range.Start.Byte != 20 || !strings.Contains(diags[0].Summary, "match the same path equally well")) {
				t.Errorf("%s and %s: %v", test.a.Path, test.b.Path, diags)
			}
		}
	}
}

// TestPrefixOfStars: the prefix that strip_prefix removes is as the client wrote it, but
// so that no path made of it leads to another host.
func TestPrefixOfStars(t *testing.T) {
	stripped := routeOf("/*/v1", 2)
	stripped.StripPrefix = true
	plain := routeOf("/café", 3)
	plain.StripPrefix = true
	p := build(t, hostOf("a.localhost", to(1), stripped, plain))
	for _, test := range []struct{ path, prefix, target string }{
		{"/shop/v1/x/", "/shop/v1", "/x/"},
		{"/shop/v1", "/shop/v1", "/"},
		{"//shop//v1//x", "/shop/v1", "/x"},
		{"/a%20b/%761/x", "/a%20b/%761", "/x"},
		{"/caf%C3%A9/x", "/café", "/x"},
		{"/evil.example\"<>/v1/x", "/evil.example%22%3C%3E/v1", "/x"},
	} {
		m, err := p.Match(Request{Method: "GET", Host: "a.localhost", Path: test.path})
		if err != nil || m.Prefix() != test.prefix || m.Target(test.path) != test.target {
			t.Errorf("%s: prefix %q, target %q, %v; want %q, %q", test.path, m.Prefix(), m.Target(test.path), err, test.prefix, test.target)
		}
	}
	if m := newMatch(p.Hosts()[0].Routes[0], `/\evil.example/v1/x`); m.Prefix() != "/%5Cevil.example/v1" {
		t.Errorf("a backslash in the prefix %q", m.Prefix())
	}
}
