package share

import (
	"net/http"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
)

// askKey answers a visitor who may not see path without the gate's key and has
// not shown it; nil lets in.
func (s *Share) askKey(q *query, path string) *reply {
	rest, hasSecret := s.cutSecret(q.r.URL.RawQuery)
	if hasSecret && opensLink(q.r) {
		return s.exchange(q, rest)
	}
	if s.gate.open() || s.public.match(path) {
		return nil
	}
	if field.Upgrade(q.r) != "" && s.fromOtherSite(q.r) {
		return plainReply(http.StatusForbidden, "This connection was opened by a page of another site.")
	}
	if s.gate.cookie.in(q.r.Header, time.Now()) {
		q.keyed = true
		return nil
	}
	right, wait := s.gate.tries(q.r.Header, q.visitor.Addr.Addr())
	switch {
	case right:
		q.keyed = true
		return nil
	case wait > 0:
		return tooMany(wait)
	}
	if p, ok := s.ownPreflight(q.r); ok {
		return preflightReply(p)
	}
	if elsewhere := s.askFirst(q); elsewhere != nil {
		return elsewhere
	}
	return s.refuse(q)
}

// exchange takes the secret out of the address, where it would be copied,
// logged and sent on, and puts a cookie in its place.
func (s *Share) exchange(q *query, rest string) *reply {
	target := q.path
	if rest != "" {
		target += "?" + rest
	}
	if s.gate.open() || s.gate.password {
		return redirect(http.StatusSeeOther, q.publicURL(target))
	}
	answer := redirect(http.StatusSeeOther, s.admitted(q, q.publicURL(target)))
	answer.cookies = []*http.Cookie{s.gate.cookie.make(time.Now())}
	return answer
}

// refuse asks for the key: a person on a page, a program in a line of text.
func (s *Share) refuse(q *query) *reply {
	switch {
	case !s.gate.password:
		return unauthorized("This link is not complete.", "It ends in a secret that is missing here, or wrong. Ask whoever sent it for the whole link.").
			forPrograms("Send the secret of the link, what stands behind ?" + secretName + "= in it, as: Authorization: Bearer SECRET")
	case navigates(q.r) && isRead(q.r):
		return s.loginPage(target(q.r))
	case navigates(q.r):
		return s.loginPage("/") // a form that was sent is not sent again
	}
	return unauthorized("This site asks for a password.").
		forPrograms("Open it in a browser, or send the password as: Authorization: Bearer PASSWORD")
}

// opensLink reports whether a browser, or somebody with curl, opens an address:
// no page can have an image or a script do it.
func opensLink(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return isRead(r) && (mode == "" || mode == "navigate")
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// fromOtherSite reports whether a page outside the share made r. A request
// without Origin was made by no page.
func (s *Share) fromOtherSite(r *http.Request) bool {
	_, own := s.pageOrigin(r)
	return !own && len(r.Header["Origin"]) > 0
}
