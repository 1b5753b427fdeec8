package plan

import (
	"cmp"
	"slices"
	"strings"
)

// A "*" in a route's path matches any characters within one segment, also none.
// A segment that is a star alone needs one character: "/api/" is "/api" with a
// trailing slash, and "//" counts as "/". The star matches what is decoded, an
// escaped slash included, as that is part of its segment here. Whether other
// programs cut there, and reach another route, is Host.otherwise's business.

// starCount is the number of stars in a path or segment.
func starCount(path string) int { return strings.Count(path, "*") }

// comparePaths sorts paths by how exactly they say what they match: more segments,
// then fewer segments with a star, then more characters besides stars, then fewer
// stars. Of two paths where all that one matches is matched by the other, the
// narrower comes first. Two that compare equal can match the same path, see
// hcl.Overlap.
func comparePaths(a, b string) int {
	segments, starred := shapeOf(a)
	otherSegments, otherStarred := shapeOf(b)
	stars, otherStars := starCount(a), starCount(b)
	return cmp.Or(
		cmp.Compare(otherSegments, segments),
		cmp.Compare(starred, otherStarred),
		cmp.Compare(len(b)-otherStars, len(a)-stars),
		cmp.Compare(stars, otherStars),
	)
}

// shapeOf counts the segments of a route's path, and those with a star.
func shapeOf(path string) (segments, starred int) {
	for _, segment := range segmentsOf(path) {
		segments++
		if starCount(segment) > 0 {
			starred++
		}
	}
	return segments, starred
}

// starred are the children of a node whose segments have a star. They are found
// by what comes before the first star, then by what comes after the last: however
// many there are, a request looks at one map entry for each length that occurs.
// Only segments that differ between two stars alone are tried one by one.
type starred struct {
	lengths []int // of the keys, longest first
	before  map[string]*starEnds
}

// starEnds are those with the same text before the first star.
type starEnds struct {
	lengths []int // of the keys, longest first
	after   map[string][]starChild
}

// starChild is a child, and what its segment has between two stars, in order.
type starChild struct {
	between []string
	node    *node
}

// grow returns the child of a segment with a star.
func (s *starred) grow(segment string) *starChild {
	parts := strings.Split(segment, "*")
	before, between, after := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	ends := s.before[before]
	if ends == nil {
		ends = &starEnds{after: map[string][]starChild{}}
		s.before[before] = ends
		s.lengths = withLength(s.lengths, len(before))
	}
	for i, child := range ends.after[after] {
		if slices.Equal(child.between, between) {
			return &ends.after[after][i]
		}
	}
	ends.lengths = withLength(ends.lengths, len(after))
	ends.after[after] = append(ends.after[after], starChild{between, nil})
	return &ends.after[after][len(ends.after[after])-1]
}

// withLength is lengths, longest first, with length in it.
func withLength(lengths []int, length int) []int {
	at, found := slices.BinarySearchFunc(lengths, length, func(a, b int) int { return b - a })
	if found {
		return lengths
	}
	return slices.Insert(lengths, at, length)
}

// visit has the children for segment, which is percent-encoded, visited with the
// rest of the path of r.
func (s *starred) visit(search *search, segment string, rest cutter, r *Request) {
	if segment == "" && rest.rest == "" {
		return // a trailing "/" is not a segment
	}
	var headRoom, tailRoom [64]byte // longer ones are rare and allocate
	head := decodeHead(headRoom[:0], segment, s.lengths[0])
	for _, length := range s.lengths {
		if length > len(head) {
			continue
		}
		ends := s.before[string(head[:length])]
		if ends == nil {
			continue
		}
		left := encoded(segment).skip(length)
		tail := left.decodeTail(tailRoom[:], ends.lengths[0])
		for _, length := range ends.lengths {
			if length > len(tail) {
				continue
			}
			for _, child := range ends.after[string(tail[len(tail)-length:])] {
				if len(child.between) == 0 || left.skipEnd(length).holds(child.between) {
					search.visit(child.node, rest, r)
				}
			}
		}
	}
}

// encoded is a percent-encoded text whose escapes are whole. Its methods count
// decoded bytes.
type encoded string

// skip returns s without its first n bytes.
func (s encoded) skip(n int) encoded {
	for range n {
		if s[0] == '%' {
			s = s[2:]
		}
		s = s[1:]
	}
	return s
}

// skipEnd returns s without its last n bytes.
func (s encoded) skipEnd(n int) encoded {
	for range n {
		s = s[:s.last()]
	}
	return s
}

// last is where the last byte begins. A "%" is never a digit of an escape, so one
// two places before the end begins the last escape.
func (s encoded) last() int {
	if len(s) >= 3 && s[len(s)-3] == '%' {
		return len(s) - 3
	}
	return len(s) - 1
}

// decodeTail writes the last bytes of s, at most n, to the end of room, and returns
// them.
func (s encoded) decodeTail(room []byte, n int) []byte {
	if n > len(room) {
		room = make([]byte, n)
	}
	at := len(room)
	for at > len(room)-n && s != "" {
		begin := s.last()
		c := s[begin]
		if c == '%' {
			c, _ = unhex(string(s[begin:]))
		}
		at--
		room[at] = c
		s = s[:begin]
	}
	return room[at:]
}

// holds reports whether s has texts in it, one after the other.
func (s encoded) holds(texts []string) bool {
	plain := strings.IndexByte(string(s), '%') < 0
	for _, text := range texts {
		if plain {
			_, after, found := strings.Cut(string(s), text)
			if !found {
				return false
			}
			s = encoded(after)
			continue
		}
		for !s.begins(text) {
			if s == "" {
				return false
			}
			s = s.skip(1)
		}
		s = s.skip(len(text))
	}
	return true
}

// begins reports whether s begins with text.
func (s encoded) begins(text string) bool {
	for i := range len(text) {
		if s == "" {
			return false
		}
		c := s[0]
		if c == '%' {
			c, _ = unhex(string(s))
		}
		if c != text[i] {
			return false
		}
		s = s.skip(1)
	}
	return true
}

// decodeHead appends the first bytes of a percent-encoded segment to buf, at most n.
func decodeHead(buf []byte, segment string, n int) []byte {
	for i := 0; i < len(segment) && len(buf) < n; i++ {
		c := segment[i]
		if c == '%' {
			c, _ = unhex(segment[i:])
			i += 2
		}
		buf = append(buf, c)
	}
	return buf
}
