package answer

import (
	"net/http"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// Redirect sends the visitor where the redirect of m says. m has its values: see
// plan.Match.With. The query is kept. A target that is a path stays one on this
// host, whatever the request is, and nothing in it begins a new header line.
//
// Browsers keep a 301 or 308 for ever, and would go on to follow it after the
// Proxyfile has changed: "Cache-Control: no-cache" has them ask again.
//
// The error is always nil: a redirect cannot fail, and every answer is called
// alike.
func Redirect(w http.ResponseWriter, r *http.Request, x *plan.Redirect, m plan.Match) error {
	redirectTo(w, x.Status, m.Location(r.URL.RawQuery))
	return nil
}

// redirectTo is not http.Redirect, which would rewrite a relative location and
// clean a path.
func redirectTo(w http.ResponseWriter, status int, location string) {
	h := w.Header()
	setDefault(h, "Cache-Control", "no-cache")
	h.Set("Location", location)
	h.Set("Content-Length", "0")
	w.WriteHeader(status)
}
