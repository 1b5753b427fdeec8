package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// OwnPaths begins the paths that devproxy answers itself, on every host, before
// any route is asked.
const OwnPaths = "/.well-known/devproxy/"

// Label is the route as people know it within its host: its path, and what
// else it asks for: "/api", "/api (exact)", "/api (POST; X-Debug: 1)".
func (r *Route) Label() string {
	var asks []string
	if r.Exact {
		asks = append(asks, "exact")
	}
	if c := r.Match.String(); c != "" {
		asks = append(asks, c)
	}
	if len(asks) == 0 {
		return r.Path
	}
	return r.Path + " (" + strings.Join(asks, "; ") + ")"
}

// identity is the route's ID: host, path, exact and match, told apart whatever
// is in them.
func (r *Route) identity() string {
	id := r.Host.Name + r.Path
	if r.Exact {
		id += " exact"
	}
	if r.Match.Count() > 0 {
		id += fmt.Sprintf(" %q %q %q", r.Match.Methods, r.Match.Headers, r.Match.Query)
	}
	return id
}

// order is the order in which routes are tried: see comparePaths; then exact
// before prefix, more conditions before fewer, then as written.
func order(a, b *Route) int {
	further := cmp.Or(compareBool(b.Exact, a.Exact), cmp.Compare(b.Match.Count(), a.Match.Count()))
	if by := comparePaths(a.Path, b.Path); by != 0 {
		return by
	}
	if starCount(a.Path) == 0 {
		// Different paths of the same rank match different requests.
		return cmp.Or(cmp.Compare(a.Path, b.Path), further)
	}
	return cmp.Or(further, cmp.Compare(a.Path, b.Path))
}

// compareBool sorts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// findDuplicates reports routes with the same identity. The host's own answer
// is its first route, at "/".
func (b *builder) findDuplicates(host *Host, ranges map[*Route]hcl.Range) {
	first := map[string]*Route{}
	for _, r := range host.Routes {
		f := first[r.ID]
		if f == nil {
			first[r.ID] = r
			continue
		}
		b.errorf(ranges[r], "the first is at "+f.Source.String(), "a second route %q in host %q", r.Label(), host.Name)
	}
}

// findUnreachable warns of routes that can never match: an earlier one on the
// same path takes all that they would, or devproxy itself does. Routes are in
// the order in which they are tried.
func (b *builder) findUnreachable(host *Host, ranges map[*Route]hcl.Range) {
	type place struct {
		path  string
		exact bool
	}
	before := map[place][]*Route{}
	for _, r := range host.Routes {
		at := place{r.Path, r.Exact}
		earlier := before[at]
		before[at] = append(earlier, r)
		if strings.HasPrefix(r.Path, OwnPaths) {
			b.warnf(ranges[r], "devproxy answers there itself; use another path",
				"route %q can never match", r.Label())
			continue
		}
		for _, e := range slices.Backward(earlier) {
			if e.ID != r.ID && e.Match.covers(&r.Match) {
				b.warnf(ranges[r], "the route at "+e.Source.String()+" takes all its requests",
					"route %q can never match", r.Label())
				break
			}
		}
	}
}
