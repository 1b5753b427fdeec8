package answer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

const (
	indexPage    = "index.html"
	notFoundPage = "404.html"
)

// Files answers r from the folder of f. rest is the path after the route's
// path, percent-encoded as it came, and is looked up: with route "/docs" {
// files = "site/dist" }, "/docs/a" is site/dist/a. For the path PATH these are
// tried, and the first that is a regular file is sent:
//
//	PATH             as it is
//	PATH.html        when PATH does not end in "/"
//	PATH/index.html  when it does; otherwise the client is redirected to PATH/
//	index.html       with f.SPA
//	404.html         with status 404
//
// With f.SPA a path that looks like a file ("/app.js") gets index.html only
// when the client asks for a page (Accept has text/html): a script whose file
// is gone must fail with a 404, not with a syntax error in line 1 of HTML.
//
// No segment may begin with ".", except a first ".well-known" (RFC 8615). There,
// what is missing is 404 with f.SPA too: clients take any other status of an
// unknown name for support of what they ask about. Nothing outside the folder is
// sent, whatever links say; nor are listings, devices or pipes. Ranges and
// conditional requests follow RFC 9110 sections 13 and 14; "Cache-Control:
// no-cache" makes browsers check each time, so that edits show.
//
// Errors: *MethodError, *NotFoundError, *ReadError.
func Files(w http.ResponseWriter, r *http.Request, f *plan.Files, rest string) error {
	return fromFolder(w, r, f, rest, func(d *folder, n name) (answered bool, err error) { return d.serve(w, r, n) })
}

// File answers r for an exact route. When f names a folder, own is looked up
// there: the last segment of the path, percent-encoded, after a "/". These are tried:
//
//	OWN              as it is
//	OWN.html
//	OWN/index.html   the path stays, as no other path belongs to the route
//	index.html       when OWN has no ".", or with f.SPA as in Files
//	404.html         with status 404
//
// Otherwise f names that file, which need not exist yet. It is sent as Files
// sends it from the folder that it is in: a link there must not lead out of that
// folder, and its name must not begin with ".".
//
// Errors: as Files.
func File(w http.ResponseWriter, r *http.Request, f *plan.Files, own string) error {
	if isRead(r) && IsSingle(f) {
		return sendSingle(w, r, f)
	}
	return fromFolder(w, r, f, own, func(d *folder, n name) (answered bool, err error) {
		d.wellKnown = isWellKnownPath(r)
		candidates := append(n.candidates(), n.index())
		if !n.dotted() || f.SPA && !n.wellKnown() && wantsPage(w, r) {
			candidates = append(candidates, indexPage)
		}
		return d.sendFirst(w, r, candidates)
	})
}

// IsSingle reports whether f names a file, for an exact route: anything that is
// not a folder now.
func IsSingle(f *plan.Files) bool {
	info, err := os.Stat(f.Dir)
	return err != nil || !info.IsDir()
}

