package share

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/page"
)

// reply is a response that the share makes itself: a page, a redirect, or the answer to
// a preflight.
type reply struct {
	page.Page
	cookies []*http.Cookie
}

func plainReply(status int, title string, lead ...string) *reply {
	return &reply{Page: page.Page{Status: status, Title: title, Lead: strings.Join(lead, " "), Public: true, Header: http.Header{}}}
}

func noSuchPage() *reply { return plainReply(http.StatusNotFound, "This page does not exist.") }

func redirect(status int, location string) *reply {
	return plainReply(status, "This page is at another address.").with("Location", location)
}

// unauthorized names a scheme for which browsers show no dialog (RFC 9110 section
// 15.5.2 requires one).
func unauthorized(title string, lead ...string) *reply {
	return plainReply(http.StatusUnauthorized, title, lead...).with("WWW-Authenticate", `Bearer realm="share"`)
}

func (p *reply) with(name, value string) *reply {
	p.Header.Set(name, value)
	return p
}

func (p *reply) setting(cookies ...*http.Cookie) *reply {
	p.cookies = cookies
	return p
}

func (p *reply) forPrograms(hint string) *reply {
	p.Plain = hint
	return p
}

func over(until time.Time) *reply {
	answer := plainReply(http.StatusGone, "This link has ended.",
		fmt.Sprintf("It was open until %s. Ask the person who sent it for a new one.", until.UTC().Format("15:04 UTC, 2 January")))
	answer.Hints = []string{"Yours? Run `devproxy share` in the project for a new link."}
	return answer
}

// seconds returns d in whole seconds, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// write sends the reply to r, without a body for a redirect or a preflight.
func (p *reply) write(w http.ResponseWriter, r *http.Request) {
	for _, cookie := range p.cookies {
		http.SetCookie(w, cookie)
	}
	// Not no-referrer: with that, browsers send "Origin: null" with the form.
	p.Header.Set("Referrer-Policy", "same-origin")
	if p.Status != http.StatusNoContent && p.Header.Get("Location") == "" {
		p.Header.Set("Vary", "Accept, Cookie, Sec-Fetch-Dest, Sec-Fetch-Mode")
		_ = p.Write(w, r) // fails only when the visitor has disconnected
		return
	}
	p.Header.Set("Cache-Control", "no-store")
	p.Header.Set("X-Robots-Tag", "noindex")
	if p.Status != http.StatusNoContent {
		p.Header.Set("Content-Length", "0")
	}
	maps.Copy(w.Header(), p.Header)
	w.WriteHeader(p.Status)
}
