package plan

import "strings"

// near is the served name that is the fewest typing errors away from name;
// empty when none is near enough to have been meant. Wildcards are not looked
// at: they have no one spelling.
func (p *Plan) near(name string) string {
	best, bound := "", max(1, len(name)/5)
	for _, h := range p.hosts {
		for _, n := range h.names {
			if strings.HasPrefix(n.value, "*") {
				continue
			}
			if d := distance(name, n.value, bound); d <= bound && (best == "" || d < bound) {
				best, bound = n.value, d
			}
		}
	}
	return best
}

// distance is the number of insertions, deletions, replacements and swaps of
// neighbours between a and b (optimal string alignment). It stops counting
// above bound and then returns bound+1.
func distance(a, b string, bound int) int {
	if len(a)-len(b) > bound || len(b)-len(a) > bound {
		return bound + 1
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > bound {
			return bound + 1
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], bound+1)
}
