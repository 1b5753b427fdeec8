package page

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The leads of a page that polls. They are said of the page in a browser only;
// the text form, which cannot open anything, leaves them out.
const (
	// OpensItself follows a title that names what is missing.
	OpensItself = "This page opens by itself when it does."
	// OpensLater is for visitors of a share.
	OpensLater = "The page opens by itself."
)

// Page is one page. The zero value of every field but Status and Title means
// that the page has no such part.
type Page struct {
	// Status is the response's status (RFC 9110 section 15).
	Status int
	// Title is the one sentence that says what is wrong; the text form's first line.
	Title string
	// Lead are the sentences after it.
	Lead string
	// Quote is the line of the Proxyfile that led here; nil for none.
	Quote *Quote
	// Attempts are the addresses tried, each followed by a space and the cause:
	// "127.0.0.1:5173 connection refused".
	Attempts []string
	// Waited is how long this request has waited; the page counts on from it.
	// It is shown in seconds, rounded up. Zero means that nothing is waited for.
	Waited time.Duration
	// Hints say what may help. What stands between backticks is set as code.
	Hints []string
	// Served are the hosts that could have been meant.
	Served []Link
	// Suggest is the one that probably was; nil for none.
	Suggest *Link
	// Code is a block of text to write, CodeTitle the words above it.
	Code, CodeTitle string
	// Poll is the path, with its query, that the page asks until the answer is
	// "up", and then reloads itself. Empty means that the page stays as it is.
	Poll string
	// Again shows a button that asks for the page again.
	Again bool
	// Visitor is true for a page that is shown through a share. It names
	// nothing of the machine that it comes from, devproxy included.
	Visitor bool
	// RetryAfter is the Retry-After header (RFC 9110 section 10.2.3) in
	// seconds; zero sends none.
	RetryAfter int
}

// Quote is one line of a Proxyfile.
type Quote struct {
	Place string // "Proxyfile:2"
	Text  string // "upstream = 5173"
}

// Link is a host that is served.
type Link struct {
	URL  string // "https://shop.localhost"
	Note string // where it is written: "~/shop/Proxyfile:1"; may be empty
}

// Write sends p as the response to r: as HTML if a person navigates, as text
// otherwise, without a body for HEAD. Headers that are set on w stay, but for
// those that described the content it would have had. An error of rendering
// comes before anything is sent, one of writing means that the visitor left.
func (p Page) Write(w http.ResponseWriter, r *http.Request) error {
	p = p.cleaned()
	body, contentType := p.text(), "text/plain; charset=utf-8"
	if navigates(r) {
		var err error
		if body, err = p.html(r.Method); err != nil {
			return err
		}
		contentType = "text/html; charset=utf-8"
		w.Header().Set("Content-Security-Policy", policy)
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

func (p Page) setHeader(header http.Header, contentType string, length int) {
	// They may be there from an answer that was begun and given up.
	for _, name := range []string{"Content-Encoding", "Content-Range", "Accept-Ranges", "Etag", "Last-Modified"} {
		header.Del(name)
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(length))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Add("Vary", "Accept, Sec-Fetch-Dest")
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
}
