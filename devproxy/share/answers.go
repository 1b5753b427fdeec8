package share

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// reply is what the share answers itself: a page for a person, its texts for a
// program, or the way elsewhere.
type reply struct {
	status int
	title  string
	lead   []string
	// hint takes the lead's place for a program; on a page it is not shown.
	hint   string
	note   string // small print; may name a command in backticks
	form   *form
	header http.Header
	// cookies are set by the reply.
	cookies []*http.Cookie
}

// form asks for the password.
type form struct {
	Action string
	To     string // where to go on to
	Wrong  bool   // the last one was
	// Onward is true when the answer to the form leads through other hosts.
	Onward bool
}

func plainReply(status int, title string, lead ...string) *reply {
	return &reply{status: status, title: title, lead: lead, header: http.Header{}}
}

func redirect(status int, location string) *reply {
	answer := plainReply(status, "The address is another.")
	answer.header.Set("Location", location)
	return answer
}

// unauthorized names a scheme that no browser asks people for by itself (RFC
// 9110 section 15.5.2 wants one).
func unauthorized(title string, lead ...string) *reply {
	answer := plainReply(http.StatusUnauthorized, title, lead...)
	answer.header.Set("WWW-Authenticate", `Bearer realm="share"`)
	return answer
}

func (p *reply) forPrograms(hint string) *reply {
	p.hint = hint
	return p
}

func over(until time.Time) *reply {
	answer := plainReply(http.StatusGone, "This link has ended.",
		fmt.Sprintf("It was open until %s. Ask whoever sent it for a new one.", until.UTC().Format("15:04 UTC, 2 January")))
	answer.note = "Yours? Run `devproxy share` in the project for a new link."
	return answer
}

func (s *Share) loginPage(to string) *reply {
	answer := unauthorized("This site asks for a password.", "Whoever sent you the link knows it.")
	answer.form = &form{Action: loginPath, To: localTarget(to), Onward: s.gate.together}
	return answer
}

func (s *Share) wrongPassword(to string) *reply {
	answer := s.loginPage(to)
	answer.form.Wrong = true
	answer.hint = "That is not the password."
	return answer
}

func tooMany(wait time.Duration) *reply {
	answer := plainReply(http.StatusTooManyRequests, "Too many tries.", "Try again in "+seconds(wait)+" s.")
	answer.header.Set("Retry-After", seconds(wait))
	return answer
}

// seconds is d in whole seconds, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
