package plan

import (
	"fmt"
	"strings"
	"testing"

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
	conditional := build(t, hostOf("a.localhost", to(1), when("/", 2, matchOf("POST", "1", "yes"))))
	tests := []struct {
		plan    *Plan
		request Request
	}{
		{p, Request{Method: "GET", Host: "h500.localhost", Path: "/api/v1/users/42", RawQuery: "a=b"}},
		{p, Request{Method: "GET", Host: "h500.localhost.", Path: "/api/%76%31/%75sers//x"}},
		{p, Request{Method: "GET", Host: "a.tenant.localhost", Path: "/x//y%2Fz/"}},
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
