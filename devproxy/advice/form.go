package advice

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// MaxFormRefusal is how much of a response FormRefusal needs, in bytes: Django's
// page gives the reason in its first 10 KB.
const MaxFormRefusal = 64 << 10

// formRefusal is how a framework refuses a form whose Origin is not its own.
type formRefusal struct {
	status int
	header string // a field that the response has, canonical; empty for any
	value  string // of header; empty for any
	// navigation restricts the text to forms that load a page, since other
	// responses have it too.
	navigation bool
	text       *regexp.Regexp
}

// fetchText is the type of a Response that is made of a string (Fetch Standard,
// section 5.2, "extract a body").
const fetchText = "text/plain;charset=UTF-8"

// formRefusals come from the sources of the frameworks. Each compares Origin with
// the scheme that it assumes for the request.
var formRefusals = []formRefusal{
	// Astro, packages/astro/src/core/app/middlewares.ts; SvelteKit,
	// packages/kit/src/runtime/server/respond.js; Qwik City's CSRF check.
	{status: http.StatusForbidden, text: regexp.MustCompile(`(?i)Cross-site [A-Z]+ form submissions are forbidden`)},
	// Django, middleware/csrf.py, on its page while DEBUG is on; Django REST
	// framework sends it as JSON.
	{status: http.StatusForbidden, text: regexp.MustCompile(`Origin checking failed`)},
	// Spring, DefaultCorsProcessor: a form of another origin is one of CORS.
	{status: http.StatusForbidden, text: regexp.MustCompile(`^Invalid CORS request$`)},
	// React Router, packages/react-router/lib/server-runtime: the response to a
	// form that a script has sent, and to one that loads a page. An action's own
	// response is not a SanitizedError. Express and others send the second text for
	// a bad request, with another type.
	{status: http.StatusBadRequest, header: "X-Remix-Response", text: regexp.MustCompile(`"SanitizedError".*"(?:Bad Request|Unexpected Server Error)"`)},
	{status: http.StatusBadRequest, header: "Content-Type", value: fetchText, navigation: true, text: regexp.MustCompile(`^Bad Request$`)},
}

// MayRefuseForm reports whether a response with status to r may be a refusal that
// FormRefusal finds: a page of origin, which r was sent to, sends something.
func MayRefuseForm(r *http.Request, origin string, status int) bool {
	return slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, r.Method) &&
		strings.EqualFold(r.Header.Get("Origin"), origin) &&
		slices.ContainsFunc(formRefusals, func(f formRefusal) bool { return f.status == status })
}

// FormRefusal returns the advice on a response in which a framework refuses a form of
// its own page because it ignores X-Forwarded-Proto. It is empty for any other
// response. body is decoded, and has at most the first MaxFormRefusal bytes.
func FormRefusal(r *http.Request, status int, h http.Header, body []byte) string {
	navigates := r.Header.Get("Sec-Fetch-Mode") == "navigate" ||
		r.Header.Get("Sec-Fetch-Mode") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
	if !slices.ContainsFunc(formRefusals, func(f formRefusal) bool {
		hasHeader := f.header == "" || len(h[f.header]) > 0 && (f.value == "" || h[f.header][0] == f.value)
		return f.status == status && hasHeader && (!f.navigation || navigates) && f.text.Match(body)
	}) {
		return ""
	}
	return `the app refuses forms of its own pages: it compares their https:// with the http:// that it is reached by; write forwarded_proto = "http" next to its upstream`
}
