package plan

import "strings"

// Match finds the route of r. The error is a *UnknownHostError, a *PathError
// or a *NoRouteError. It does not allocate when the host is in lower case and
// no route on the way asks for an escaped query parameter.
//
// A path is cut at "/", and "//" counts as "/". Programs behind devproxy may read
// the same path in other ways; where that matters the request is refused: see
// Host.otherwise.
func (p *Plan) Match(r Request) (Match, error) {
	host := p.table.find(normal(r.Host))
	if host == nil {
		return Match{}, p.unknownHost(r.Host)
	}
	s, wrong := vetPath(r.Path)
	if wrong != "" {
		return Match{}, &PathError{Path: r.Path, Reason: wrong}
	}
	route := host.tree.find(cutPath(r.Path), &r)
	if s != (shape{}) {
		if wrong := host.otherwise(r.Path, s, &r, route); wrong != "" {
			return Match{}, &PathError{Path: r.Path, Reason: wrong}
		}
	}
	if route == nil {
		return Match{}, &NoRouteError{Host: host, Path: r.Path}
	}
	return newMatch(route, r.Path), nil
}

// newMatch is the match of a path that reached route.
func newMatch(route *Route, path string) Match {
	rest := route.rest(path)
	return Match{Route: route, Taken: path[:len(path)-len(rest)], Rest: rest}
}

// rest is what follows the route's path in a path that reached it.
func (r *Route) rest(path string) string {
	if r.Exact {
		return ""
	}
	if r.Path == "/" {
		return path
	}
	for range strings.Count(r.Path, "/") {
		path = strings.TrimLeft(path, "/")
		end := strings.IndexByte(path, '/')
		if end < 0 {
			return ""
		}
		path = path[end:]
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

// Trace lists the routes whose paths fit r, in the order in which they are tried, up to the one that takes it. It is empty for a host
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
	for _, route := range host.tree.fitting(cutPath(r.Path)) {
		failed := route.Match.failed(&r)
		tried = append(tried, Tried{route, failed})
		if failed == "" {
			break
		}
	}
	return tried
}
