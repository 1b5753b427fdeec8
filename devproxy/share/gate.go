package share

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
	"github.com/devproxy/devproxy/tunnel/page"
)

// gate requires a key of visitors: the secret of the link, or a password. The zero
// gate is open.
type gate struct {
	key      []byte // what opens it; nil for no gate
	password bool   // key is a password: people type it, and others guess it
	// together reports that a visitor that passes the gate at one host passes it at
	// all hosts; see enterPath.
	together bool
	cookie   cookie
	device   device
	attempts *Attempts
}

func newGate(opts *Options, names *names) gate {
	g := gate{attempts: opts.Attempts}
	if g.attempts == nil {
		g.attempts = NewAttempts()
	}
	switch {
	case newPrefixes(opts.Public).all():
		return gate{}
	case opts.Password != "":
		g.key, g.password = []byte(opts.Password), true
	case opts.Named:
		g.key = opts.Secret
	default:
		return gate{}
	}
	g.cookie = newCookie(opts, g.key, names.alone)
	g.device = newDevice(opts, g.key)
	g.together = opts.Together && names.alone && len(names.hosts) > 1
	return g
}

func (g *gate) open() bool { return g.key == nil }

func (g *gate) fits(candidate string) bool {
	return !g.open() && sameSecret([]byte(candidate), g.key)
}

// bearer returns the token of an Authorization field (RFC 6750 section 2.1).
func bearer(h http.Header) (token string, ok bool) {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	return strings.TrimLeft(token, " "), strings.EqualFold(scheme, "Bearer")
}

// bears reports whether h contains the gate's key. It counts no attempts.
func (g *gate) bears(h http.Header) bool {
	token, ok := bearer(h)
	return ok && g.fits(token)
}

// tries is bears for a visitor that needs the key: it counts attempts at a password.
func (g *gate) tries(h http.Header, addr netip.Addr) (right bool, wait time.Duration) {
	token, ok := bearer(h)
	switch {
	case !ok:
		return false, 0
	case g.password:
		return g.attempts.Try(addr, func() bool { return g.fits(token) })
	}
	return g.fits(token), 0
}

// askKey returns the answer to a visitor that may not see path without the gate's
// key, and has not shown it; nil lets the request in.
func (q *request) askKey(path string) *reply {
	s := q.share
	rest, hasSecret := s.secret.cut(q.r.URL.RawQuery)
	if hasSecret && opensLink(q.r) {
		return q.exchangeSecret(rest)
	}
	if s.gate.open() || s.public.match(path) {
		return nil
	}
	if field.Upgrade(q.r) != "" && q.fromOtherSite() {
		return plainReply(http.StatusForbidden, "A page of another site opened this connection.")
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
	if p, ok := q.ownPreflight(); ok {
		return p.reply()
	}
	if elsewhere := q.askFirstHost(); elsewhere != nil {
		return elsewhere
	}
	return q.refuse()
}

// exchangeSecret removes the secret from the address, where it would be copied,
// logged and sent on, and sets a cookie in its place.
func (q *request) exchangeSecret(rest string) *reply {
	target := q.path
	if rest != "" {
		target += "?" + rest
	}
	gate := &q.share.gate
	if gate.open() || gate.password {
		return redirect(http.StatusSeeOther, q.publicURL(target))
	}
	return redirect(http.StatusSeeOther, q.afterGate(q.publicURL(target))).setting(gate.cookie.make(time.Now()))
}

// refuse asks for the key: a person with a page, a program with a line of text.
func (q *request) refuse() *reply {
	gate := &q.share.gate
	switch {
	case !gate.password:
		return unauthorized("This link is not complete.", "The secret at its end is missing or wrong. Ask the person who sent it for the whole link.").
			forPrograms("Send the secret of the link, the text after ?" + secretName + "=, as: Authorization: Bearer SECRET")
	case page.Navigates(q.r) && isRead(q.r):
		return gate.loginPage(target(q.r))
	case page.Navigates(q.r):
		return gate.loginPage("/") // the form that was sent is not sent again
	}
	return unauthorized("This site needs a password.").
		forPrograms("Open it in a browser, or send the password as: Authorization: Bearer PASSWORD")
}

// opensLink reports whether a browser opens an address, or a program such as curl
// does: no page can make an image or a script do it.
func opensLink(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return isRead(r) && (mode == "" || mode == "navigate")
}

// fromOtherSite reports whether a page outside the share sent the request. A request
// without Origin comes from no page.
func (q *request) fromOtherSite() bool {
	_, own := q.pageOrigin()
	return !own && len(q.r.Header["Origin"]) > 0
}