// LooksUp returns the path that a match looks up, percent-encoded: below f's
// folder, or below the folder of the file that f names.
func LooksUp(f *plan.Files, m plan.Match) string {
	if m.Route.Exact && IsSingle(f) {
		return (&url.URL{Path: "/" + filepath.Base(f.Dir)}).EscapedPath()
	}
	return m.FilesPath()
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// isWellKnownPath reports whether r is for a path that RFC 8615 reserves.
func isWellKnownPath(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/"+wellKnown+"/") }

// fromFolder answers r with what serve finds in the folder of f for path, or with
// the folder's own 404.html.
func fromFolder(w http.ResponseWriter, r *http.Request, f *plan.Files, path string, serve func(*folder, name) (answered bool, err error)) error {
	if !isRead(r) {
		return &MethodError{Method: r.Method, Allow: []string{http.MethodGet, http.MethodHead}}
	}
	d, err := openFolder(f)
	if err != nil {
		return err
	}
	defer d.Close()
	n, wrong := parseName(path)
	missing := &NotFoundError{Dir: f.Dir, Text: f.Text, Path: path, Reason: wrong}
	if wrong == "" {
		if answered, err := serve(d, n); answered || err != nil {
			return err
		}
		missing.Link, missing.LinkDot = d.strayLink(n)
	}
	return d.notFound(w, r, missing)
}

func sendSingle(w http.ResponseWriter, r *http.Request, f *plan.Files) error {
	base := filepath.Base(f.Dir)
	missing := &NotFoundError{Dir: f.Dir, Text: f.Text, Single: true, Reason: vetSegment(base)}
	if missing.Reason != "" {
		return missing
	}
	parent := *f
	parent.Dir, parent.Text = filepath.Dir(f.Dir), filepath.Dir(f.Text)
	if dir, err := filepath.EvalSymlinks(parent.Dir); err == nil && f.Within != "" {
		// Consent covers only this file outside the project.
		if !plan.Within(filepath.Join(dir, base), f.Within) {
			return &ReadError{Path: f.Dir, Err: errMoved}
		}
		parent.Within = dir
	}
	d, err := openFolder(&parent)
	if missing, ok := errors.AsType[*NotFoundError](err); ok {
		missing.Single, missing.Dir, missing.Text = true, f.Dir, f.Text
		return missing
	}
	if err != nil {
		return err
	}
	defer d.Close()
	d.wellKnown = isWellKnownPath(r)
	if answered, err := d.send(w, r, base); answered || err != nil {
		return err
	}
	missing.Link, missing.LinkDot = d.strayLink(name{path: base})
	return missing
}

// serve answers with the folder's file for n.
func (d *folder) serve(w http.ResponseWriter, r *http.Request, n name) (answered bool, err error) {
	if answered, err := d.sendFirst(w, r, n.candidates()); answered || err != nil {
		return answered, err
	}
	if !n.slash {
		if is, err := d.isFile(n.index()); err != nil {
			return false, err
		} else if is {
			addSlash(w, r)
			return true, nil
		}
	}
	if !d.spec.SPA || n.wellKnown() || n.dotted() && !wantsPage(w, r) {
		return false, nil
	}
	return d.send(w, r, indexPage)
}

// wantsPage reports whether the client asks for HTML, as a browser does for a
// navigation and not for a script, style or fetch.
func wantsPage(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Accept")
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html")
}

// addSlash redirects the client to the same path with a "/", on which the links
// of an index.html are based. The location is relative to the last segment,
// since only the client knows the text before it, and begins with "./", since
// "a:b/" would begin with a scheme (RFC 3986 section 4.2).
func addSlash(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	location := "./" + path[strings.LastIndexByte(path, '/')+1:] + "/"
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	redirectTo(w, http.StatusFound, location)
}

// sendFirst answers with the first file that exists.
func (d *folder) sendFirst(w http.ResponseWriter, r *http.Request, candidates []string) (answered bool, err error) {
	for _, candidate := range candidates {
		if answered, err := d.send(w, r, candidate); answered || err != nil {
			return answered, err
		}
	}
	return false, nil
}

// send answers with a file, if there is one of that name.
func (d *folder) send(w http.ResponseWriter, r *http.Request, name string) (answered bool, err error) {
	plain, err := d.open(name)
	if err != nil || plain == nil {
		return false, err
	}
	defer plain.Close()
	chosen, token, vary := d.encoded(plain, r)
	if chosen != plain {
		defer chosen.Close()
	}
	h := w.Header()
	if vary {
		h.Add("Vary", "Accept-Encoding")
	}
	if token != "" {
		h.Set("Content-Encoding", token)
	}
	setDefault(h, "Content-Type", contentType(plain, token))
	setDefault(h, "Cache-Control", "no-cache")
	setDefault(h, "ETag", entityTag(chosen))
	r = withPlainRange(r, chosen.info.Size(), h.Get("ETag"))
	http.ServeContent(w, r, name, chosen.info.ModTime(), chosen)
	return true, nil
}

// encoded opens the precompressed sibling of plain that the client prefers, or
// returns plain itself. A sibling that is older than the file is left over from an
// earlier build and is not served. vary is true when another client could get
// another of them.
func (d *folder) encoded(plain *file, r *http.Request) (chosen *file, token string, vary bool) {
	accept := strings.Join(r.Header.Values("Accept-Encoding"), ",")
	chosen, best := plain, field.Quality(accept, "identity")
	// In the order of preference, smallest result first.
	for _, coding := range []struct{ token, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		sibling, err := d.open(plain.name + coding.suffix)
		if err != nil || sibling == nil {
			continue // without its sibling the file can still be sent
		}
		if sibling.info.ModTime().Before(plain.info.ModTime()) {
			sibling.Close()
			continue
		}
		vary = true
		q := field.Quality(accept, coding.token)
		if q == 0 || q < best || q == best && token != "" {
			sibling.Close()
			continue
		}
		if chosen != plain {
			chosen.Close()
		}
		chosen, token, best = sibling, coding.token, q
	}
	return chosen, token, vary
}

// entityTag changes with every save: file systems keep fractions of a second.
// It identifies the bytes of this file, and so is strong (RFC 9110 section 8.8.1).
func entityTag(f *file) string {
	return fmt.Sprintf(`"%x-%x"`, f.info.ModTime().UnixNano(), f.info.Size())
}

// notFound answers with the folder's own 404.html, or returns why if there is
// none.
func (d *folder) notFound(w http.ResponseWriter, r *http.Request, why *NotFoundError) error {
	own, err := d.open(notFoundPage)
	if err != nil || own == nil {
		return why
	}
	defer own.Close()
	h := w.Header()
	setDefault(h, "Content-Type", mediaType(notFoundPage))
	setDefault(h, "Cache-Control", "no-cache")
	h.Set("Content-Length", strconv.FormatInt(own.info.Size(), 10))
	w.WriteHeader(http.StatusNotFound)
	if r.Method != http.MethodHead {
		_, _ = io.CopyN(w, own, own.info.Size()) // fails only when the client has left
	}
	return nil
}
