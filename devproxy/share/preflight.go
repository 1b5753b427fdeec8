package share

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
)

const (
	// maxRequestedFields bounds the field names that one preflight may ask for.
	maxRequestedFields = 64
	// preflightAge is how long a browser may reuse the answer to a preflight.
	preflightAge = 10 * time.Minute
)

// preflight is a CORS-preflight request (WHATWG Fetch, section 4.8) of a page
// on one of the share's own hosts. Its values are checked and safe to send back.
type preflight struct {
	origin  string   // the page's public origin, as browsers serialize it
	method  string   // what the page wants to send
	headers []string // the field names it wants to send, in lower case
}

// ownPreflight reads r as a preflight. ok is false for every other request:
// another method, a body, an origin outside the share, a repeated field, or a
// value that no browser sends.
func (s *Share) ownPreflight(r *http.Request) (p preflight, ok bool) {
	methods := r.Header["Access-Control-Request-Method"]
	if r.Method != http.MethodOptions || r.ContentLength != 0 || len(methods) != 1 {
		return preflight{}, false
	}
	if p.origin, ok = s.pageOrigin(r); !ok {
		return preflight{}, false
	}
	if p.method = methods[0]; !field.IsToken(p.method) || isForbiddenMethod(p.method) {
		return preflight{}, false
	}
	p.headers, ok = requestedFields(r.Header["Access-Control-Request-Headers"])
	return p, ok
}

// pageOrigin is the serialized public origin of the page that made r, if it is
// one of the share's. The text comes from the names table, not from r.
func (s *Share) pageOrigin(r *http.Request) (origin string, ok bool) {
	origins := r.Header["Origin"]
	if len(origins) != 1 {
		return "", false
	}
	if _, own := s.table.publicOrigin(origins[0]); !own {
		return "", false
	}
	ref, _ := cutReference(origins[0])
	public, _ := parseAuthority(ref.authority, httpsPort)
	return "https://" + public.String(), true
}

// requestedFields reads Access-Control-Request-Headers: a list of tokens.
func requestedFields(lines []string) (names []string, ok bool) {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			name := lower(strings.Trim(element, " \t"))
			switch {
			case name == "": // RFC 9110 section 5.6.1 ignores empty elements
			case !field.IsToken(name) || len(names) >= maxRequestedFields:
				return nil, false
			case !slices.Contains(names, name):
				names = append(names, name)
			}
		}
	}
	return names, true
}

// isForbiddenMethod reports whether no page can send method (WHATWG Fetch,
// section 2.2.1).
func isForbiddenMethod(method string) bool {
	switch lower(method) {
	case "connect", "trace", "track":
		return true
	}
	return false
}

// preflightReply allows what the preflight asks for. The gate gives it itself:
// browsers send no cookie with a preflight, and without the key no request
// reaches the project. The request that follows must bring the key.
func preflightReply(p preflight) *reply {
	answer := &reply{status: http.StatusNoContent, header: http.Header{
		"Access-Control-Allow-Origin":      {p.origin},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Allow-Methods":     {p.method},
		"Access-Control-Max-Age":           {seconds(preflightAge)},
		"Vary":                             {"Origin, Access-Control-Request-Method, Access-Control-Request-Headers"},
	}}
	if len(p.headers) > 0 {
		answer.header.Set("Access-Control-Allow-Headers", strings.Join(p.headers, ", "))
	}
	return answer
}
