// Package page renders the responses that devproxy and the relay make themselves:
// the waiting page, an unknown host, why a request failed. It is pure: a Page
// becomes HTML for a person who navigates, text for a program, and a status for
// a gRPC client, all with the same facts.
//
// A page loads nothing: its style and script are inline, and the policy sent
// with it (CSP level 3) names them by hash, so nothing that reaches a page
// through a host name or a path can run.
package page

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
)

// The leads of a page that polls. They describe the page in a browser, so the
// other forms leave them out.
const (
	// OpensItself is for the developer's own browser.
	OpensItself = "This page opens by itself once the server is up."
	// OpensLater is for visitors of a share.
	OpensLater = "The page opens by itself."
)

// Error is an error that knows how it is shown to a client.
type Error interface {
	error
	// Page returns at least Status and Title. Without a Lead, the error's own
	// text becomes the lead, unless the title says it already.
	Page() Page
}

// For returns the page of the first Error in err's tree. ok is false without one.
func For(err error) (p Page, ok bool) {
	shown, ok := errors.AsType[Error](err)
	if !ok {
		return Page{}, false
	}
	p = shown.Page()
	if lead := Sentence(shown.Error()); p.Lead == "" && !strings.EqualFold(lead, p.Title) {
		p.Lead = lead
	}
	return p, true
}

// Sentence returns an error's text as a sentence: capitalized, with a period.
func Sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// Page is one page. The zero value of every field but Status and Title means
// that the page has no such part.
type Page struct {
	// Status is the response's status (RFC 9110 section 15).
	Status int
	// Title is the one sentence that says what happened; the text form's first line.
	Title string
	// Lead is the sentences after it.
	Lead string
	// Plain replaces Lead in the text form; empty for Lead.
	Plain string
	// Form asks for a password; nil for none.
	Form *Form
	// Quote is the line of the Proxyfile that led here; nil for none.
	Quote *Quote
	// Attempts are the addresses tried, each followed by a space and the cause:
	// "127.0.0.1:5173 connection refused".
	Attempts []string
	// Waited is how long this request has waited; the page counts on from it.
	// It is shown in seconds, rounded up.
	Waited time.Duration
	// Hints are possible fixes. Text between backticks is set as code.
	Hints []string
	// Code is a block of text to write, CodeTitle the words above it.
	Code, CodeTitle string
	// Poll is the path, with its query, that the page requests until the answer
	// is "up", and then reloads itself.
	Poll string
	// Again shows a button that loads the page again.
	Again bool
	// Version is the version of devproxy that is shown; empty for none.
	Version string
	// Visitor marks a page that is shown through a share. It names nothing of
	// the machine that it comes from, devproxy included.
	Visitor bool
	// Public marks a page of the relay. It must not be indexed or framed, and
	// reloads itself after RetryAfter, without a script.
	Public bool
	// RetryAfter is the Retry-After header (RFC 9110 section 10.2.3) in seconds.
	RetryAfter int
	// Header are further fields of the response.
	Header http.Header
}

// Quote is one line of a Proxyfile.
type Quote struct {
	Place string // "Proxyfile:2"
	Text  string // "upstream = 5173"
}

// Form asks for the password of a share.
type Form struct {
	// Action is the path that takes the form. Its field "to" is To, the path to go to
	// afterwards, its field "password" the password.
	Action, To string
	// Wrong reports that the last password was wrong.
	Wrong bool
	// Onward reports that the answer to the form may redirect to other hosts.
	Onward bool
}

// Write sends p as the response to r: as a gRPC status for a gRPC call, as HTML if
// a person navigates, as text otherwise, without a body for HEAD. Header fields set
// on w stay, except those that described the content it would have had. An error
// of rendering comes before anything is sent; an error of writing means that the
// client left.
func (p Page) Write(w http.ResponseWriter, r *http.Request) error {
	for name, values := range p.Header {
		w.Header()[name] = values
	}
	if IsGRPC(r) {
		WriteGRPC(w, p.Status, p.message())
		return nil
	}
	p = p.cleaned()
	body, contentType := p.text(), "text/plain; charset=utf-8"
	if Navigates(r) {
		var err error
		if body, err = p.html(r.Method); err != nil {
			return err
		}
		contentType = "text/html; charset=utf-8"
		w.Header().Set("Content-Security-Policy", p.policy())
	}
	p.setHeader(w.Header(), contentType, len(body))
	w.WriteHeader(p.Status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("cannot send the page of status %d: %w", p.Status, err)
	}
	return nil
}

// Navigates reports whether the response to r is shown to a person: r accepts
// HTML by name ("*/*", which curl and fetch send, is not enough), and a browser
// that says what the response is for (W3C Fetch Metadata) navigates and loads
// a document. A script or style that fails shows text in the browser's tools.
func Navigates(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame":
		return field.Accepts(r.Header["Accept"], "text/html")
	}
	return false
}

// contentFields are the fields of a response that was begun and given up.
var contentFields = []string{"Content-Encoding", "Content-Range", "Accept-Ranges", "Etag", "Last-Modified"}

func (p Page) setHeader(header http.Header, contentType string, length int) {
	for _, name := range contentFields {
		header.Del(name)
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(length))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", cmp.Or(p.Header.Get("Referrer-Policy"), "no-referrer"))
	header.Add("Vary", "Accept, Sec-Fetch-Dest")
	if p.Public {
		header.Set("X-Robots-Tag", "noindex")
	}
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
}
