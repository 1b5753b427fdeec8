package share

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// deviceCookie is the name of the cookie that marks a browser in which
	// somebody has entered the password. It opens nothing. Wrong guesses of such
	// a browser are counted apart from those of strangers, so that strangers
	// cannot lock it out (OWASP, "Slow Down Online Guessing Attacks with Device
	// Cookies"). Browsers take it from its host alone.
	deviceCookie = "__Host-devproxy-device"
	// deviceLife is longer than cookieLife: it counts when that has expired.
	deviceLife = 90 * 24 * time.Hour
)

// device makes and reads device cookies: a name for the browser, when the cookie
// expires, and a signature over both, the host and the password.
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

// make returns a fresh cookie for the public host. id is the name that the
// browser has; an empty one is given a new name.
func (d *device) make(id, host string, now time.Time) *http.Cookie {
	if id == "" {
		id = rand.Text()
	}
	expires := now.Add(deviceLife)
	if !d.until.IsZero() && d.until.Before(expires) {
		expires = d.until
	}
	end := strconv.FormatInt(expires.Unix(), 10)
	return &http.Cookie{
		Name: deviceCookie, Value: id + "." + end + "." + d.sign(id, end, host), Path: "/",
		MaxAge: max(int(expires.Sub(now)/time.Second), 1),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

func (d *device) sign(id, end, host string) string {
	return sign(d.key, strings.Join([]string{d.scope, lower(host), id, end}, "\x00"))
}

// in is the name of the browser that sent h to the public host; empty for one
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
