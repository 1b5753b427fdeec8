package share

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"net/http"
	"net/netip"
	"strconv"
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
	// deviceScope is common to the device cookies of all shares with this password.
	deviceScope string
	attempts    *Attempts
}

func newGate(opts *Options, names *names) gate {
	g := gate{attempts: cmp.Or(opts.Attempts, NewAttempts())}
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
	g.deviceScope = fmt.Sprintf("devproxy device 1\x00%x", sha256.Sum256(g.key))
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

const (
	// hostCookie is the cookie of one host: browsers accept it from that host only,
	// so that no neighbour can set it (RFC 6265bis section 4.1.3.2).
	hostCookie = "__Host-devproxy"
	// zoneCookie is the cookie of all hosts of a zone.
	zoneCookie = "__Secure-devproxy"
	// cookieLife is how long a visitor stays signed in to a share that never ends: a
	// review takes days, not months.
	cookieLife = 7 * 24 * time.Hour
	// deviceCookie marks a browser in which the password was entered. It opens
	// nothing. Wrong passwords from such a browser are counted separately, so that
	// strangers cannot lock it out (OWASP, "Slow Down Online Guessing Attacks with
	// Device Cookies"). Browsers accept it from its host only.
	deviceCookie = "__Host-devproxy-device"
	// deviceLife is longer than cookieLife: the cookie is needed when that has expired.
	deviceLife = 90 * 24 * time.Hour
)

// cookie is the cookie that visitors with the gate's key get. Its value is when it
// expires, and a signature over that, the scope and the key.
type cookie struct {
	name   string
	domain string // empty for one host
	scope  string // common to all of a share's cookies, different for every other share
	key    []byte
	until  time.Time
}

func newCookie(opts *Options, key []byte, alone bool) cookie {
	c := cookie{name: zoneCookie, domain: lower(opts.Zone), key: opts.CookieKey, until: opts.Until}
	where := c.domain
	if alone {
		c.name, c.domain, where = hostCookie, "", lower(opts.Hosts[0].Public)
	}
	c.scope = fmt.Sprintf("devproxy gate 1\x00%s\x00%s\x00%x", c.name, where, sha256.Sum256(key))
	return c
}

// make returns a new cookie to set.
func (c *cookie) make(now time.Time) *http.Cookie {
	made, end := expiringCookie(c.name, now, cookieLife, c.until)
	made.Domain, made.Value = c.domain, end+"."+c.sign(end)
	return made
}

// expiringCookie returns a cookie without its value, and when it expires as the
// value contains it.
func expiringCookie(name string, now time.Time, life time.Duration, until time.Time) (made *http.Cookie, end string) {
	expires := now.Add(life)
	if !until.IsZero() && until.Before(expires) {
		expires = until
	}
	return &http.Cookie{
		Name: name, Path: "/", MaxAge: max(int(expires.Sub(now)/time.Second), 1),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}, strconv.FormatInt(expires.Unix(), 10)
}

func (c *cookie) sign(end string) string { return sign(c.key, c.scope+"\x00"+end) }

func sign(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// valid reports whether value was made for this share and has not expired.
func (c *cookie) valid(value string, now time.Time) bool {
	end, signature, _ := strings.Cut(value, ".")
	return isFuture(end, now) && hmac.Equal([]byte(signature), []byte(c.sign(end)))
}

// isFuture reports whether end, in seconds since 1970, is after now.
func isFuture(end string, now time.Time) bool {
	expires, err := strconv.ParseInt(end, 10, 64)
	return err == nil && now.Before(time.Unix(expires, 0))
}

// in reports whether h contains a valid cookie.
func (c *cookie) in(h http.Header, now time.Time) bool {
	for value := range cookieValues(h, c.name) {
		if c.valid(value, now) {
			return true
		}
	}
	return false
}

// cookieValues returns the values of all cookies with exactly this name, in
// every Cookie line. Pages of neighbours in the relay's domain can set cookies
// of the same name for a wider domain, any number of them, and browsers may
// send those first. Therefore all are checked: the limit on a request's head
// (64 KiB) allows about 2000 that need a signature compared, which takes a few
// milliseconds.
func cookieValues(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h["Cookie"] {
			for pair := range strings.SplitSeq(line, ";") {
				key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
				if key == name && !yield(value) {
					return
				}
			}
		}
	}
}

// markDevice returns a new device cookie for the public host. Its value is a name for the
// browser, when the cookie expires, and a signature over both, the host and the password.
// id is the browser's name; an empty one is replaced by a new name.
func (g *gate) markDevice(id, host string, now time.Time) *http.Cookie {
	if id == "" {
		id = rand.Text()
	}
	made, end := expiringCookie(deviceCookie, now, deviceLife, g.cookie.until)
	made.Value = id + "." + end + "." + g.signDevice(id, end, host)
	return made
}

func (g *gate) signDevice(id, end, host string) string {
	return sign(g.cookie.key, strings.Join([]string{g.deviceScope, lower(host), id, end}, "\x00"))
}

// device returns the name of the browser that sent h to the public host. It is empty
// without a valid device cookie.
func (g *gate) device(h http.Header, host string, now time.Time) (id string) {
	for value := range cookieValues(h, deviceCookie) {
		id, rest, _ := strings.Cut(value, ".")
		end, signature, _ := strings.Cut(rest, ".")
		if isFuture(end, now) && hmac.Equal([]byte(signature), []byte(g.signDevice(id, end, host))) {
			return id
		}
	}
	return ""
}
