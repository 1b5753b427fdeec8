package devproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// ownPaths is where devproxy itself answers, on any host.
	ownPaths = plan.OwnPaths
	// statePath is what a waiting page polls: is the upstream of a path up?
	statePath = ownPaths + "state"
	// statePatience bounds the connecting that one poll costs.
	statePatience = 2 * time.Second
)

// serveOwn answers below ownPaths. It says "up" or "waiting", and nothing else
// that a page of another origin could learn from.
func (s *Server) serveOwn(x *exchange, r *http.Request) error {
	x.own = true
	if r.URL.Path != statePath {
		return &ownPathError{r.URL.Path}
	}
	return s.serveState(x, r)
}

// serveState tells a waiting page whether it may reload.
func (s *Server) serveState(x *exchange, r *http.Request) error {
	x.own = true
	header := x.w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	_, err := io.WriteString(x.w, s.stateOf(x.generation, r)+"\n")
	if err != nil {
		return errors.Join(errGone, err)
	}
	return nil
}

// stateOf is the state of whatever answers ?path= on the host of r. A path
// that an upstream does not answer needs no waiting.
func (s *Server) stateOf(g *generation, r *http.Request) string {
	match, err := g.plan.Match(plan.Request{
		Method: http.MethodGet, Host: hostname(r.Host), Path: r.URL.Query().Get("path"), Header: r.Header,
	})
	if err != nil {
		return "up"
	}
	spec, ok := match.Route.Answer.(*plan.Upstream)
	if !ok {
		return "up"
	}
	ctx, cancel := context.WithTimeout(r.Context(), statePatience)
	defer cancel()
	if g.upstream(spec).Probe(ctx).Up {
		return "up"
	}
	return "waiting"
}
