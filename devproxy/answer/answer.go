// Package answer serves what a route answers without an upstream: files of a
// folder, a redirect, a fixed answer.
//
// Each function answers the request and returns nil, or returns why it could
// not and has written nothing, so that one error handler writes every error
// page. The route's response headers are set before the call and take precedence
// over those that are set here.
package answer

import (
	"io"
	"net/http"
	"strconv"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// Redirect redirects to where the redirect of m leads. m has its values: see
// plan.Match.With. The query is kept. A target that is a path stays one on this
// host, whatever the request is, and nothing in it begins a new header line.
//
// Browsers keep a 301 or 308 forever, and would follow it after the Proxyfile has
// changed: "Cache-Control: no-cache" makes them check.
//
// The error is always nil: a redirect can't fail, and all answers have the same
// result.
func Redirect(w http.ResponseWriter, r *http.Request, x *plan.Redirect, m plan.Match) error {
	redirectTo(w, x.Status, m.Location(r.URL.RawQuery))
	return nil
}

// redirectTo differs from http.Redirect, which would rewrite a relative location
// and clean a path.
func redirectTo(w http.ResponseWriter, status int, location string) {
	h := w.Header()
	setDefault(h, "Cache-Control", "no-cache")
	h.Set("Location", location)
	h.Set("Content-Length", "0")
	w.WriteHeader(status)
}

// Respond answers with x. A body is text/plain in UTF-8 unless the headers have
// another type; with a status without a body (204, 205, 304) it is left out.
// Content-Length and Transfer-Encoding are never taken from the headers: they are
// facts about the message.
//
// The error is always nil: a fixed answer can't fail, and all answers have the
// same result.
func Respond(w http.ResponseWriter, r *http.Request, x *plan.Respond) error {
	h := w.Header()
	for _, field := range x.Headers {
		h.Set(field.Name, field.Value)
	}
	h.Del("Transfer-Encoding")
	h.Del("Content-Length")
	if !hasBody(x.Status) {
		w.WriteHeader(x.Status)
		return nil
	}
	if x.Body != "" {
		setDefault(h, "Content-Type", "text/plain; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(x.Body)))
	w.WriteHeader(x.Status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, x.Body) // fails only when the client has left
	}
	return nil
}

// hasBody follows RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified
}

// setDefault sets a field that the route doesn't set. An empty value sets
// nothing.
func setDefault(h http.Header, field, value string) {
	if _, set := h[field]; !set && value != "" {
		h.Set(field, value)
	}
}
