package plan

import (
	"errors"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

func TestDiff(t *testing.T) {
	shop := func(routes ...*hcl.Route) *Plan { return build(t, hostOf("shop.localhost", to(5173), routes...)) }
	stripped := routeOf("/api", 3000)
	stripped.StripPrefix = true
	plain := routeOf("/api", 3000)
	plain.ForwardedProto = hcl.ForwardedHTTP
	held := routeOf("/api", 3000)
	held.Hold = duration(0)
	moved := routeOf("/api", 3000)
	moved.PathRange.Start.Line = 12
	unverified := func(skip bool) *hcl.Route {
		r := &hcl.Route{Path: "/api", Settings: hcl.Settings{TLSSkipVerify: &skip}}
		r.Upstream = members(hcl.Member{Scheme: "https", Host: "example.com", Port: 443, Text: "https://example.com"})
		return r
	}
	aliased := hostOf("shop.localhost", to(5173))
	aliased.Aliases = []hcl.Name{{Value: "www.localhost"}}
	tests := []struct {
		name     string
		old, new *Plan
		want     string
	}{
		{"the same", shop(routeOf("/api", 3000)), shop(routeOf("/api", 3000)), ""},
		{"lines moved", shop(routeOf("/api", 3000)), shop(moved), ""},
		{"all kinds", shop(routeOf("/api", 3000), routeOf("/old", 1)), shop(routeOf("/api", 3001), routeOf("/docs", 2)),
			"/api :3000 -> :3001 · + /docs · - /old"},
		{"a first plan", nil, shop(routeOf("/api", 3000)), "+ /api · + /"},
		{"the last plan", shop(), nil, "- /"},
		{"a setting", shop(routeOf("/api", 3000)), shop(stripped), "/api strip_prefix none -> true"},
		{"a duration", shop(routeOf("/api", 3000)), shop(held), "/api hold 10s -> 0s"},
		{"the scheme that is told", shop(routeOf("/api", 3000)), shop(plain), "/api forwarded_proto https -> http"},
		{"verification", shop(unverified(false)), shop(unverified(true)), "/api https://example.com reached differently"},
		{"identity", shop(routeOf("/api", 3000)), shop(exactly("/api", 3000)), "+ /api (exact) · - /api"},
		{"a second host", shop(), build(t, hostOf("shop.localhost", to(5174)), hostOf("mail.shop.localhost", to(8025))),
			"shop.localhost/ :5173 -> :5174 · + mail.shop.localhost/"},
		{"an alias", shop(), build(t, aliased), "+ www.localhost"},
		{"an alias less", build(t, aliased), shop(), "- www.localhost"},
		{"nothing at all", nil, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changes := Diff(tt.old, tt.new)
			if got := changes.String(); got != tt.want || changes.Empty() != (tt.want == "") {
				t.Errorf("Diff = %q, empty %t; want %q", got, changes.Empty(), tt.want)
			}
		})
	}
}

// TestDiffOfItself: whatever a plan holds, it does not differ from itself.
func TestDiffOfItself(t *testing.T) {
	for _, p := range []*Plan{shop(t), fuzzPlan(t), crowd(t, 100), {}} {
		if changes := Diff(p, p); !changes.Empty() || changes.String() != "" {
			t.Errorf("a plan differs from itself: %s", changes)
		}
	}
}

func folderOf(t *testing.T, dir string, hosts ...*hcl.Host) *Plan {
	t.Helper()
	file := fileOf(hosts...)
	file.Dir = dir
	p, diags := Build(file, Env{})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return p
}

// TestMergeKeepsHostsApart: a wildcard of one folder takes nothing from a host
// of another, not even the paths that host has no route for.
func TestMergeKeepsHostsApart(t *testing.T) {
	wide := folderOf(t, "/wide", hostOf("*.localhost", to(1)))
	narrow := folderOf(t, "/narrow", hostOf("shop.localhost", nil, routeOf("/api", 2)))
	for _, plans := range [][]*Plan{{wide, narrow}, {narrow, nil, wide}} {
		p, err := Merge(plans...)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := p.Match(Request{Host: "shop.localhost", Path: "/api"}); err != nil || m.Route.Host.Folder != "/narrow" {
			t.Errorf("Match = %v, %v; want the folder that names the host", m.Route, err)
		}
		_, err = p.Match(Request{Host: "shop.localhost", Path: "/x"})
		if _, ok := errors.AsType[*NoRouteError](err); !ok {
			t.Errorf("a path without a route = %v; want no fall to the other folder's wildcard", err)
		}
		if m, err := p.Match(Request{Host: "else.localhost", Path: "/x"}); err != nil || m.Route.Host.Folder != "/wide" {
			t.Errorf("Match of another name = %v, %v; want the wildcard", m.Route, err)
		}
	}
}

func TestMergeConflict(t *testing.T) {
	first := hostOf("shop.localhost", to(1))
	first.Name.Range = hcl.Range{File: "Proxyfile", Start: hcl.Pos{Line: 1}}
	second := hostOf("other.localhost", to(2))
	second.Aliases = []hcl.Name{{Value: "shop.localhost", Range: hcl.Range{File: "b/Proxyfile", Start: hcl.Pos{Line: 7}}}}
	file := fileOf(first)
	file.Dir, file.Sources = "/a", hcl.Sources{"Proxyfile": []byte(`host "shop.localhost" {`)}
	a, _ := Build(file, Env{})
	b := folderOf(t, "/b", second)
	_, err := Merge(a, b)
	const want = `host "shop.localhost" at b/Proxyfile:7 is already served for /a (Proxyfile:1: host "shop.localhost" {)`
	if err == nil || err.Error() != want {
		t.Errorf("Merge = %v; want %s", err, want)
	}
	if conflict, ok := errors.AsType[*ConflictError](err); !ok || conflict.Second.Line != 7 {
		t.Errorf("Merge = %#v; want a *ConflictError with both lines", err)
	}
	if _, err := Merge(a); err != nil {
		t.Errorf("Merge of one plan: %v", err)
	}
	if p, err := Merge(); err != nil || len(p.Hosts()) != 0 {
		t.Errorf("Merge of nothing = %v, %v", p, err)
	}
}

func TestNear(t *testing.T) {
	p := build(t, hostOf("shop.localhost", to(1)), hostOf("*.shop.localhost", to(2)), hostOf("a.localhost", to(3)))
	for name, want := range map[string]string{
		"shop.localhost":         "shop.localhost",
		"shpo.localhost":         "shop.localhost",
		"shop.localhos":          "shop.localhost",
		"b.localhost":            "a.localhost",
		"blog.example.com":       "",
		"":                       "",
		strings.Repeat("a", 300): "",
	} {
		if got := p.near(name); got != want {
			t.Errorf("near(%q) = %q; want %q", name, got, want)
		}
	}
}
