package devproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// ownPaths is where devproxy itself answers, on any host.
	ownPaths = plan.OwnPaths
	// statePath returns the state of a path's upstream, for waiting pages.
	statePath = ownPaths + "state"
	// statePatience bounds how long one poll may take to connect.
	statePatience = 2 * time.Second
)

// serveOwn answers below ownPaths. It says "up" or "waiting", and nothing else
// that a page of another origin could learn from.
func (x *exchange) serveOwn(r *http.Request) error {
	x.own = true
	if r.URL.Path != statePath {
		text := fmt.Sprintf("devproxy has no page %q", r.URL.Path)
		return &pageError{text, page.Page{Status: http.StatusNotFound, Title: text + "."}}
	}
	return x.serveState(r)
}

// serveMachine answers for the machine's page. Pages of other origins get nothing,
// except that a link opens the page in its own tab.
func (x *exchange) serveMachine(r *http.Request) error {
	x.own = true
	if !listen.FromContext(r.Context()).TLS {
		x.w.Header().Set("Location", x.server.publicURL(plan.OwnHost)+"/")
		x.w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	if isCrossOrigin(r) && !opensDocument(r) {
		return errOtherOrigin
	}
	x.server.opts.Machine.ServeHTTP(x.w, r)
	return nil
}

// errOtherOrigin is the error of a request for the machine's page by another page.
var errOtherOrigin = &pageError{"only the machine's own page may request this", page.Page{
	Status: http.StatusForbidden, Title: "Requests from this origin are not allowed.",
}}

// serveState tells a waiting page whether it may reload. Only pages of the same
// host are answered: each answer costs a connection to the upstream.
func (x *exchange) serveState(r *http.Request) error {
	x.own = true
	if isCrossOrigin(r) {
		text := "only pages of this host may request " + r.URL.Path
		return &pageError{text, page.Page{Status: http.StatusForbidden, Title: "Requests from this origin are not allowed.", Lead: page.Sentence(text)}}
	}
	state, err := stateOf(x.generation, r)
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

// stateOf returns the state of the answer to ?path= on the host of r. A path
// without an upstream needs no waiting, nor does a local name that is no longer
// served: its page says why. The error is that of any other unknown name.
func stateOf(g *generation, r *http.Request) (string, error) {
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

// isLocalName reports whether host, in lower case and without port and trailing
// dot, always means this machine: localhost and the names below it (RFC 6761
// section 6.3), and loopback addresses. Any other name can be made to resolve
// to this machine, so that a page of another site reads devproxy's responses
// (DNS rebinding).
func isLocalName(host string) bool {
	if strings.HasSuffix("."+host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// isCrossOrigin reports whether a page of another origin made r, as its browser
// says by Origin or by Sec-Fetch-Site (W3C Fetch Metadata). Programs send
// neither.
func isCrossOrigin(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" && site != "same-origin" {
			return true
		}
	}
	for _, origin := range r.Header["Origin"] {
		// Behind another proxy the scheme may differ.
		if _, authority, ok := strings.Cut(origin, "://"); !ok || !strings.EqualFold(authority, r.Host) {
			return true
		}
	}
	return false
}

// opensDocument reports whether the response to r is a page in its own tab, which
// the page that linked to it cannot read.
func opensDocument(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
