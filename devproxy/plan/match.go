package plan

import (
	"slices"
	"strings"
)

// Match finds the route of r. The error is a *UnknownHostError, a *PathError
// or a *NoRouteError. It does not allocate when the host is in lower case and
// no route on the way asks for an escaped query parameter.
//
// Paths are read twice: by raw segments, and with %2F decoded and empty
// segments dropped. When the readings reach different routes the request is
// refused, so that no spelling of a path falls through to the route of its
// parent. That holds for "/api/" beside an exact route "/api" too.
func (p *Plan) Match(r Request) (Match, error) {
	host := p.table.find(normal(r.Host))
	if host == nil {
		return Match{}, p.unknownHost(r.Host)
	}
	plain, wrong := vetPath(r.Path)
	if wrong != "" {
		return Match{}, &PathError{Path: r.Path, Reason: wrong}
	}
	route := host.tree.find(rawSegments(r.Path), &r)
	if !plain {
		if other := host.tree.find(decodedSegments(r.Path), &r); other != route {
			return Match{}, ambiguous(r.Path, route, other)
		}
	}
	if host.hides(r.Path, &r, route) {
		return Match{}, &PathError{Path: r.Path, Reason: `has a ";" by which some programs read another path, that only some may ask`}
	}
	if route == nil {
		return Match{}, &NoRouteError{Host: host, Path: r.Path}
	}
	return Match{Route: route, Rest: route.rest(r.Path)}, nil
}

// rest is what follows the route's path in a path that its raw segments match.
func (r *Route) rest(path string) string {
	if r.Exact {
		return ""
	}
	if r.Path == "/" {
		return path
	}
	for range strings.Count(r.Path, "/") {
		end := strings.IndexByte(path[1:], '/')
		if end < 0 {
			return ""
		}
		path = path[1+end:]
	}
	return path
}

func (p *Plan) unknownHost(name string) error {
	name = normal(name)
	return &UnknownHostError{Host: name, Near: p.near(name), Served: p.hosts}
}

// Tried is a route whose path fits a request, with the reason why it did not
// take it.
type Tried struct {
	Route *Route
	// Failed is the condition that did not hold, as people read it: "method is
	// GET, not POST". Empty for the route that took the request.
	Failed string
}

// Trace lists the routes whose paths fit r, by raw segments and in the order in
// which they are tried, up to the one that takes it. It is empty for a host
// that is not known and for a path that is refused.
func (p *Plan) Trace(r Request) []Tried {
	host := p.table.find(normal(r.Host))
	if host == nil {
		return nil
	}
	if _, wrong := vetPath(r.Path); wrong != "" {
		return nil
	}
	var tried []Tried
	n, whole := host.tree.descend(rawSegments(r.Path))
	for ; n != nil; n, whole = n.parent, false {
		routes := n.prefix
		if whole {
			routes = slices.Concat(n.exact, n.prefix)
		}
		for _, route := range routes {
			failed := route.Match.failed(&r)
			tried = append(tried, Tried{route, failed})
			if failed == "" {
				return tried
			}
		}
	}
	return tried
}
