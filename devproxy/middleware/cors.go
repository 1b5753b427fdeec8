package middleware

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/middleware/head"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

const (
	// preflightAge is how many seconds browsers keep the answer to a preflight:
	// short, so that a change of the Proxyfile is soon seen.
	preflightAge = "600"
	// maxAskedFields bounds the fields that a preflight may name, in bytes; they
	// are sent back.
	maxAskedFields = 4 << 10
)

// The CORS fields that say which origins may read (the Fetch Standard, section
// 3.3.3).
const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
)

// crossOrigin says which other origins may read the response, replacing the
// upstream's own CORS fields, and answers preflights.
func crossOrigin(c *plan.CORS, from From, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		origin := r.Header.Get("Origin")
		allowed := !isOwn(origin, r, from) && allows(c, origin, from)
		if answersPreflight(r, from) {
			return preflight(c, w, r, origin, allowed)
		}
		out := &head.Writer{ResponseWriter: w, Change: func(_ int, h http.Header) { setOrigin(h, c, origin, allowed) }}
		err := next(out, r)
		if !out.Written() {
			// For an error page, or a response without a body.
			setOrigin(w.Header(), c, origin, allowed)
		}
		return err
	}
}

// answersPreflight reports whether r is a preflight (the Fetch Standard, section
// 3.3.2) that is answered here, and so costs the upstream nothing. One from a page
// of the same host is forwarded like any other request.
func answersPreflight(r *http.Request, from From) bool {
	origin := r.Header.Get("Origin")
	return r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != "" && !isOwn(origin, r, from)
}

// isOwn reports whether r comes from a page of the host that it is sent to.
func isOwn(origin string, r *http.Request, from From) bool {
	scheme := "https://"
	if from.Plain {
		scheme = "http://"
	}
	return strings.EqualFold(origin, scheme+r.Host)
}

func allows(c *plan.CORS, origin string, from From) bool {
	origin = strings.ToLower(origin)
	return c.Any || slices.Contains(c.Origins, origin) || isHost(c, origin, from)
}

// isHost reports whether origin is one of the hosts of c on devproxy's own port.
func isHost(c *plan.CORS, origin string, from From) bool {
	u, err := url.Parse(origin)
	if err != nil || strings.HasSuffix(u.Host, ":") || origin != u.Scheme+"://"+u.Host {
		return false
	}
	servedScheme := u.Scheme == "https" || from.Plain && u.Scheme == "http"
	return servedScheme && u.Port() == from.Port && c.HasHost(u.Hostname())
}

// setOrigin says in h which origin may read the response.
func setOrigin(h http.Header, c *plan.CORS, origin string, allowed bool) {
	delete(h, allowOrigin)
	delete(h, allowCredentials)
	switch {
	case c.Any:
		h[allowOrigin] = []string{"*"} // for every origin: it needs no Vary
		return
	case allowed:
		h[allowOrigin], h[allowCredentials] = []string{origin}, []string{"true"}
	}
	addVary(h, "Origin")
}

// preflight answers for the route, whatever its answer is. Methods and fields are
// not restricted: an allowed origin may send any request.
func preflight(c *plan.CORS, w http.ResponseWriter, r *http.Request, origin string, allowed bool) error {
	h := w.Header()
	setOrigin(h, c, origin, allowed)
	addVary(h, "Access-Control-Request-Method", "Access-Control-Request-Headers")
	method, fields := r.Header.Get("Access-Control-Request-Method"), strings.Join(r.Header["Access-Control-Request-Headers"], ", ")
	if !allowed || !field.IsToken(method) || !areFields(fields) {
		return &OriginError{origin}
	}
	h.Set("Access-Control-Allow-Methods", method)
	if fields != "" {
		h.Set("Access-Control-Allow-Headers", fields)
	}
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		h.Set("Access-Control-Allow-Private-Network", "true")
	}
	h.Set("Access-Control-Max-Age", preflightAge)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func areFields(list string) bool {
	if len(list) > maxAskedFields {
		return false
	}
	for name := range field.Elements([]string{list}) {
		if !field.IsToken(name) {
			return false
		}
	}
	return true
}

// addVary adds names that are not there yet.
func addVary(h http.Header, names ...string) {
	for _, name := range names {
		if !field.Has(h["Vary"], name) {
			h["Vary"] = append(slices.Clip(h["Vary"]), name)
		}
	}
}
