package share

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// hostCookie is for one host: browsers take it from that host alone, so
	// that no neighbour can set it (RFC 6265bis section 4.1.3.2).
	hostCookie = "__Host-devproxy"
	// zoneCookie is for all hosts of a zone.
	zoneCookie = "__Secure-devproxy"
	// cookieLife is how long a visitor is not asked again in a share that never
	// ends: a review takes days, not months.
	cookieLife = 7 * 24 * time.Hour
)

// cookie is what the gate gives to those who had its key. It says until when it
// lets in, and is signed together with where and for which key.
type cookie struct {
	name   string
	domain string // empty for one host
	scope  string // what all of a share's cookies have in common, and no other share's
	key    []byte
	until  time.Time
}

func newCookie(opts *Options, key []byte, alone bool) cookie {
	c := cookie{name: zoneCookie, domain: lower(opts.Zone), key: opts.CookieKey, until: opts.Until}
	if alone {
		c.name, c.domain = hostCookie, ""
	}
	where := c.domain
	if alone {
		where = lower(opts.Hosts[0].Public)
	}
	c.scope = fmt.Sprintf("devproxy gate 1\x00%s\x00%s\x00%x", c.name, where, sha256.Sum256(key))
	return c
}

// make is a fresh cookie as it is set.
func (c *cookie) make(now time.Time) *http.Cookie {
	expires := now.Add(cookieLife)
	if !c.until.IsZero() && c.until.Before(expires) {
		expires = c.until
	}
	end := strconv.FormatInt(expires.Unix(), 10)
	return &http.Cookie{
		Name: c.name, Value: end + "." + c.sign(end), Path: "/", Domain: c.domain,
		MaxAge: max(int(expires.Sub(now)/time.Second), 1),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
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

// in reports whether h brings a valid cookie.
func (c *cookie) in(h http.Header, now time.Time) bool {
	for value := range cookieValues(h, c.name) {
		if c.valid(value, now) {
			return true
		}
	}
	return false
}

// cookieValues are the values of all cookies with exactly this name, in every
// Cookie line. Pages of neighbours in the relay's domain can set cookies of the
// same name for a wider domain, in any number and before the gate's. So all are
// looked at: the limit on a request's head (64 KiB) leaves room for some 2000
// that need a signature compared, which takes a few milliseconds.
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

// inwardCookies are Cookie lines without the gate's, whichever share's they are,
// and without those that the share hides.
func (s *Share) inwardCookies(lines []string) []string {
	var kept []string
	for _, line := range lines {
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if name = strings.TrimSpace(name); !isGateCookie(name) && !s.guard.cookie(name) {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.TrimSpace(strings.Join(pairs, ";")))
		}
	}
	return kept
}

func isGateCookie(name string) bool {
	return strings.EqualFold(name, hostCookie) || strings.EqualFold(name, zoneCookie) || strings.EqualFold(name, deviceCookie)
}

// foreignGateCookie reports whether a Set-Cookie line of the project takes the
// name of a cookie of the gate without being one. The gate sets its device
// cookie in replies of its own alone.
func (s *Share) foreignGateCookie(line string) bool {
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	if name = strings.TrimSpace(name); !isGateCookie(name) {
		return false
	}
	return name != s.gate.cookie.name || !s.gate.cookie.valid(strings.TrimSpace(value), time.Now())
}
