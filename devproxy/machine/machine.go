// Package machine is the page of this machine, https://devproxy.localhost: all
// projects that the user's `devproxy up`s serve, with their hosts, routes and shares.
//
// Any `devproxy up` may get the connections for that name, since the front passes it
// on like any other. So all of them show the same page, and know each other's keys:
// these are files in the user's runtime directory, see keys.
//
// The document itself is public, the same for everybody, and names only the version.
// Its script sends the key of `devproxy open`, which the browser keeps in the fragment
// of the URL, and gets a token for it. The token goes into the storage of the origin
// and into the Authorization field of each request for the projects. It is not a
// cookie: cookies are shared by all ports and by plain HTTP (RFC 6265 section 8.5), so
// any program of another user that listens on this machine could get one.
// The page is read-only, and no page of another origin can send that field.
//
// A key on the command line of a browser is visible to the machine's other users on
// some systems. So the process at the other end of the connection must be this
// user's, where the system tells whose it is (runtimedir.OwnClient).
package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// tokenPath takes a key and returns a token.
	tokenPath = "/token"
	// projectsPath returns the projects as HTML for the page.
	projectsPath = "/projects"
	// patience is how long an instance may take to report its state. It takes at most
	// 300 ms, unless its process was stopped.
	patience = 2 * time.Second
)

// Options configure a Page.
type Options struct {
	// Dir is the user's runtime directory.
	Dir string
	// Version is that of this program.
	Version string
	// Short shortens a path for people: ~ instead of the home folder.
	Short func(path string) string
}

// URL is the page's origin, on the port that HTTPS is served on.
func URL(port uint16) string {
	return "https://" + hcl.OwnHost + strings.TrimSuffix(fmt.Sprintf(":%d", port), ":443")
}

// Page is the machine's page. It is an http.Handler for requests to its host by
// this machine's programs; the caller has checked that and the origin.
type Page struct {
	opts Options
	keys keys

	// The two below are replaced by tests.
	own func(r *http.Request) bool
	all func(ctx context.Context) ([]control.Answer, error)
}

// New returns the page.
func New(opts Options) *Page {
	return &Page{
		opts: opts, keys: keysIn(opts.Dir), own: isOwn,
		all: func(ctx context.Context) ([]control.Answer, error) { return control.All(ctx, opts.Dir, patience) },
	}
}

// isOwn reports whether a process of this user has sent r, as far as the system tells.
func isOwn(r *http.Request) bool {
	local := listen.FromContext(r.Context()).Local
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && local.IsValid() && runtimedir.OwnClient(local, remote)
}

// ServeHTTP answers without any difference to all who have no valid key or token.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	switch r.Method + " " + r.URL.Path {
	case "GET /", "HEAD /":
		p.document(w, r)
	case "POST " + tokenPath:
		p.token(w, r)
	case "GET " + projectsPath:
		p.projects(w, r)
	default:
		p.refuse(w, r, http.StatusNotFound)
	}
}

// refuse names nothing but the version.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, status int) {
	_ = page.Page{
		Status: status, Title: "Run `devproxy open` to see this machine's projects.", Version: p.opts.Version,
	}.Write(w, r) // an error means that the client left
}

// document is the page without any project.
func (p *Page) document(w http.ResponseWriter, r *http.Request) {
	if !page.Navigates(r) {
		p.refuse(w, r, http.StatusForbidden)
		return
	}
	var text bytes.Buffer
	if err := layout.ExecuteTemplate(&text, "document", p.opts.Version); err != nil {
		p.failed(w, err)
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	write(w, r, "text/html; charset=utf-8", text.String())
}

// token exchanges a key, which is valid once, for a token.
func (p *Page) token(w http.ResponseWriter, r *http.Request) {
	key, ok := bearer(r)
	if !ok || !p.own(r) {
		p.refuse(w, r, http.StatusForbidden)
		return
	}
	token, err := p.keys.exchange(key)
	switch {
	case errors.Is(err, errKey):
		p.refuse(w, r, http.StatusForbidden)
	case err != nil:
		p.failed(w, err)
	default:
		write(w, r, "text/plain; charset=utf-8", token)
	}
}

// projects lists what runs, for the holder of a token.
func (p *Page) projects(w http.ResponseWriter, r *http.Request) {
	token, ok := bearer(r)
	if !ok || !p.keys.valid(token) || !p.own(r) {
		p.refuse(w, r, http.StatusForbidden)
		return
	}
	answers, err := p.all(r.Context())
	var text bytes.Buffer
	if err == nil {
		err = layout.ExecuteTemplate(&text, "projects", p.view(answers))
	}
	if err != nil {
		p.failed(w, err)
		return
	}
	write(w, r, "text/html; charset=utf-8", text.String())
}

// failed answers a client that has shown its key.
func (p *Page) failed(w http.ResponseWriter, err error) {
	slog.Warn("the machine's page has failed", "error", err)
	http.Error(w, page.Sentence(err.Error()), http.StatusInternalServerError)
}

// bearer returns the credentials of r (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, bool) {
	fields := r.Header["Authorization"]
	if len(fields) != 1 {
		return "", false
	}
	return strings.CutPrefix(fields[0], "Bearer ")
}

func write(w http.ResponseWriter, r *http.Request, contentType, text string) {
	w.Header().Set("Content-Type", contentType)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text) // an error means that the client left
	}
}
