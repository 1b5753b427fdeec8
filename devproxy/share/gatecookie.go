package share

import (
	"crypto/hmac"
	"crypto/rand"
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

// device makes and reads device cookies. The value is a name for the browser, when
// the cookie expires, and a signature over both, the host and the password.
type device struct {
	scope string
	key   []byte
	until time.Time
}

func newDevice(opts *Options, password []byte) device {
	return device{
		scope: fmt.Sprintf("devproxy device 1\x00%x", sha256.Sum256(password)),
		key:   opts.CookieKey, until: opts.Until,
	}
}

// make returns a new cookie for the public host. id is the browser's name; an empty
// one is replaced by a new name.
func (d *device) make(id, host string, now time.Time) *http.Cookie {
	if id == "" {
		id = rand.Text()
	}
	made, end := expiringCookie(deviceCookie, now, deviceLife, d.until)
	made.Value = id + "." + end + "." + d.sign(id, end, host)
	return made
}

func (d *device) sign(id, end, host string) string {
	return sign(d.key, strings.Join([]string{d.scope, lower(host), id, end}, "\x00"))
}

// in returns the name of the browser that sent h to the public host. It is empty
// without a valid device cookie.
func (d *device) in(h http.Header, host string, now time.Time) (id string) {
	for value := range cookieValues(h, deviceCookie) {
		id, rest, _ := strings.Cut(value, ".")
		end, signature, _ := strings.Cut(rest, ".")
		if isFuture(end, now) && hmac.Equal([]byte(signature), []byte(d.sign(id, end, host))) {
			return id
		}
	}
	return ""
}
