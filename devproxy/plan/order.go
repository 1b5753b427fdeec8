package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// OwnPaths begins the paths that devproxy answers itself, on every host, before
// any route.
const OwnPaths = "/.well-known/devproxy/"

// OwnHost is the host of the machine's page, which no plan serves.
const OwnHost = hcl.OwnHost

// IsOwnHost reports whether host, an authority without its port, is OwnHost in any
// case, with or without a trailing dot.
func IsOwnHost(host string) bool { return normal(host) == OwnHost }

// order compares routes by when they are tried: see comparePaths; then exact
// before prefix, more conditions before fewer, then as written.
func order(a, b *Route) int {
	if by := comparePaths(a.Path, b.Path); by != 0 {
		return by
	}
	further := cmp.Or(trueFirst(a.Exact, b.Exact), cmp.Compare(b.Match.Count(), a.Match.Count()))
	if starCount(a.Path) == 0 {
		// Different paths of the same rank match different requests.
		return cmp.Or(cmp.Compare(a.Path, b.Path), further)
	}
	return cmp.Or(further, cmp.Compare(a.Path, b.Path))
}

// trueFirst compares two values so that true comes before false.
func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// equalRank reports whether order compares a and b by nothing but their text.
func equalRank(a, b *Route) bool {
	return comparePaths(a.Path, b.Path) == 0 && a.Exact == b.Exact && a.Match.Count() == b.Match.Count()
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
		b.errorf(ranges[r], "the first one is at "+f.Source.String(), "duplicate route %q in host %q", r.Label(), host.Name)
	}
}

// findUnreachable warns about routes that can never match: an earlier one on the
// same path takes all their requests, or devproxy itself does. Routes are in the
// order in which they are tried.
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
			b.warnf(ranges[r], "devproxy uses this path itself; use another one", "route %q can never match", r.Label())
			continue
		}
		for _, e := range slices.Backward(earlier) {
			if e.ID != r.ID && e.Match.covers(&r.Match) {
				b.warnf(ranges[r], "the route at "+e.Source.String()+" gets all its requests", "route %q can never match", r.Label())
				break
			}
		}
	}
}

// maxOverlaps bounds how many overlaps of a host are reported: of many routes that
// overlap, each does with each.
const maxOverlaps = 20

// findOverlaps reports two routes that the same request can reach while neither
// has the more exact path: which of them answers would be chance. Routes are in
// the order in which they are tried.
func (b *builder) findOverlaps(host *Host, ranges map[*Route]hcl.Range) {
	var equal []*starredRoute
	reported := 0
	for i, r := range host.Routes {
		if starCount(r.Path) == 0 {
			continue
		}
		if i > 0 && !equalRank(host.Routes[i-1], r) {
			reported = b.findOverlapsAmong(equal, ranges, reported)
			equal = nil
		}
		first, last := strings.IndexByte(r.Path, '*'), strings.LastIndexByte(r.Path, '*')
		equal = append(equal, &starredRoute{r, r.Path[:first], r.Path[last+1:], segmentsOf(r.Path)})
	}
	b.findOverlapsAmong(equal, ranges, reported)
}

// starredRoute is a route with a star in its path.
type starredRoute struct {
	*Route
	before, after string // its path up to the first star, and from the last one on
	segments      []string
}

// findOverlapsAmong compares routes of equal rank. A path that two of them match
// begins with what both have before their first star, so in the order of those
// texts only neighbours can overlap. reported is how many overlaps are reported
// already; it returns how many are then.
func (b *builder) findOverlapsAmong(routes []*starredRoute, ranges map[*Route]hcl.Range, reported int) int {
	slices.SortStableFunc(routes, func(x, y *starredRoute) int { return cmp.Compare(x.before, y.before) })
	for i, r := range routes {
		for _, other := range routes[i+1:] {
			if !strings.HasPrefix(other.before, r.before) {
				break
			}
			if r.Path == other.Path || r.differs(other) || r.Match.excludes(&other.Match) {
				continue
			}
			if example, overlap := hcl.Overlap(r.Path, other.Path); overlap {
				first, second := r.Route, other.Route
				if ranges[second].Start.Byte < ranges[first].Start.Byte {
					first, second = second, first
				}
				if reported++; reported > maxOverlaps {
					return reported
				}
				b.errorf(ranges[second], fmt.Sprintf("both match %q; make one path more exact, or add exact or match to it; %q is at %s", example, first.Label(), first.Source),
					"routes %q and %q match the same path equally well", first.Label(), second.Label())
			}
		}
	}
	return reported
}

// differs reports whether two paths end differently, or have different text in the
// same segment.
func (r *starredRoute) differs(other *starredRoute) bool {
	if !strings.HasSuffix(r.after, other.after) && !strings.HasSuffix(other.after, r.after) {
		return true
	}
	for i, segment := range r.segments {
		if segment != other.segments[i] && starCount(segment)+starCount(other.segments[i]) == 0 {
			return true
		}
	}
	return false
}
