package share

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/urlfield"
	"github.com/devproxy/devproxy/tunnel/field"
)

// request is a visitor's request while the share decides about it.
type request struct {
	share   *Share // with the names as the visitor sees them
	r       *http.Request
	visitor Visitor
	path    string // percent-encoded, as it came
	local   authority
	// keyed reports that the visitor has shown the gate's key, now or before.
	keyed bool
}

// Admit decides whether the visitor's request r gets in. If handled is true, it has
// been answered on w. Otherwise in is r as the project sees it: Host, Origin and
// Referer local, RemoteAddr the visitor's as field.Machine shows it, and without the
// fields that package field refuses from visitors, the gate's cookie and the secret.
// r is not changed.
func (s *Share) Admit(w http.ResponseWriter, r *http.Request, v Visitor) (in *http.Request, handled bool) {
	q := &request{share: s.seenBy(v), r: r, visitor: v, path: rawPath(r)}
	if refusal := q.decide(); refusal != nil {
		refusal.write(w, r)
		return nil, true
	}
	return q.inward(), false
}

// Meant returns the local host of a visitor's request, with its port unless that is
// 443. It is empty for a name that is not shared.
func (s *Share) Meant(r *http.Request, v Visitor) string {
	q := &request{share: s.seenBy(v), r: r, visitor: v}
	local, ok := q.meant()
	if !ok {
		return ""
	}
	return local.String()
}

// decide returns the answer to a request that does not get in; nil lets it in.
func (q *request) decide() *reply {
	s := q.share
	if until := s.opts.Until; !until.IsZero() && !time.Now().Before(until) {
		return over(until)
	}
	known := false
	if q.local, known = q.meant(); !known {
		return plainReply(http.StatusMisdirectedRequest, "This name is not shared here.")
	}
	if !q.allowed() {
		return plainReply(http.StatusForbidden, "Access from your network is not allowed.", "This site is open to some networks only.")
	}
	if q.visitor.Scheme == "http" {
		return redirect(http.StatusTemporaryRedirect, q.publicURL(target(q.r)))
	}
	if q.path == loginPath && s.gate.password {
		return q.login()
	}
	if q.path == enterPath && s.gate.together {
		return q.enter()
	}
	if path, ok := q.stateOf(); ok {
		return q.askKey(path)
	}
	if _, hidden := s.Hides(target(q.r)); hidden || !s.Exists(q.path) {
		return noSuchPage()
	}
	return q.askKey(q.path)
}

// meant returns the local host that the request is for. The provider's host counts;
// a request with another Host was made to be read in two ways.
func (q *request) meant() (authority, bool) {
	public := q.publicHost()
	if host, _ := parseAuthority(q.r.Host, httpsPort); host != public {
		return authority{}, false
	}
	return q.share.names.local(public)
}

// publicHost returns the public authority that the visitor requested.
func (q *request) publicHost() authority {
	public, _ := parseAuthority(q.visitor.Host, httpsPort)
	return public
}

// allowed checks the visitor's address. An unknown address is in no list. A list
// without addresses allows no one.
func (q *request) allowed() bool {
	allow := q.share.opts.Allow
	return allow == nil || len(allow) > 0 && access.Allowed(q.visitor.Addr.Addr(), allow, nil)
}

// stateOf returns the path whose state a waiting page requests. Visitors that may see
// the path may see its state.
func (q *request) stateOf() (path string, ok bool) {
	if q.path != StatePath || !isRead(q.r) {
		return "", false
	}
	return q.r.URL.Query().Get("path"), true
}

// publicURL returns the URL of target on the host that the visitor requested. It is
// absolute because a target may begin with "//".
func (q *request) publicURL(target string) string {
	return "https://" + q.visitor.Host + target
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// rawPath returns the path of r as it came. In URL.Path, "/" and "%2F" are the same.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(target(r), "?")
	return path
}

// target returns path and query as they came, also from the absolute form (RFC 9112
// section 3.2.2).
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	u := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	return u.RequestURI()
}

// inward returns the request as the project sees it. The original stays
// unchanged.
func (q *request) inward() *http.Request {
	s := q.share
	in := q.r.WithContext(q.r.Context())
	in.Header = q.r.Header.Clone()
	in.Host = q.local.String()
	in.RemoteAddr = netip.AddrPortFrom(s.machine.Shown(q.visitor.Addr.Addr()), q.visitor.Addr.Port()).String()
	q.inwardTarget(in)
	for name := range in.Header {
		// The forwarder reads and drops Connection and the like.
		if !field.Allowed(name, field.Visitor) && !field.IsHopByHop(name) {
			delete(in.Header, name)
		}
	}
	q.dropKeys(in.Header)
	s.secret.hideIn(in.Header)
	s.names.inwardOrigins(in.Header)
	return in
}

// PublicRequest returns in, which Admit has made of asked, with the public names: in Host,
// in Origin, Referer and the like, and with the query as it came, but for the secret. in
// is not changed.
func (s *Share) PublicRequest(in, asked *http.Request, v Visitor) *http.Request {
	n := &s.seenBy(v).names
	r := in.WithContext(in.Context())
	r.Header, r.Host = in.Header.Clone(), v.Host
	urlfield.Request(r.Header, n.publicReference, n.publicReference)
	target := *in.URL
	target.RawQuery = s.secret.without(asked.URL.RawQuery)
	r.URL = &target
	return r
}

// inwardTarget makes the target origin-form (RFC 9112 section 3.2.1), since in.Host
// has the host, removes the link's secret, and makes URLs in the query local
// (redirect_uri=…).
func (q *request) inwardTarget(in *http.Request) {
	target := *q.r.URL
	target.Scheme, target.Host, target.User = "", "", nil
	target.RawQuery = q.share.names.inwardTexts().String(q.share.secret.without(target.RawQuery))
	in.URL = &target
	in.RequestURI = q.path
	if target.RawQuery != "" || target.ForceQuery {
		in.RequestURI += "?" + target.RawQuery
	}
}

// dropKeys removes what opens the gate: it is not for the project. On a public path,
// a visitor that has not shown the key must not learn from the project's answer
// whether a password is right. Cookies that the share hides are removed too.
func (q *request) dropKeys(h http.Header) {
	gate := &q.share.gate
	if (q.keyed || !gate.password) && gate.bears(h) {
		delete(h, "Authorization")
	}
	replace(h, "Cookie", q.share.inwardCookies(h["Cookie"]))
}

// inwardOrigins makes Origin, Referer and the like local if they are of this share.
// A project must see other origins as they are.
func (n *names) inwardOrigins(h http.Header) {
	origin := func(text string) string {
		if local, ok := n.publicOrigin(text); ok {
			return local
		}
		return text
	}
	urlfield.Request(h, origin, func(text string) string {
		local, _ := n.localReference(text)
		path, query, found := strings.Cut(local, "?")
		if !found || local == text {
			return local
		}
		return path + "?" + n.inwardTexts().String(query)
	})
}
