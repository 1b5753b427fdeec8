package share

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/page"
)

// loginPath takes the password. It exists in this spelling alone.
const loginPath = plan.OwnPaths + "login"

const (
	// maxForm bounds the login form: the password, and an address to go to, which the
	// page has from a request line.
	maxForm = 16 << 10
	// maxTarget is the longest address to go to; a longer one is replaced by "/".
	maxTarget = 8 << 10
)

func (q *request) login() *reply {
	gate := &q.share.gate
	switch q.r.Method {
	case http.MethodGet, http.MethodHead:
		if gate.cookie.in(q.r.Header, time.Now()) {
			return redirect(http.StatusSeeOther, q.publicURL("/"))
		}
		return gate.loginPage("/")
	case http.MethodPost:
		return q.takePassword()
	}
	return plainReply(http.StatusMethodNotAllowed, "Send the form with POST.").with("Allow", "GET, HEAD, POST")
}

// takePassword sets the cookie for a visitor with the right password. It accepts the
// form of the share's own page only: another site could sign its visitors in with
// it, or guess from their addresses.
func (q *request) takePassword() *reply {
	if origin := q.r.Header["Origin"]; len(origin) != 1 || origin[0] != q.publicURL("") {
		return plainReply(http.StatusForbidden, "This form was sent by a page of another site.", "Open the link and enter the password there.")
	}
	form, ok := readForm(q.r)
	if !ok {
		return plainReply(http.StatusBadRequest, "This form cannot be read.", "Open the link and enter the password there.")
	}
	gate, next := &q.share.gate, localTarget(form.Get("to"))
	now, host := time.Now(), q.visitor.Host
	device := gate.device(q.r.Header, host, now)
	right, wait := q.try(device, form.Get("password"))
	switch {
	case wait > 0:
		return tooMany(wait)
	case !right:
		return gate.wrongPassword(next)
	}
	onward := redirect(http.StatusSeeOther, q.afterGate(q.publicURL(next)))
	return onward.setting(gate.cookie.make(now), gate.markDevice(device, host, now))
}

// try compares the password. A wrong one counts for the device if it has signed in
// before, otherwise for the visitor's address.
func (q *request) try(device, password string) (right bool, wait time.Duration) {
	gate := &q.share.gate
	compare := func() bool { return gate.fits(password) }
	if device != "" {
		return gate.attempts.TryDevice(device, compare)
	}
	return gate.attempts.Try(q.visitor.Addr.Addr(), compare)
}

func readForm(r *http.Request) (url.Values, bool) {
	form := *r // ParseForm stores its results in it
	form.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	err := form.ParseForm()
	return form.PostForm, err == nil
}

// localTarget returns where a visitor goes after signing in: a path of this site,
// whatever the form contains.
func localTarget(text string) string {
	if len(text) > maxTarget || !strings.HasPrefix(text, "/") || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "/"
	}
	return text
}

func (g *gate) loginPage(to string) *reply {
	answer := unauthorized("This site needs a password.", "The person who sent you the link knows it.")
	answer.Form = &page.Form{Action: loginPath, To: localTarget(to), Onward: g.together}
	return answer
}

func (g *gate) wrongPassword(to string) *reply {
	answer := g.loginPage(to)
	answer.Form.Wrong = true
	answer.Plain = "The password is wrong."
	return answer
}

func tooMany(wait time.Duration) *reply {
	return plainReply(http.StatusTooManyRequests, "Too many attempts.", "Try again in "+seconds(wait)+" s.").
		with("Retry-After", seconds(wait))
}
