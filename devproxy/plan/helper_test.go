package plan

import (
	"fmt"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// to is an upstream on a port, written on its own line.
func to(port uint16) *hcl.Upstream {
	text := fmt.Sprintf(":%d", port)
	return members(hcl.Member{Scheme: hcl.SchemeHTTP, Port: port, Text: text})
}

func members(ms ...hcl.Member) *hcl.Upstream {
	return &hcl.Upstream{Members: ms}
}

func fileOf(hosts ...*hcl.Host) *hcl.File {
	return &hcl.File{Dir: "/shop", Hosts: hosts}
}

func hostOf(name string, own *hcl.Upstream, routes ...*hcl.Route) *hcl.Host {
	return &hcl.Host{Name: hcl.Name{Value: name}, Settings: hcl.Settings{Upstream: own}, Routes: routes}
}

func routeOf(path string, port uint16) *hcl.Route {
	return &hcl.Route{Path: path, Settings: hcl.Settings{Upstream: to(port)}}
}

func exactly(path string, port uint16) *hcl.Route {
	r := routeOf(path, port)
	r.Exact = true
	return r
}

func when(path string, port uint16, m hcl.Match) *hcl.Route {
	r := routeOf(path, port)
	r.Match = &m
	return r
}

// build is the plan of hosts, which have no mistakes.
func build(t testing.TB, hosts ...*hcl.Host) *Plan {
	t.Helper()
	p, diags := Build(fileOf(hosts...), Env{})
	if diags.HasErrors() {
		t.Fatalf("Build: %v", diags)
	}
	return p
}

// shop has the shapes that matching is about on one host.
func shop(t testing.TB) *Plan {
	t.Helper()
	return build(t, hostOf("shop.localhost", to(1),
		routeOf("/api", 2),
		routeOf("/api/admin", 3),
		exactly("/api/admin/keys", 4),
		when("/api", 5, hcl.Match{Methods: []string{"POST"}}),
		when("/api", 6, hcl.Match{Methods: []string{"POST"}, Headers: map[string]string{"X-Debug": "*"}}),
		exactly("/", 7),
		when("/api/beta", 8, hcl.Match{Query: map[string]string{"beta": "yes"}}),
		routeOf("/café au lait", 9),
	))
}

// matchOf requires a method, the value of X-Debug and that of the query
// parameter beta, each only when not empty.
func matchOf(method, debug, beta string) hcl.Match {
	var m hcl.Match
	if method != "" {
		m.Methods = []string{method}
	}
	if debug != "" {
		m.Headers = map[string]string{"X-Debug": debug}
	}
	if beta != "" {
		m.Query = map[string]string{"beta": beta}
	}
	return m
}
