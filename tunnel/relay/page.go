package relay

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the two files of a page
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
)

var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
)

// layout is parsed once; after that it is only executed.
var layout = template.Must(template.New("page").Parse(document))

// policy allows the one style and nothing else: there is nothing to run, to
// load, or to be tricked into clicking.
var policy = "default-src 'none'; style-src '" + hash(inline(style)) + "'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// hash is a CSP hash source (CSP level 3 section 2.3.1).
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// inline is an embedded file as a browser hashes it: without the CRs of a
// checkout on Windows.
func inline(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// page is an answer of the relay's own.
type page struct {
	Status int
	Kind   string // "waiting", "client", "server": the colour of its mark
	Title  string // the first line, which is all that programs need
	Lead   string
	// Yours and ToDo stand round `devproxy share`, for whoever shares.
	Yours, ToDo string
	// Retry is when to ask again; zero is never. People's browsers do so.
	Retry time.Duration
}

// StatusText is the status as the page's small print says it.
func (p page) StatusText() string { return http.StatusText(p.Status) }

// Refresh is the seconds after which a browser asks again; empty for never.
func (p page) Refresh() string {
	if p.Retry == 0 {
		return ""
	}
	return strconv.Itoa(int(max(p.Retry, 5*time.Second) / time.Second))
}

// Style is the style sheet.
func (p page) Style() template.CSS { return template.CSS(inline(style)) }

// write answers r: navigations with the page, others with its text.
func (p page) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept, Sec-Fetch-Dest")
	if p.Retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.Retry/time.Second)))
	}
	body, kind := []byte(p.text()), "text/plain; charset=utf-8"
	if navigates(r) {
		shown := p
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			shown.Retry = 0 // a form that was posted would come back as a GET
		}
		body, kind = shown.html(), "text/html; charset=utf-8"
		h.Set("Content-Security-Policy", policy)
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a visitor who is gone needs no page
	}
}

func (p page) text() string {
	text := p.Title + "\n"
	if p.Lead != "" {
		text += p.Lead + "\n"
	}
	if p.Yours != "" {
		text += p.Yours + " `devproxy share` " + p.ToDo + "\n"
	}
	return text
}

func (p page) html() []byte {
	var b bytes.Buffer
	if err := layout.Execute(&b, p); err != nil { // cannot fail on strings and a buffer
		return []byte(template.HTMLEscapeString(p.text()))
	}
	return b.Bytes()
}

// pageOf is what a visitor is told when a request could not be passed on.
func pageOf(err error) page {
	var (
		ended *EndedError
		large *http.MaxBytesError
		body  *malformedError
	)
	switch {
	case errors.As(err, &ended):
		return page{Status: http.StatusGone, Kind: "client", Title: "This link has ended.",
			Lead:  "It was open until " + spoken(ended.At) + ". Ask whoever sent it for a new one.",
			Yours: "Yours? Run", ToDo: "in the project for a new link."}
	case errors.Is(err, errUnknown):
		return page{Status: http.StatusNotFound, Kind: "client", Title: "There is no such link.",
			Lead: "Nobody shares anything under this name. Is the address complete? Ask whoever sent it."}
	case errors.Is(err, errAsleep):
		return page{Status: http.StatusServiceUnavailable, Kind: "waiting", Title: "This share is asleep.",
			Lead:  "Whoever shares it is not connected now. This page opens by itself when they are back.",
			Yours: "Yours? Run", ToDo: "in the project; the link stays the same.", Retry: 10 * time.Second}
	case errors.Is(err, errAway):
		return page{Status: http.StatusServiceUnavailable, Kind: "waiting", Title: "This share is not connected at the moment.",
			Lead:  "The computer that it comes from may be asleep, or between two networks. This page opens by itself when it is back.",
			Yours: "Yours? Run", ToDo: "in the project, if it does not run; the link stays the same.", Retry: time.Second}
	case errors.Is(err, errBusy):
		return page{Status: http.StatusServiceUnavailable, Kind: "server", Title: "This share has too many visitors right now.",
			Lead: "Try again in a moment.", Retry: time.Second}
	case errors.As(err, &large):
		return page{Status: http.StatusRequestEntityTooLarge, Kind: "client", Title: "This is more than may be uploaded here.",
			Lead: fmt.Sprintf("The relay takes at most %d bytes at once.", large.Limit)}
	case errors.As(err, &body):
		return page{Status: http.StatusBadRequest, Kind: "client", Title: "The body of this request is malformed.", Lead: sentence(body.Error())}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return page{Status: http.StatusRequestTimeout, Kind: "client", Title: "The upload came to a halt."}
	}
	return page{Status: http.StatusBadGateway, Kind: "server", Title: "The connection to this share was lost.",
		Lead: "The answer did not come. Try again.", Retry: time.Second}
}

// unclear is the page of a request that has more than one reading, or none.
func unclear(refusal *message.Refusal) page {
	return page{Status: refusal.Status, Kind: "client", Title: refusal.Title(), Lead: sentence(refusal.Error())}
}

// sentence is an error's text as a page shows it.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// spoken is a moment as people say it: "15:04 UTC, 22 November".
func spoken(at time.Time) string { return at.UTC().Format("15:04 UTC, 2 January") }

// navigates reports whether the response to r is shown to a person: r accepts
// HTML by name ("*/*", which curl and fetch send, is not enough), and a browser
// that says what the response is for (Sec-Fetch-Dest, W3C Fetch Metadata) wants
// a document.
func navigates(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame":
		return strings.Contains(lowerASCII(strings.Join(r.Header["Accept"], ",")), "text/html")
	}
	return false
}
