package share

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/access"
)

// query is a visitor's request while it is decided about.
type query struct {
	r       *http.Request
	visitor Visitor
	path    string // percent-encoded, as it came
	local   authority
	// keyed is true for a visitor who has shown the gate's key, now or before.
	keyed bool
}

// Admit decides whether the visitor's request r gets in. handled means that it
// has been answered on w. Otherwise in is r as the project sees it: Host,
// Origin and Referer local, RemoteAddr the visitor's as field.Machine shows it, and
// without the fields that package field refuses from visitors, the gate's cookie
// and the secret. r is not changed.
func (s *Share) Admit(w http.ResponseWriter, r *http.Request, v Visitor) (in *http.Request, handled bool) {
	s = s.seenBy(v)
	q := &query{r: r, visitor: v, path: rawPath(r)}
	if refusal := s.decide(q); refusal != nil {
		refusal.write(w, r)
		return nil, true
	}
	return s.inward(q), false
}

// decide answers whoever does not get in; nil lets in.
func (s *Share) decide(q *query) *reply {
	if s.ended(time.Now()) {
		return over(s.opts.Until)
	}
	known := false
	if q.local, known = s.meant(q); !known {
		return plainReply(http.StatusMisdirectedRequest, "This name is not shared here.")
	}
	if !s.allows(q.visitor) {
		return plainReply(http.StatusForbidden, "This site is not open to everybody.", "Your network is not among those that it is open to.")
	}
	if q.visitor.Scheme == "http" {
		return redirect(http.StatusTemporaryRedirect, q.publicURL(target(q.r)))
	}
	if q.path == loginPath && s.gate.password {
		return s.login(q)
	}
	if q.path == enterPath && s.gate.together {
		return s.enter(q)
	}
	if asked, ok := stateOf(q); ok {
		return s.askKey(q, asked)
	}
	if !s.Exists(q.path) || s.HiddenTarget(target(q.r)) {
		return plainReply(http.StatusNotFound, "There is no such page here.")
	}
	return s.askKey(q, q.path)
}

// seenBy is the share with the port that v came by in its public names: a relay
// may be reached by another port than the one in its links.
func (s *Share) seenBy(v Visitor) *Share {
	public, ok := parseAuthority(v.Host, httpsPort)
	if !ok || public.port == s.table.port || v.Scheme == "http" {
		return s
	}
	seen := *s
	seen.table = s.table.seenAt(public.port)
	return &seen
}

func (s *Share) ended(now time.Time) bool {
	return !s.opts.Until.IsZero() && !now.Before(s.opts.Until)
}

// meant is the local host that a request is for. The relay's word counts; a
// request that says something else was made to be read in two ways.
func (s *Share) meant(q *query) (authority, bool) {
	public, _ := parseAuthority(q.visitor.Host, httpsPort)
	if said, _ := parseAuthority(q.r.Host, httpsPort); said != public {
		return authority{}, false
	}
	return s.table.local(public)
}

// Meant is the local host, with its port unless that is 443, that a visitor's
// request is for; empty for a name that is not shared.
func (s *Share) Meant(r *http.Request, v Visitor) string {
	local, ok := s.seenBy(v).meant(&query{r: r, visitor: v})
	if !ok {
		return ""
	}
	return local.String()
}

// allows checks the visitor's address. Of one that is not told nobody knows
// whether it is allowed. A list without addresses allows nobody.
func (s *Share) allows(v Visitor) bool {
	return s.allow == nil || len(s.allow) > 0 && access.Allowed(v.Addr.Addr(), s.allow, nil)
}

// stateOf is the path whose state a waiting page asks for: who may see the
// path may see its state.
func stateOf(q *query) (path string, ok bool) {
	if q.path != StatePath || q.r.Method != http.MethodGet && q.r.Method != http.MethodHead {
		return "", false
	}
	return q.r.URL.Query().Get("path"), true
}

// publicURL is target on the host that the visitor asked for. It is absolute
// because a target may begin with "//".
func (q *query) publicURL(target string) string {
	return "https://" + q.visitor.Host + target
}

// rawPath is the path of r as it came. URL.Path has lost the difference
// between "/" and "%2F".
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(target(r), "?")
	return path
}

// target is path and query as they came, of the absolute form too (RFC 9112
// section 3.2.2).
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	u := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	return u.RequestURI()
}
