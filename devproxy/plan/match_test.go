package plan

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

func TestMatchRoute(t *testing.T) {
	debug := http.Header{"X-Debug": {"1"}}
	tests := []struct {
		request    Request
		want, rest string // route label and rest; want empty means 400
	}{
		{Request{Path: "/"}, "/ (exact)", ""},
		{Request{Path: "/x"}, "/", "/x"},
		{Request{Path: "/apiary"}, "/", "/apiary"},
		{Request{Path: "/api"}, "/api", ""},
		{Request{Path: "/api/"}, "/api", "/"},
		{Request{Path: "/api/x"}, "/api", "/x"},
		{Request{Path: "/%61pi/x%2Fy"}, "/api", "/x%2Fy"},
		{Request{Path: "/api//x"}, "/api", "//x"},
		{Request{Path: "/API"}, "/", "/API"},
		{Request{Path: "/api/administrator"}, "/api", "/administrator"},
		{Request{Path: "/api/admin/x"}, "/api/admin", "/x"},
		{Request{Path: "/api/admin/keys"}, "/api/admin/keys (exact)", ""},
		{Request{Path: "/api/admin/keys/1"}, "/api/admin", "/keys/1"},
		{Request{Path: "/caf%C3%A9%20au%20lait/1"}, "/café au lait", "/1"},
		{Request{Path: "/a%2Fb//c"}, "/", "/a%2Fb//c"},
		{Request{Path: "////"}, "/ (exact)", ""},
		{Request{Path: "//api"}, "/api", ""},
		{Request{Path: "//api/x"}, "/api", "/x"},
		{Request{Path: "///api///x"}, "/api", "///x"},
		{Request{Path: "/api//admin"}, "/api/admin", ""},
		{Request{Path: "//api//admin//x"}, "/api/admin", "//x"},
		{Request{Path: "/api/admin/keys/"}, "/api/admin", "/keys/"}, // not the exact route
		{Request{Path: "/x%5Cy"}, "/", "/x%5Cy"},
		{Request{Path: `/api/x\y`}, "/api", `/x\y`},
		{Request{Path: "/x%2F..%2Fy"}, "/", "/x%2F..%2Fy"},
		{Request{Path: "/api/x/../y"}, "/api", "/x/../y"},
		{Request{Path: "/api/x%2F..%2Fy"}, "/api", "/x%2F..%2Fy"},
		{Request{Path: "/api/%2e"}, "/api", "/%2e"},
		{Request{Path: "/../x"}, "/", "/../x"}, // "/x" to all

		{Request{Method: "POST", Path: "/api/x"}, "/api (POST)", "/x"},
		{Request{Method: "POST", Path: "/api/x", Header: debug}, "/api (POST; X-Debug: *)", "/x"},
		{Request{Method: "GET", Path: "/api/x", Header: debug}, "/api", "/x"},
		{Request{Path: "/api/beta/1"}, "/api", "/beta/1"},
		{Request{Path: "/api/beta/1", RawQuery: "a=b&b%65ta=yes"}, "/api/beta (?beta=yes)", "/1"},
		{Request{Path: "/api/beta/1", RawQuery: "beta=no&beta=yes"}, "/api/beta (?beta=yes)", "/1"},
		{Request{Path: "/api/beta/1", RawQuery: "beta=yes!"}, "/api", "/beta/1"},

		{Request{Path: ""}, "", ""},
		{Request{Path: "*"}, "", ""},
		{Request{Path: "api"}, "", ""},
		{Request{Path: "/api/%"}, "", ""},
		{Request{Path: "/api/%4"}, "", ""},
		{Request{Path: "/api/%zz"}, "", ""},
		{Request{Path: "/api/.."}, "", ""},
		{Request{Path: "/./api"}, "", ""},
		{Request{Path: "/api/%2e%2E/x"}, "", ""},
		{Request{Path: "/api/x%2F..%2Fadmin"}, "", ""},
		{Request{Path: `/api\admin`}, "", ""},
		{Request{Path: "/api%5Cadmin"}, "", ""},
		{Request{Path: "/api%00"}, "", ""},
		{Request{Path: "/api\x00"}, "", ""},
		{Request{Path: "/api%2Fx"}, "", ""},
		{Request{Path: "/api%2fadmin"}, "", ""},
		{Request{Path: "/api/%2Fadmin"}, "", ""},
		{Request{Path: "/api/..."}, "/api", "/..."},
		{Request{Path: "/api/%252e%252e"}, "/api", "/%252e%252e"},
	}
	p := shop(t)
	for _, tt := range tests {
		tt.request.Host = "shop.localhost"
		if tt.request.Method == "" {
			tt.request.Method = "GET"
		}
		m, err := p.Match(tt.request)
		if tt.want == "" {
			if _, ok := errors.AsType[*PathError](err); !ok {
				t.Errorf("Match(%q) = %v, %v; want a *PathError", tt.request.Path, m.Route, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Match(%q): %v", tt.request.Path, err)
			continue
		}
		if m.Route.Label() != tt.want || m.Rest != tt.rest {
			t.Errorf("Match(%s %q) = %q, rest %q; want %q, %q",
				tt.request.Method, tt.request.Path, m.Route.Label(), m.Rest, tt.want, tt.rest)
		}
	}
}

// TestFallThrough: a route whose conditions fail lets shorter paths try, but no
// exact one, which is for another path.
func TestFallThrough(t *testing.T) {
	p := build(t, hostOf("shop.localhost", to(1),
		routeOf("/api", 2), exactly("/api", 3), when("/api/x", 4, matchOf("POST", "", "")),
		when("/", 5, matchOf("GET", "", "")), exactly("/only", 6), when("/only/x", 7, matchOf("POST", "", ""))))
	for path, want := range map[string]string{
		"/api/x": "/api", "/api": "/api (exact)", "/only/x": "/ (GET)", "/only": "/only (exact)",
	} {
		m, err := p.Match(Request{Method: "GET", Host: "shop.localhost", Path: path})
		if err != nil || m.Route.Label() != want {
			t.Errorf("Match(%s) = %v, %v; want %s", path, m.Route, err, want)
		}
	}
	var order []string
	for _, r := range p.Hosts()[0].Routes {
		order = append(order, r.Label())
	}
	const want = "/only/x (POST), /api/x (POST), /only (exact), /api (exact), /api, / (GET), /"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("routes are tried in the order\n%s, want\n%s", got, want)
	}
}

func TestMatchHost(t *testing.T) {
	aliased := hostOf("shop.localhost", to(1))
	aliased.Aliases = []hcl.Name{{Value: "www.shop.localhost"}, {Value: "*.alias.localhost"}}
	p := build(t, aliased,
		hostOf("*.shop.localhost", to(2)),
		hostOf("*.eu.shop.localhost", to(3)),
		hostOf("admin.shop.localhost", to(4)),
	)
	tests := []struct{ host, want string }{
		{"shop.localhost", "shop.localhost"},
		{"SHOP.LocalHost", "shop.localhost"},
		{"shop.localhost.", "shop.localhost"},
		{"www.shop.localhost", "shop.localhost"},
		{"x.alias.localhost", "shop.localhost"},
		{"a.shop.localhost", "*.shop.localhost"},
		{"eu.shop.localhost", "*.shop.localhost"},
		{"a.eu.shop.localhost", "*.eu.shop.localhost"},
		{"admin.shop.localhost", "admin.shop.localhost"},
		{"Admin.Shop.localhost.", "admin.shop.localhost"},
		{"a.b.shop.localhost", ""},
		{"a.admin.shop.localhost", ""},
		{".shop.localhost", ""},
		{"shop.localhost..", ""},
		{"localhost", ""},
		{"", ""},
		{"\u212Ashop.localhost", ""}, // the Kelvin sign folds to "k" in Unicode
		{"127.0.0.1", ""},
	}
	for _, tt := range tests {
		m, err := p.Match(Request{Method: "GET", Host: tt.host, Path: "/"})
		if tt.want == "" {
			if _, ok := errors.AsType[*UnknownHostError](err); !ok {
				t.Errorf("Match of host %q = %v, %v; want an *UnknownHostError", tt.host, m.Route, err)
			}
			continue
		}
		if err != nil || m.Route.Host.Name != tt.want {
			t.Errorf("Match of host %q = %v, %v; want %q", tt.host, m.Route, err, tt.want)
		}
	}
}

func TestMatchErrors(t *testing.T) {
	p := build(t, hostOf("shop.localhost", nil, routeOf("/api", 1)), hostOf("mail.shop.localhost", to(2)))
	tests := []struct {
		host, path, want string
	}{
		{"shpo.localhost", "/", `host "shpo.localhost" is not in any Proxyfile served now; did you mean "shop.localhost"?`},
		{"unrelated.test", "/", `host "unrelated.test" is not in any Proxyfile served now`},
		{"shop.localhost", "/x", `host "shop.localhost" has no route for "/x", only: /api`},
		{"shop.localhost", "/x/../api", `the path "/x/../api" matches no route as it is written, and route "/api" where "." and ".." segments are resolved`},
		{"shop.localhost", "/%2fapi", `the path "/%2fapi" matches no route as it is written, and route "/api" where "%2F" counts as "/"`},
		{"shop.localhost", "/api/..%2f..%2Fx", `the path "/api/..%2f..%2Fx" matches route "/api" as it is written, and no route where "%2F" counts as "/" and "." and ".." segments are resolved`},
	}
	for _, tt := range tests {
		_, err := p.Match(Request{Method: "GET", Host: tt.host, Path: tt.path})
		if err == nil || err.Error() != tt.want {
			t.Errorf("Match(%s%s) = %v; want %s", tt.host, tt.path, err, tt.want)
		}
	}
}

func TestZeroPlanKnowsNoHost(t *testing.T) {
	if _, err := new(Plan).Match(Request{Host: "shop.localhost", Path: "/"}); err == nil {
		t.Error("the zero plan matched a request")
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "ab", false},
		{"*", "", true}, {"*", "abc", true}, {"a*", "abc", true}, {"*c", "abc", true},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*d", "abc", false},
		{"*b*", "abc", true}, {"a**c", "abc", true}, {"*ab", "aab", true}, {"a*b*c", "aXbYbZc", true},
		{"a*", "*", false}, {"*", "*", true},
	}
	for _, tt := range tests {
		if got := glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("glob(%q, %q) = %t", tt.pattern, tt.s, got)
		}
	}
}

