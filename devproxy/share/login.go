package share

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// loginPath takes the password. It exists in this spelling alone.
const loginPath = plan.OwnPaths + "login"

const (
	// maxForm bounds what is read of a login: the password and an address to go
	// on to, which the page has from a request line.
	maxForm = 16 << 10
	// maxTarget is the longest address to go on to; a longer one starts at "/".
	maxTarget = 8 << 10
)

func (s *Share) login(q *query) *reply {
	switch q.r.Method {
	case http.MethodGet, http.MethodHead:
		if s.gate.cookie.in(q.r.Header, time.Now()) {
			return redirect(http.StatusSeeOther, q.publicURL("/"))
		}
		return s.loginPage("/")
	case http.MethodPost:
		return s.takePassword(q)
	}
	answer := plainReply(http.StatusMethodNotAllowed, "This page takes a form.")
	answer.header.Set("Allow", "GET, HEAD, POST")
	return answer
}

// takePassword gives the cookie to whoever knows the password. The form comes
// from our own page: another site that sent it would log its visitors in, or
// guess from their addresses.
func (s *Share) takePassword(q *query) *reply {
	if origin := q.r.Header["Origin"]; len(origin) != 1 || origin[0] != q.publicURL("") {
		return plainReply(http.StatusForbidden, "This form was sent by a page of another site.", "Open the link and write the password there.")
	}
	form, ok := readForm(q.r)
	if !ok {
		return plainReply(http.StatusBadRequest, "This form cannot be read.", "Open the link and write the password there.")
	}
	next := localTarget(form.Get("to"))
	now, host := time.Now(), q.visitor.Host
	device := s.gate.device.in(q.r.Header, host, now)
	right, wait := s.guess(q, device, form.Get("password"))
	switch {
	case wait > 0:
		return tooMany(wait)
	case !right:
		return s.wrongPassword(next)
	}
	answer := redirect(http.StatusSeeOther, s.admitted(q, q.publicURL(next)))
	answer.cookies = []*http.Cookie{s.gate.cookie.make(now), s.gate.device.make(device, host, now)}
	return answer
}

// guess compares the password, and counts a wrong one to the device that has
// logged in before, or else to the visitor's address.
func (s *Share) guess(q *query, device, password string) (right bool, wait time.Duration) {
	compare := func() bool { return s.gate.fits(password) }
	if device != "" {
		return s.gate.attempts.TryDevice(device, compare)
	}
	return s.gate.attempts.Try(q.visitor.Addr.Addr(), compare)
}

func readForm(r *http.Request) (url.Values, bool) {
	form := *r // ParseForm leaves its results in it
	form.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	err := form.ParseForm()
	return form.PostForm, err == nil
}

// localTarget is where a visitor goes on to: a path of this site, whatever the
// form says.
func localTarget(text string) string {
	if len(text) > maxTarget || !strings.HasPrefix(text, "/") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "/"
	}
	return text
}
