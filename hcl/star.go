package hcl

import (
	"cmp"
	"strings"
)

// Overlap reports whether a path can match both a and b, which are paths of
// routes as Route.Path has them, and returns the shortest such path. Where one of
// them has fewer segments than the other, it is compared with as many.
func Overlap(a, b string) (example string, ok bool) {
	first, second := pathSegments(a), pathSegments(b)
	if len(first) < len(second) {
		first, second = second, first
	}
	for i, segment := range first {
		if i < len(second) {
			if segment, ok = overlapSegments(segment, second[i]); !ok {
				return "", false
			}
		}
		text := strings.ReplaceAll(segment, "*", "")
		if segment != "" {
			text = cmp.Or(text, "x")
		}
		example += "/" + text
	}
	return cmp.Or(example, "/"), true
}

// pathSegments are the segments of a route's path.
func pathSegments(path string) []string {
	if path == "/" {
		return nil
	}
	return strings.Split(path[1:], "/")
}

// overlapSegments returns a segment that both patterns match. A star in it may
// stand for nothing.
func overlapSegments(a, b string) (both string, ok bool) {
	switch {
	case a == "" || b == "": // the end of a path after its last "/"
		return "", a == b
	case !strings.Contains(a, "*"):
		return a, matchSegment(b, a)
	case !strings.Contains(b, "*"):
		return b, matchSegment(a, b)
	}
	// Only the ends can contradict each other: what is between two stars of one
	// pattern goes into a star of the other.
	before, between, after := cutStars(a)
	otherBefore, otherBetween, otherAfter := cutStars(b)
	if len(before) < len(otherBefore) {
		before, otherBefore = otherBefore, before
	}
	if len(after) < len(otherAfter) {
		after, otherAfter = otherAfter, after
	}
	return before + between + otherBetween + after, strings.HasPrefix(before, otherBefore) && strings.HasSuffix(after, otherAfter)
}

// cutStars returns what a pattern with a star has before its first star, from
// there to its last star, and after that.
func cutStars(pattern string) (before, between, after string) {
	first, last := strings.IndexByte(pattern, '*'), strings.LastIndexByte(pattern, '*')
	return pattern[:first], pattern[first : last+1], pattern[last+1:]
}

// matchSegment reports whether pattern, in which "*" is any run of characters, is
// the whole of segment.
func matchSegment(pattern, segment string) bool {
	before, rest, star := strings.Cut(pattern, "*")
	segment, ok := strings.CutPrefix(segment, before)
	for star && ok {
		var literal string
		literal, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(segment, literal)
		}
		_, segment, ok = strings.Cut(segment, literal)
	}
	return ok && segment == ""
}
