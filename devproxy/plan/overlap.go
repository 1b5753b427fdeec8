package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// maxOverlaps bounds how many overlaps of a host are reported: of many routes that
// overlap, each does with each.
const maxOverlaps = 20

// findOverlaps reports two routes that the same request can reach while neither
// says its path more exactly: which of them answers would be chance. Routes are in
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

// equalRank reports that order tells a and b apart by no more than their text.
func equalRank(a, b *Route) bool {
	return comparePaths(a.Path, b.Path) == 0 && a.Exact == b.Exact && a.Match.Count() == b.Match.Count()
}

// starredRoute is a route with a star in its path.
type starredRoute struct {
	*Route
	before, after string // its path up to the first star, and from the last one on
	segments      []string
}

// findOverlapsAmong compares routes of equal rank. A path that two of them match
// begins with what both have before their first star, so in the order of those
// texts only neighbours can overlap.
// reported is how many are known already, and then how many are.
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
				b.errorf(ranges[second], fmt.Sprintf("both match %q; say more of one path, or add exact or match to it; %q is at %s", example, first.Label(), first.Source),
					"routes %q and %q match the same path equally well", first.Label(), second.Label())
			}
		}
	}
	return reported
}

// differs reports that two paths end differently, or have different text in the same
// segment.
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