// TestTraceTellsWhy: the last route of a trace is the one that Match finds, the
// others say which condition failed.
func TestTraceTellsWhy(t *testing.T) {
	p := shop(t)
	r := Request{Method: "POST", Host: "shop.localhost", Path: "/api/beta"}
	tried := p.Trace(r)
	var got []string
	for _, x := range tried {
		got = append(got, x.Route.Label()+": "+x.Failed)
	}
	want := `/api/beta (?beta=yes): query parameter beta is not "yes"
/api (POST; X-Debug: *): header X-Debug is not "*"
/api (POST): `
	if strings.Join(got, "\n") != want {
		t.Errorf("Trace:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
	if m, err := p.Match(r); err != nil || m.Route != tried[len(tried)-1].Route {
		t.Errorf("Match = %v, %v; want the last of the trace", m.Route, err)
	}
}

// TestCaseGetsAroundNoGuard: a path that an upstream which ignores case would take
// for a guarded one is refused, and other paths are told apart by case as before.
func TestCaseGetsAroundNoGuard(t *testing.T) {
	open := routeOf("/Open", 2)
	p := build(t, hostOf("shop.localhost", to(1),
		protect(routeOf("/admin", 1)), routeOf("/admin/health", 3), protect(exactly("/Reports", 1)), open,
		routeOf("/assets", 4), routeOf("/Assets", 5), protect(routeOf("/Twin", 1)), routeOf("/twin", 6), protect(routeOf("/café", 1)), protect(routeOf("/*.key", 1)),
	), hostOf("plain.localhost", to(1), routeOf("/admin", 2)), hostOf("all.localhost", nil, protect(routeOf("/", 1)), protect(routeOf("/admin", 1))))
	tests := []struct{ host, path, want string }{
		{"shop", "/admin", "/admin"},
		{"shop", "/ADMIN", `matches route "/" as it is written, and route "/admin" where case is ignored`},
		{"shop", "/Admin/x", `matches route "/" as it is written, and route "/admin" where case is ignored`},
		{"shop", "/%41dmin", `matches route "/" as it is written, and route "/admin" where case is ignored`},
		{"shop", "//ADMIN/", `matches route "/" as it is written, and route "/admin" where case is ignored`},
		{"shop", "/x/../ADMIN", `matches route "/" as it is written, and route "/admin" where "." and ".." segments are resolved and case is ignored`},
		{"shop", "/ADMIN;x", `matches route "/" as it is written, and route "/admin" where ";" begins a parameter and case is ignored`},
		{"shop", "/Open%2f..%2FADMIN", `matches route "/" as it is written, and route "/Open" where "%2F" counts as "/"`},
		{"shop", "/reports", `matches route "/" as it is written, and route "/Reports (exact)" where case is ignored`},
		{"shop", "/Reports", "/Reports"},
		{"shop", "/reports/x", "/"},
		{"shop", "/CAF%C3%89", `matches route "/" as it is written, and route "/café" where case is ignored`},
		{"shop", "/a.%E2%84%AAEY", `matches route "/" as it is written, and route "/*.key" where case is ignored`},
		{"shop", "/ADMIN/HEALTH", "/"}, // is open in either case
		{"shop", "/admin/Health", "/admin"},
		{"shop", "/open", "/"},
		{"shop", "/Assets/App.js", "/Assets"},
		{"shop", "/assets/App.js", "/assets"},
		{"shop", "/ASSETS", "/"},
		{"shop", "/Twin", "/Twin"},
		{"shop", "/twin", "/twin"}, // the Proxyfile tells them apart
		{"shop", "/TWIN", `matches route "/" as it is written, and route "/Twin" where case is ignored`},
		{"plain", "/ADMIN", "/"},
		{"all", "/ADMIN", "/"}, // with the same guard
	}
	for _, tt := range tests {
		m, err := p.Match(Request{Method: "GET", Host: tt.host + ".localhost", Path: tt.path})
		got := ""
		if wrong, is := errors.AsType[*PathError](err); is {
			got = wrong.Reason
		} else if err == nil {
			got = m.Route.Path
		}
		if got != tt.want {
			t.Errorf("%s %s: %s (%v); want %s", tt.host, tt.path, got, err, tt.want)
		}
	}
}
