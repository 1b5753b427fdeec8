// Package advice looks at an upstream's response as a browser does. It warns
// about everything that browsers will refuse or leak, and rewrites URLs and
// cookies that are valid only for the upstream's own address.
package advice

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Of returns what browsers will refuse of a response of host: a sentence each, with
// what to write instead. It is nil for most.
func Of(h http.Header, host string) []string {
	var told []string
	for _, line := range h["Set-Cookie"] {
		if text := ofCookie(parseCookie(line), host); text != "" {
			told = append(told, text)
		}
	}
	if h.Get("Access-Control-Allow-Origin") == "*" && h.Get("Access-Control-Allow-Credentials") == "true" {
		told = append(told, `browsers refuse Access-Control-Allow-Origin: * with credentials: name the origin, or write cors = true in the route`)
	}
	return told
}

// DropHSTS removes Strict-Transport-Security (RFC 6797) from a response of a
// .localhost name: browsers would keep it for months, and for other
// projects with that name.
func DropHSTS(h http.Header, host string) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		delete(h, "Strict-Transport-Security")
	}
}

// maxTold is how many sentences are remembered; when there are more, all are
// forgotten.
const maxTold = 1000

// Once lets each sentence about a route pass a single time. The zero value is
// ready to use; it is safe for concurrent use.
type Once struct {
	mu   sync.Mutex
	told map[[2]string]struct{}
}

// New returns those of the sentences that it has not returned for route before.
func (o *Once) New(route string, sentences []string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var fresh []string
	for _, sentence := range sentences {
		key := [2]string{route, sentence}
		if _, told := o.told[key]; told {
			continue
		}
		if o.told == nil || len(o.told) >= maxTold {
			o.told = map[[2]string]struct{}{}
		}
		o.told[key] = struct{}{}
		fresh = append(fresh, sentence)
	}
	return fresh
}

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
