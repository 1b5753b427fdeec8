package share

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// maxRequestedFields bounds the field names in one preflight.
	maxRequestedFields = 64
	// preflightAge is how long a browser may reuse the answer to a preflight.
	preflightAge = 10 * time.Minute
)

// preflight is a CORS-preflight request (WHATWG Fetch, section 4.8) of a page on one
// of the share's own hosts. Its values are checked and safe to send back.
type preflight struct {
	origin  string   // the page's public origin, as browsers serialize it
	method  string   // of the request that the page will send
	headers []string // field names of that request, in lower case
}

// ownPreflight reads the request as a preflight. It reports false for every other
// request: another method, a body, an origin outside the share, a repeated field, or
// a value that no browser sends.
func (q *request) ownPreflight() (p preflight, ok bool) {
	r := q.r
	methods := r.Header["Access-Control-Request-Method"]
	if r.Method != http.MethodOptions || r.ContentLength != 0 || len(methods) != 1 ||
		!field.IsToken(methods[0]) || isForbiddenMethod(methods[0]) {
		return preflight{}, false
	}
	p.method = methods[0]
	if p.origin, ok = q.pageOrigin(); !ok {
		return preflight{}, false
	}
	p.headers, ok = requestedFields(r.Header["Access-Control-Request-Headers"])
	return p, ok
}

// pageOrigin returns the serialized public origin of the page that sent the request,
// if it is one of the share's. The text comes from the share's names, not from the
// request.
func (q *request) pageOrigin() (origin string, ok bool) {
	origins := q.r.Header["Origin"]
	if len(origins) != 1 {
		return "", false
	}
	if _, own := q.share.names.publicOrigin(origins[0]); !own {
		return "", false
	}
	ref, _ := cutReference(origins[0])
	public, _ := parseAuthority(ref.authority, httpsPort)
	return "https://" + public.String(), true
}

// requestedFields reads Access-Control-Request-Headers: a list of tokens.
func requestedFields(lines []string) (names []string, ok bool) {
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		name := lower(strings.Trim(element, " \t"))
		switch {
		case name == "": // RFC 9110 section 5.6.1 ignores empty elements
		case !field.IsToken(name) || len(names) >= maxRequestedFields:
			return nil, false
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	return names, true
}

// isForbiddenMethod reports whether pages cannot send method (WHATWG Fetch, section
// 2.2.1).
func isForbiddenMethod(method string) bool {
	return slices.Contains([]string{"connect", "trace", "track"}, lower(method))
}

// reply allows the request that the preflight announces. The gate sends it itself:
// browsers send no cookie with a preflight, and without the key no request reaches
// the project. The announced request must have the key.
func (p *preflight) reply() *reply {
	answer := &reply{Page: page.Page{Status: http.StatusNoContent, Header: http.Header{
		"Access-Control-Allow-Origin":      {p.origin},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Allow-Methods":     {p.method},
		"Access-Control-Max-Age":           {seconds(preflightAge)},
		"Vary":                             {"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"},
	}}}
	if len(p.headers) > 0 {
		answer.Header.Set("Access-Control-Allow-Headers", strings.Join(p.headers, ", "))
	}
	return answer
}
