package share

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the two files of a page
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/page"
)

var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
)

// layout is parsed once; after that it is only executed.
var layout = template.Must(template.New("page").Parse(document))

// pagePolicy allows the one style, the icon in the head, and sending the form to the
// page's own host. No other site may frame a page that asks for a password.
var pagePolicy = strings.Join([]string{
	"default-src 'none'",
	"style-src '" + hash(inline(style)) + "'",
	"img-src data:",
	"base-uri 'none'",
	"form-action 'self'",
	"frame-ancestors 'none'",
}, "; ")

// hash returns a CSP hash source (CSP level 3 section 2.3.1).
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// inline returns an embedded file as a browser hashes it: HTML parsers turn CRLF,
// which a checkout on Windows may contain, into LF before they hash.
func inline(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// reply is a response that the share makes itself: a page for a person, its texts for
// a program, or a redirect.
type reply struct {
	status int
	title  string
	lead   []string
	// hint replaces the lead for a program; it is not on the page.
	hint    string
	note    string // small print; may contain a command in backticks
	form    *form
	header  http.Header
	cookies []*http.Cookie
}

// form asks for the password.
type form struct {
	Action string
	To     string // where to go afterwards
	Wrong  bool   // the last password was
	// Onward reports that the answer to the form leads through other hosts.
	Onward bool
}

func plainReply(status int, title string, lead ...string) *reply {
	return &reply{status: status, title: title, lead: lead, header: http.Header{}}
}

func noSuchPage() *reply { return plainReply(http.StatusNotFound, "This page does not exist.") }

func redirect(status int, location string) *reply {
	answer := plainReply(status, "This page is at another address.")
	answer.header.Set("Location", location)
	return answer
}

// unauthorized names a scheme for which browsers show no dialog (RFC 9110 section
// 15.5.2 requires one).
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
		fmt.Sprintf("It was open until %s. Ask the person who sent it for a new one.", until.UTC().Format("15:04 UTC, 2 January")))
	answer.note = "Yours? Run `devproxy share` in the project for a new link."
	return answer
}

// seconds returns d in whole seconds, rounded up.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// policy returns the page's Content-Security-Policy. Browsers apply form-action to
// the redirects after a form too.
func (p *reply) policy() string {
	if p.form != nil && p.form.Onward {
		return strings.Replace(pagePolicy, "form-action 'self'", "form-action https:", 1)
	}
	return pagePolicy
}

// navigates reports whether the response to r is shown to a person; a browser also
// says that it navigates (W3C Fetch Metadata).
func navigates(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return (mode == "" || mode == "navigate") && page.Navigates(r)
}

// view is the data of page.html.
type view struct {
	Status     int
	StatusText string
	Title      string
	Lead       []string
	Note       []string // pieces; every second one is code
	Form       *form
	Style      template.CSS
}

// write sends the reply to r: as HTML if a person navigates, as text otherwise,
// without a body for HEAD and for a redirect.
func (p *reply) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, values := range p.header {
		header[name] = values
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Robots-Tag", "noindex")
	// Not no-referrer: with that, browsers send "Origin: null" with the form.
	header.Set("Referrer-Policy", "same-origin")
	for _, cookie := range p.cookies {
		http.SetCookie(w, cookie)
	}
	if header.Get("Location") != "" {
		header.Set("Content-Length", "0")
	}
	if p.status == http.StatusNoContent || header.Get("Location") != "" {
		w.WriteHeader(p.status)
		return
	}
	body, contentType := p.text(), "text/plain; charset=utf-8"
	if navigates(r) {
		body, contentType = p.html(), "text/html; charset=utf-8"
		header.Set("Content-Security-Policy", p.policy())
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept, Cookie, Sec-Fetch-Dest, Sec-Fetch-Mode")
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // fails only when the visitor is gone
	}
}

func (p *reply) text() []byte {
	lines := []string{p.title}
	if p.hint != "" {
		lines = append(lines, p.hint)
	} else {
		lines = append(lines, p.lead...)
	}
	if p.note != "" {
		lines = append(lines, p.note)
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}

func (p *reply) html() []byte {
	v := view{
		Status: p.status, StatusText: http.StatusText(p.status), Title: p.title, Lead: p.lead,
		Form: p.form, Style: template.CSS(inline(style)),
	}
	if p.note != "" {
		v.Note = strings.Split(p.note, "`")
	}
	var b bytes.Buffer
	if err := layout.Execute(&b, v); err != nil {
		panic(err) // cannot fail: the buffer grows, and the fields exist
	}
	return b.Bytes()
}
