package devproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// ownPaths is where devproxy itself answers, on any host.
	ownPaths = plan.OwnPaths
	// statePath is what a waiting page polls: is the upstream of a path up?
	statePath = ownPaths + "state"
	// statePatience bounds the connecting that one poll costs.
	statePatience = 2 * time.Second
)

// ownPathError is the error of a path below ownPaths that devproxy does not have.
type ownPathError struct{ path string }

func (e *ownPathError) Error() string { return fmt.Sprintf("devproxy has no page %q", e.path) }

// Page is how a client is shown the error.
func (e *ownPathError) Page() page.Page {
	return page.Page{Status: http.StatusNotFound, Title: e.Error() + "."}
}

// serveOwn answers below ownPaths. It says "up" or "waiting", and nothing else
// that a page of another origin could learn from.
func (s *Server) serveOwn(x *exchange, r *http.Request) error {
	x.own = true
	if r.URL.Path != statePath {
		return &ownPathError{r.URL.Path}
	}
	return s.serveState(x, r)
}

// serveState tells a waiting page whether it may reload. Only pages of the same
// host may ask: each answer costs a connection to the upstream.
func (s *Server) serveState(x *exchange, r *http.Request) error {
	x.own = true
	if isCrossOrigin(r) {
		return &crossOriginError{r.URL.Path}
	}
	state, err := s.stateOf(x.generation, r)
	if err != nil {
		return err
	}
	header := x.w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if _, err := io.WriteString(x.w, state+"\n"); err != nil {
		return errors.Join(errGone, err)
	}
	return nil
}

// stateOf is the state of whatever answers ?path= on the host of r. A path that
// an upstream does not answer needs no waiting, nor does a local name that is
// not served any more: its page says why. The error is that of another name.
func (s *Server) stateOf(g *generation, r *http.Request) (string, error) {
	match, err := g.plan.Match(plan.Request{
		Method: http.MethodGet, Host: hostname(r.Host), Path: r.URL.Query().Get("path"), Header: r.Header,
	})
	if unknown, ok := errors.AsType[*plan.UnknownHostError](err); ok && !isLocalName(unknown.Host) {
		return "", err
	}
	if err != nil {
		return "up", nil
	}
	spec, ok := match.Route.Answer.(*plan.Upstream)
	if !ok {
		return "up", nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), statePatience)
	defer cancel()
	if g.upstream(spec).Probe(ctx).Up {
		return "up", nil
	}
	return "waiting", nil
}
