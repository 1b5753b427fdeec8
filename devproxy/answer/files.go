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
)

const (
	indexPage    = "index.html"
	notFoundPage = "404.html"
)

// Files answers r from the folder of f. rest is what follows the route's path,
// percent-encoded as it came, and is what is looked up: with
// route "/docs" { files = "site/dist" }, "/docs/a" is site/dist/a. For the path
// PATH these are tried, the first that is a regular file is sent:
//
//	PATH             as it is
//	PATH.html        when PATH does not end in "/"
//	PATH/index.html  when it does; otherwise the visitor is sent to PATH/
//	index.html       with f.SPA
//	404.html         with status 404
//
// With f.SPA a path that looks like a file ("/app.js") gets index.html only
// when the visitor asks for a page (Accept names text/html): a script tag whose
// file is gone must fail with a 404, not with a syntax error in line 1 of HTML.
//
// No segment may begin with ".", except a first ".well-known" (RFC 8615). There,
// what is missing is 404 with f.SPA too: clients take any other status of an
// unknown name for support of what they ask about. Nothing outside the folder is
// sent, whatever links say; no listings, devices or pipes. Ranges and
// conditional requests work as in RFC 9110 sections 13 and 14; "Cache-Control:
// no-cache" has browsers ask each time, so that edits show.
//
// Errors: *MethodError, *NotFoundError, *ReadError.
func Files(w http.ResponseWriter, r *http.Request, f *plan.Files, rest string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &MethodError{Method: r.Method, Allow: []string{http.MethodGet, http.MethodHead}}
	}
	d, err := openFolder(f)
	if err != nil {
		return err
	}
	defer d.Close()
	n, wrong := parseName(rest)
	if wrong != "" {
		return d.notFound(w, r, &NotFoundError{Dir: f.Dir, Text: f.Text, Path: rest, Reason: wrong})
	}
	if answered, err := d.serve(w, r, n); answered || err != nil {
		return err
	}
	link, toDot := d.strayLink(n)
	return d.notFound(w, r, &NotFoundError{Dir: f.Dir, Text: f.Text, Path: rest, Link: link, LinkDot: toDot})
}

// File answers r for a route of one path. When f names a folder, own is looked up
// there: the last segment of the path, percent-encoded, after a "/". These are tried:
//
//	OWN              as it is
//	OWN.html
//	OWN/index.html   the path stays, as no other path belongs to the route
//	index.html       when OWN has no ".", or with f.SPA as Files has it
//	404.html         with status 404
//
// Otherwise f names that file, which need not be there yet. It is sent as Files
// sends it from the folder that it is in: a link there must not lead out of that
// folder, and its name must not begin with ".".
//
// Errors: as Files.
func File(w http.ResponseWriter, r *http.Request, f *plan.Files, own string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &MethodError{Method: r.Method, Allow: []string{http.MethodGet, http.MethodHead}}
	}
	if IsSingle(f) {
		return sendSingle(w, r, f)
	}
	d, err := openFolder(f)
	if err != nil {
		return err
	}
	defer d.Close()
	d.wellKnown = isWellKnownPath(r)
	n, wrong := parseName(own)
	if wrong != "" {
		return d.notFound(w, r, &NotFoundError{Dir: f.Dir, Text: f.Text, Path: own, Reason: wrong})
	}
	candidates := append(n.candidates(), n.index())
	if !n.dotted() || f.SPA && !n.wellKnown() && wantsPage(w, r) {
		candidates = append(candidates, indexPage)
	}
	for _, candidate := range candidates {
		if answered, err := d.send(w, r, candidate); answered || err != nil {
			return err
		}
	}
	link, toDot := d.strayLink(n)
	return d.notFound(w, r, &NotFoundError{Dir: f.Dir, Text: f.Text, Path: own, Link: link, LinkDot: toDot})
}

// IsSingle reports whether f names a file, for a route of one path: whatever is not
// a folder now.
func IsSingle(f *plan.Files) bool {
	info, err := os.Stat(f.Dir)
	return err != nil || !info.IsDir()
}

// isWellKnownPath reports whether r asks for a path that RFC 8615 reserves.
func isWellKnownPath(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/"+wellKnown+"/") }

// LooksUp returns the path below f's folder, or the folder of the file that f names,
// that a match asks for, percent-encoded.
func LooksUp(f *plan.Files, m plan.Match) string {
	if m.Route.Exact && IsSingle(f) {
		return (&url.URL{Path: "/" + filepath.Base(f.Dir)}).EscapedPath()
	}
	return m.FilesPath()
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
		// What was allowed outside the project is this file alone.
		if !plan.Within(filepath.Join(dir, base), f.Within) {
			return &ReadError{Path: f.Dir, Err: errLeads}
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

// serve answers with what the folder has for n.
func (d *folder) serve(w http.ResponseWriter, r *http.Request, n name) (answered bool, err error) {
	for _, candidate := range n.candidates() {
		if answered, err := d.send(w, r, candidate); answered || err != nil {
			return answered, err
		}
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

// candidates are the files that answer n, in the order in which they are tried.
func (n name) candidates() []string {
	switch {
	case n.slash:
		return []string{n.index()}
	case n.path == "":
		return nil
	}
	return []string{n.path, n.path + ".html"}
}

// index is the page of the folder n.
func (n name) index() string {
	return strings.TrimPrefix(n.path+"/"+indexPage, "/")
}

// wantsPage reports whether the visitor asks for HTML, as a browser does for a
// navigation and not for a script, style or fetch.
func wantsPage(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Accept")
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html")
}

// addSlash sends the visitor to the same path with a "/", on which the links of
// an index.html are based. It is relative to the last segment, since only the
// visitor knows what comes before it, and begins with "./", since "a:b/" alone
// would be a scheme (RFC 3986 section 4.2).
func addSlash(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	location := "./" + path[strings.LastIndexByte(path, '/')+1:] + "/"
	if r.URL.RawQuery != "" {
		location += "?" + r.URL.RawQuery
	}
	redirectTo(w, http.StatusFound, location)
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

// contentType is empty where ServeContent shall look at the bytes, which it
// cannot when they are compressed.
func contentType(plain *file, token string) string {
	kind := mediaType(plain.name)
	switch {
	case isTransportStream(plain):
		return "video/mp2t"
	case kind == "" && isWellKnownJSON(plain):
		return "application/json"
	case kind == "" && token != "":
		return "application/octet-stream"
	}
	return kind
}

// entityTag changes with every save: file systems keep fractions of a second.
// It names the sibling's own bytes, and so is strong (RFC 9110 section 8.8.1).
func entityTag(f *file) string {
	return fmt.Sprintf(`"%x-%x"`, f.info.ModTime().UnixNano(), f.info.Size())
}

// setDefault keeps what the route says. An empty value is none.
func setDefault(h http.Header, field, value string) {
	if _, said := h[field]; !said && value != "" {
		h.Set(field, value)
	}
}

// notFound answers with the folder's own 404.html, or returns why there is
// nothing else.
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
		// A visitor that is gone needs no answer.
		_, _ = io.CopyN(w, own, own.info.Size())
	}
	return nil
}
