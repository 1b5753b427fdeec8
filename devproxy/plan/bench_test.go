package plan

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// crowd is a plan of n hosts with a few routes each.
func crowd(t testing.TB, n int) *Plan {
	var hosts []*hcl.Host
	for i := range n {
		hosts = append(hosts, hostOf(fmt.Sprintf("h%d.localhost", i), to(1), routeOf("/api", 2), routeOf("/api/v1/users", 3), exactly("/login", 4)))
	}
	hosts = append(hosts, hostOf("*.tenant.localhost", to(5)))
	return build(t, hosts...)
}

var hostCounts = []int{10, 1000, 10000}

func BenchmarkMatch(b *testing.B) {
	for _, n := range hostCounts {
		p := crowd(b, n)
		host := fmt.Sprintf("h%d.localhost", n/2)
		for _, path := range []string{"/", "/api/v1/users/42", "/src/a/b/c/d/e/f/g/component.tsx", "/api//%76%31/x%20y"} {
			b.Run(fmt.Sprintf("hosts=%d/segments=%d", n, strings.Count(path, "/")), func(b *testing.B) {
				b.ReportAllocs()
				r := Request{Method: "GET", Host: host, Path: path}
				for b.Loop() {
					if _, err := p.Match(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkMatchLongPath: the cost of a path is linear in its length, however
// many segments it has.
func BenchmarkMatchLongPath(b *testing.B) {
	p := crowd(b, 10)
	for _, kib := range []int{4, 16, 64} {
		for _, unit := range []string{"/", "/a", "%2F"} {
			path := "/api" + strings.Repeat(unit, kib<<10/len(unit))
			b.Run(fmt.Sprintf("%s/KiB=%d", strings.ReplaceAll(unit, "/", "slash"), kib), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(path)))
				for b.Loop() {
					_, _ = p.Match(Request{Method: "GET", Host: "h1.localhost", Path: path})
				}
			})
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p := crowd(t, 1000)
	stars := starCrowd(t, 10000)
	conditional := build(t, hostOf("a.localhost", to(1), when("/", 2, matchOf("POST", "1", "yes"))))
	guarded := build(t, hostOf("a.localhost", to(1), protect(routeOf("/admin", 1)), routeOf("/assets", 2)))
	tests := []struct {
		plan    *Plan
		request Request
	}{
		{p, Request{Method: "GET", Host: "h500.localhost", Path: "/api/v1/users/42", RawQuery: "a=b"}},
		{p, Request{Method: "GET", Host: "h500.localhost.", Path: "/api/%76%31/%75sers//x"}},
		{p, Request{Method: "GET", Host: "a.tenant.localhost", Path: "/x//y%2Fz/"}},
		{stars, Request{Method: "GET", Host: "shop.localhost", Path: "/t77/1/end77"}},
		{stars, Request{Method: "GET", Host: "shop.localhost", Path: "/app77_x/tail77"}},
		{stars, Request{Method: "GET", Host: "shop.localhost", Path: "/%61pp77_" + strings.Repeat("%41", 500) + "/t%61il77/" + strings.Repeat("x", 500)}},
		{stars, Request{Method: "GET", Host: "shop.localhost", Path: "/mid77/a" + strings.Repeat("%62", 500) + "m" + strings.Repeat("c", 500) + "z//x"}},
		{guarded, Request{Method: "GET", Host: "a.localhost", Path: "/assets/index-DiwrgTda.js"}},
		{guarded, Request{Method: "GET", Host: "a.localhost", Path: "/Images/A.png"}},
		{conditional, Request{Method: "POST", Host: "a.localhost", Path: "/", RawQuery: "beta=yes", Header: map[string][]string{"X-Debug": {"1"}}}},
	}
	for _, tt := range tests {
		var err error
		allocs := testing.AllocsPerRun(100, func() { _, err = tt.plan.Match(tt.request) })
		if err != nil || allocs != 0 {
			t.Errorf("Match(%s%s): %v allocations, error %v; want none", tt.request.Host, tt.request.Path, allocs, err)
		}
	}
}

// starCrowd is a plan of a host with n routes, all with stars, which differ in each
// place where paths with stars can.
func starCrowd(t testing.TB, n int) *Plan {
	var routes []*hcl.Route
	for i := range n / 5 {
		routes = append(routes,
			routeOf(fmt.Sprintf("/t%d/*/end%d", i, i), 2), // a literal before
			routeOf(fmt.Sprintf("/*/last%d", i), 3),       // a literal after
			routeOf(fmt.Sprintf("/app%d_*", i), 4),        // the beginning of a segment
			routeOf(fmt.Sprintf("/end/*-%dend", i), 5),    // its end
			routeOf(fmt.Sprintf("/mid%d/a*m*z", i), 6),    // its middle
		)
	}
	return build(t, hostOf("shop.localhost", to(1), routes...))
}

// starRequests reach a route of starCrowd each, but for the last, which begins like
// all of them and reaches none.
func starRequests() map[string]string {
	return map[string]string{
		"before":  "/t77/1/end77",
		"after":   "/x/last77",
		"prefix":  "/app77_x",
		"suffix":  "/end/x-77end",
		"middle":  "/mid77/a-m-z",
		"none":    "/t77/1/x/last77/app77_",
		"hostile": "/" + strings.Repeat("%61", 1000) + "/mid7/" + strings.Repeat("m7", 1000),
	}
}

func BenchmarkMatchStars(b *testing.B) {
	for _, n := range []int{100, 10000} {
		p := starCrowd(b, n)
		for name, path := range starRequests() {
			b.Run(fmt.Sprintf("routes=%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Match(Request{Method: "GET", Host: "shop.localhost", Path: path}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// TestStarsAreLookedUp: a request costs about the same with 50 times the routes.
// Texts between two stars, which are tried one by one, are left out.
func TestStarsAreLookedUp(t *testing.T) {
	few, many := starCrowd(t, 200), starCrowd(t, 10000)
	for name, path := range starRequests() {
		r := Request{Method: "GET", Host: "shop.localhost", Path: path}
		cost := func(p *Plan) time.Duration {
			best := time.Duration(math.MaxInt64)
			for range 10 {
				start := time.Now()
				for range 100 {
					if _, err := p.Match(r); err != nil {
						t.Fatal(err)
					}
				}
				best = min(best, time.Since(start))
			}
			return best
		}
		if short, long := cost(few), cost(many); long > 10*short {
			t.Errorf("%s: 100 requests take %s with 200 routes and %s with 10000", name, short, long)
		}
	}
}
