package plan

import "strings"

// tree finds a host's route by walking the segments of a path. It is as deep
// as the host's longest route, however long the path is.
type tree struct {
	root *node
	// longest is the length of the longest segment of any route: whatever is
	// longer need not be decoded to know that it is none.
	longest int
}

// node is a path that routes have in common.
type node struct {
	parent        *node
	children      map[string]*node // by decoded segment
	exact, prefix []*Route         // in the order in which they are tried
}

// newTree holds routes, which are in the order in which they are tried.
func newTree(routes []*Route) tree {
	t := tree{root: &node{}}
	for _, r := range routes {
		n := t.root
		for _, segment := range segmentsOf(r.Path) {
			t.longest = max(t.longest, len(segment))
			n = n.grow(segment)
		}
		if r.Exact {
			n.exact = append(n.exact, r)
		} else {
			n.prefix = append(n.prefix, r)
		}
	}
	return t
}

// segmentsOf are the segments of a route's path, which is decoded and clean.
func segmentsOf(path string) []string {
	if path == "/" {
		return nil
	}
	return strings.Split(path[1:], "/")
}

func (n *node) grow(segment string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	child := n.children[segment]
	if child == nil {
		child = &node{parent: n}
		n.children[segment] = child
	}
	return child
}

// find is the route that takes r when its path is cut by c; nil means none. A
// route whose conditions fail lets the next one try, up to the root.
func (t *tree) find(c cutter, r *Request) *Route {
	n, whole := t.descend(c)
	for ; n != nil; n, whole = n.parent, false {
		if whole {
			if route := firstOf(n.exact, r); route != nil {
				return route
			}
		}
		if route := firstOf(n.prefix, r); route != nil {
			return route
		}
	}
	return nil
}

// descend is the deepest node on the way of c. whole reports that no segment
// is left over.
func (t *tree) descend(c cutter) (n *node, whole bool) {
	if t.root == nil {
		return nil, false
	}
	n = t.root
	for {
		segment, ok := c.next()
		if !ok {
			return n, true
		}
		child := t.child(n, segment)
		if child == nil {
			return n, false
		}
		n = child
	}
}

// child is the child of n for a segment that is still percent-encoded. An
// escaped slash decodes to one that no route's segment has, so it stays inside
// its segment.
func (t *tree) child(n *node, segment string) *node {
	if n.children == nil {
		return nil
	}
	if strings.IndexByte(segment, '%') < 0 {
		return n.children[segment]
	}
	var stack [64]byte // longer route segments are rare and allocate
	decoded, ok := decodeInto(stack[:0], segment, t.longest)
	if !ok {
		return nil
	}
	return n.children[string(decoded)]
}

func firstOf(routes []*Route, r *Request) *Route {
	for _, route := range routes {
		if route.Match.hold(r) {
			return route
		}
	}
	return nil
}
