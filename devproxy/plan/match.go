package plan

import (
	"fmt"
	"net/http"
	"strings"
)

// Request has the parts of a request that choose its route.
type Request struct {
	Method string
	// Host is the authority without its port, in any case; a trailing dot is
	// ignored.
	Host string
	// Path is the request target's path as it came, still percent-encoded.
	Path     string
	RawQuery string
	Header   http.Header
}

// Match is the route of a request.
type Match struct {
	Route *Route
	// Taken is the part of the path that the route's path matched,
	// percent-encoded as it came.
	Taken string
	// Rest is the part after the route's path, percent-encoded as it came:
	// empty or beginning with "/".
	Rest string

	values Values // empty before With
}

// Match finds the route of r. The error is a *UnknownHostError, a *PathError
// or a *NoRouteError. It does not allocate when the host is in lower case and
// no route that is tried has a condition on an escaped query parameter, except
// for a special spelling of the path, and for one with letters outside of ASCII on
// a host with a guard.
//
// A path is cut at "/", and "//" counts as "/". Upstreams may read the same path
// in other ways. Where that matters the request is refused: see Host.otherwise.
func (p *Plan) Match(r Request) (Match, error) {
	name := normal(r.Host)
	host := p.table.find(name)
	if host == nil {
		return Match{}, &UnknownHostError{Host: name, plan: p}
	}
	s, wrong := vetPath(r.Path)
	if wrong != "" {
		return Match{}, &PathError{Path: r.Path, Reason: wrong}
	}
	route := host.tree.find(cutPath(r.Path), &r)
	s.cased = host.guarded && (s.cased || host.cased)
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

// newMatch returns the match of a path that reached route.
func newMatch(route *Route, path string) Match {
	rest := route.rest(path)
	return Match{Route: route, Taken: path[:len(path)-len(rest)], Rest: rest}
}

// rest returns the part after the route's path in a path that reached it.
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

// Tried is a route whose path fits a request.
type Tried struct {
	Route *Route
	// Failed is the condition that the request does not satisfy, as people read
	// it: "method is GET, not POST". It is empty for the route that was chosen.
	Failed string
}

// Trace lists the routes whose paths fit r, in the order in which they are
// tried, up to the one that is chosen. It is empty for an unknown host and for a
// path that is refused.
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

// UnknownHostError is the error of a request for a host that the plan does not
// have. It is answered with 404.
type UnknownHostError struct {
	Host string // lower case, without a trailing dot
	plan *Plan
}

// Near returns the served name that was probably meant, in a worktree the one that the
// host has moved to; empty when none is near. It must not reach a client, which may be
// another user's.
func (e *UnknownHostError) Near() string {
	if moved, moves := e.plan.Relocation().Host(e.Host); moves {
		return moved
	}
	return e.plan.near(e.Host)
}

func (e *UnknownHostError) Error() string {
	text := fmt.Sprintf("host %q is not in any Proxyfile served now", e.Host)
	if near := e.Near(); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return text
}

// NoRouteError is the error of a request that matches no route of its host. It
// is answered with 404.
type NoRouteError struct {
	Host *Host
	Path string // as it came
}

func (e *NoRouteError) Error() string {
	labels := strings.Join(mapped(e.Host.Routes, (*Route).Label), ", ")
	return fmt.Sprintf("host %q has no route for %q, only: %s", e.Host.Name, e.Path, labels)
}

// PathError is the error of a request whose path two programs could read
// differently, or that is not a valid path. It is answered with 400.
type PathError struct {
	Path string // as it came
	// Reason describes the problem, to be read after "the path …".
	Reason string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("the path %q %s", e.Path, e.Reason)
}
