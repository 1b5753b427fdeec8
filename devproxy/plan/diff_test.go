package plan

import (
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
