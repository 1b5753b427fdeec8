package devproxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/share"
)

// TestUpstreamsOf: an upstream's own address leads to the host whose every path goes
// there, or to a path that the route removes.
func TestUpstreamsOf(t *testing.T) {
	s := serveFile(t, `
host "shop.localhost" {
  upstream = [5173, 5174]

  route "/api" {
    upstream     = 3000
    strip_prefix = true
  }
  route "/docs" { upstream = 4000 }
  route "/old" {
    upstream = 5000
    rewrite  = "/new{rest}"
  }
  route "/away" { upstream = "https://staging.example.com" }
}
`)
	want := []share.Upstream{
		{Authority: "localhost:3000", Host: "shop.localhost", Path: "/api"}, {Authority: "localhost:4000"}, {Authority: "localhost:5000"},
		{Authority: "localhost:5173", Host: "shop.localhost"}, {Authority: "localhost:5174", Host: "shop.localhost"},
	}
	got := upstreamsOf(s.current.Load().plan)
	slices.SortFunc(got, func(a, b share.Upstream) int { return strings.Compare(a.Authority, b.Authority) })
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
