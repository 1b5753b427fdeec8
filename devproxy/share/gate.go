package share

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// gate asks visitors of a share for its key: the secret of the link, or a
// password. The zero gate is open.
type gate struct {
	key      []byte // what opens it; nil for no gate
	password bool   // key is a password: people type it, and guess at it
	// together is true when a visitor who passes the gate at one host passes it at
	// all hosts; see enter.
	together bool
	cookie   cookie
	device   device
	attempts *Attempts
}

func newGate(opts *Options, alone bool) gate {
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
	g.cookie = newCookie(opts, g.key, alone)
	g.device = newDevice(opts, g.key)
	return g
}

func (g *gate) open() bool { return g.key == nil }

// fits compares without telling by time how much of candidate is right.
func (g *gate) fits(candidate string) bool {
	have, want := sha256.Sum256([]byte(candidate)), sha256.Sum256(g.key)
	return !g.open() && subtle.ConstantTimeCompare(have[:], want[:]) == 1
}

// bearer is the token of an Authorization field (RFC 6750 section 2.1).
func bearer(h http.Header) (token string, ok bool) {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	return strings.TrimLeft(token, " "), strings.EqualFold(scheme, "Bearer")
}

// bears reports whether the gate's key is in h. It counts no guesses.
func (g *gate) bears(h http.Header) bool {
	token, ok := bearer(h)
	return ok && g.fits(token)
}

// tries is bears for somebody who wants in: guesses at a password are counted.
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
