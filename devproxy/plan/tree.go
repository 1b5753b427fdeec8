package plan

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// tree finds a host's route by walking the segments of a path. It is as deep as
// the host's longest route, however long the path is. A request visits a node
// at most once: its cost is at most the number of routes whose beginnings fit,
// and without stars at most the number of segments of the longest route.
type tree struct {
	root *node
	// longest is the length of the longest segment of any route without a star.
	// A longer segment of a request matches none and is not decoded.
	longest int
	// fold is true for a tree of folded paths: segments are folded before they are
	// looked up.
	fold bool
}

// node is a path that routes have in common.
type node struct {
	children      map[string]*node // by decoded segment
	starred       *starred         // nil for none
	exact, prefix []*Route         // in the order in which they are tried
	// first is the lowest rank of a route at this node or below it.
	first int
}

// newTree returns a tree of routes, which are in the order in which they are
// tried. It sets their ranks.
func newTree(routes []*Route) tree {
	t := tree{root: &node{}}
	for i, r := range routes {
		r.rank = i
		n := t.root
		for _, segment := range segmentsOf(r.Path) {
			if starCount(segment) == 0 {
				t.longest = max(t.longest, len(segment))
			}
			n = n.grow(segment, i)
		}
		if r.Exact {
			n.exact = append(n.exact, r)
		} else {
			n.prefix = append(n.prefix, r)
		}
	}
	return t
}

// segmentsOf returns the segments of a route's path, which is decoded and clean.
func segmentsOf(path string) []string {
	if path == "/" {
		return nil
	}
	return strings.Split(path[1:], "/")
}

// grow returns the child of n for the segment of a route's path. If there is
// none, it makes one for a route of that rank.
func (n *node) grow(segment string, rank int) *node {
	if starCount(segment) > 0 {
		if n.starred == nil {
			n.starred = &starred{before: map[string]*starEnds{}}
		}
		child := n.starred.grow(segment)
		if child.node == nil {
			child.node = &node{first: rank}
		}
		return child.node
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[segment] == nil {
		n.children[segment] = &node{first: rank}
	}
	return n.children[segment]
}

// find returns the route for r when its path is cut by c; nil means none. Where a
// route's conditions fail, the next route is tried, up to the root.
func (t *tree) find(c cutter, r *Request) *Route {
	s := search{tree: t}
	s.visit(t.root, c, r)
	return s.best
}

// fitting returns all routes whose path fits one that is cut by c, in the order
// in which they are tried.
func (t *tree) fitting(c cutter) []*Route {
	s := search{tree: t, all: []*Route{}}
	s.visit(t.root, c, nil)
	slices.SortFunc(s.all, func(a, b *Route) int { return a.rank - b.rank })
	return s.all
}

// search looks for the first route that a request satisfies or, if all is not
// nil, for all routes whose path fits.
//
// The request is a parameter of its methods, so that it need not be on the heap.
type search struct {
	tree *tree
	best *Route
	all  []*Route
}

// visit looks at n and below it, with the rest of c in the path of r.
func (s *search) visit(n *node, c cutter, r *Request) {
	if s.best != nil && n.first >= s.best.rank {
		return
	}
	if segment, more := c.next(); more {
		if child := s.tree.child(n, segment); child != nil {
			s.visit(child, c, r)
		}
		if n.starred != nil {
			if s.tree.fold {
				segment = foldSegment(segment)
			}
			n.starred.visit(s, segment, c, r)
		}
	} else {
		s.try(n.exact, r)
	}
	s.try(n.prefix, r)
}

// try looks at the routes of a node, which are in their order.
func (s *search) try(routes []*Route, r *Request) {
	if s.all != nil {
		s.all = append(s.all, routes...)
		return
	}
	for _, route := range routes {
		if s.best != nil && route.rank >= s.best.rank {
			return
		}
		if route.Match.match(r) {
			s.best = route
			return
		}
	}
}

// child returns the child of n for a segment that is still percent-encoded. An
// escaped slash decodes to one that no route's segment has, so it stays inside
// its segment.
func (t *tree) child(n *node, segment string) *node {
	if n.children == nil {
		return nil
	}
	if !t.fold && strings.IndexByte(segment, '%') < 0 {
		return n.children[segment]
	}
	limit := t.longest
	if t.fold {
		limit *= utf8.UTFMax // folding may make a letter shorter
	}
	var stack [64]byte // longer route segments are rare and allocate
	decoded, ok := decodeInto(stack[:0], segment, limit)
	if !ok {
		return nil
	}
	if t.fold {
		decoded = foldBytes(decoded)
	}
	return n.children[string(decoded)]
}
