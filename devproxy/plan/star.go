package plan

import (
	"cmp"
	"slices"
	"strings"
)

// A "*" in a route's path matches any characters within one segment, or none. A
// segment that is only a star needs one character: "/api/" is "/api" with a
// trailing slash, and "//" counts as "/". The star matches decoded characters,
// including an escaped slash, which is part of its segment here. Host.otherwise
// handles programs that cut there and reach another route.

// starCount returns the number of stars in a path or segment.
func starCount(path string) int { return strings.Count(path, "*") }

// comparePaths sorts paths by how specific they are: more segments, then fewer
// segments with a star, then more characters other than stars, then fewer
// stars. If one of two paths matches everything that the other matches, the
// narrower comes first. Two that compare equal can match the same path: see
// hcl.Overlap.
func comparePaths(a, b string) int {
	segments, starred := countSegments(a)
	otherSegments, otherStarred := countSegments(b)
	stars, otherStars := starCount(a), starCount(b)
	return cmp.Or(
		cmp.Compare(otherSegments, segments),
		cmp.Compare(starred, otherStarred),
		cmp.Compare(len(b)-otherStars, len(a)-stars),
		cmp.Compare(stars, otherStars),
	)
}

// countSegments counts the segments of a route's path, and those with a star.
func countSegments(path string) (segments, starred int) {
	for _, segment := range segmentsOf(path) {
		segments++
		if starCount(segment) > 0 {
			starred++
		}
	}
	return segments, starred
}

// starred are the children of a node whose segments have a star. They are found
// by the text before the first star, then by the text after the last: however
// many there are, a request looks at one map entry for each length that occurs.
// Only segments that differ just between two stars are tried one by one.
type starred struct {
	lengths []int // of the keys, longest first
	before  map[string]*starEnds
}

// starEnds are those with the same text before the first star.
type starEnds struct {
	lengths []int // of the keys, longest first
	after   map[string][]starChild
}

// starChild is a child, with the texts of its segment between stars, in order.
type starChild struct {
	between []string
	node    *node
}

// grow returns the child for a segment with a star. It makes one if needed.
func (s *starred) grow(segment string) *starChild {
	parts := strings.Split(segment, "*")
	before, between, after := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	ends := s.before[before]
	if ends == nil {
		ends = &starEnds{after: map[string][]starChild{}}
		s.before[before] = ends
		s.lengths = withLength(s.lengths, len(before))
	}
	children := ends.after[after]
	i := slices.IndexFunc(children, func(c starChild) bool { return slices.Equal(c.between, between) })
	if i < 0 {
		ends.lengths = withLength(ends.lengths, len(after))
		children, i = append(children, starChild{between, nil}), len(children)
		ends.after[after] = children
	}
	return &children[i]
}

// withLength returns lengths, longest first, with length included.
func withLength(lengths []int, length int) []int {
	at, found := slices.BinarySearchFunc(lengths, length, func(a, b int) int { return b - a })
	if found {
		return lengths
	}
	return slices.Insert(lengths, at, length)
}

// visit makes search visit the children for segment, which is percent-encoded,
// with the rest of the path of r.
func (s *starred) visit(search *search, segment string, rest cutter, r *Request) {
	if segment == "" && rest.rest == "" {
		return // a trailing "/" is not a segment
	}
	var headRoom, tailRoom [64]byte // longer ones are rare and allocate
	head, _ := decodeInto(headRoom[:0], segment, s.lengths[0])
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
				if len(child.between) == 0 || left.skipEnd(length).contains(child.between) {
					search.visit(child.node, rest, r)
				}
			}
		}
	}
}

// encoded is a percent-encoded text whose escapes are complete. Its methods count
// decoded bytes.
type encoded string

// first returns the first byte of s, which is not empty, and the rest.
func (s encoded) first() (c byte, rest encoded) {
	if s[0] != '%' {
		return s[0], s[1:]
	}
	c, _ = unhex(string(s))
	return c, s[3:]
}

// skip returns s without its first n bytes.
func (s encoded) skip(n int) encoded {
	for range n {
		_, s = s.first()
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

// last returns where the last byte begins. A "%" is never a digit of an escape,
// so one two places before the end begins the last escape.
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
		at--
		room[at], _ = s[begin:].first()
		s = s[:begin]
	}
	return room[at:]
}

// contains reports whether s contains texts, one after the other.
func (s encoded) contains(texts []string) bool {
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
		var c byte
		if c, s = s.first(); c != text[i] {
			return false
		}
	}
	return true
}
