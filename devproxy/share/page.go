package share

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the two files of a page
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
)

// layout is parsed once; after that it is only executed.
var layout = template.Must(template.New("page").Parse(document))

// policy allows the one style, the icon in the head, and sending the form to
// where it came from. No other site may frame a page that asks for a password.
func policy(p *reply) string {
	if p.form != nil && p.form.Onward {
		// Browsers apply form-action to the redirects of the answer too.
		return strings.Replace(pagePolicy, "form-action 'self'", "form-action https:", 1)
	}
	return pagePolicy
}

var pagePolicy = strings.Join([]string{
	"default-src 'none'",
	"style-src '" + hash(inline(style)) + "'",
	"img-src data:",
	"base-uri 'none'",
	"form-action 'self'",
	"frame-ancestors 'none'",
}, "; ")

// hash is a CSP hash source (CSP level 3 section 2.3.1).
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// inline is an embedded file as a browser hashes it: HTML parsers turn CRLF,
// which a checkout on Windows may contain, into LF before they hash.
func inline(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// view is what page.html is filled from.
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
// without a body for HEAD and for the way elsewhere.
func (p *reply) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for name, values := range p.header {
		header[name] = values
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Robots-Tag", "noindex")
	// Not no-referrer: with that browsers say "Origin: null" of the form.
	header.Set("Referrer-Policy", "same-origin")
	for _, cookie := range p.cookies {
		http.SetCookie(w, cookie)
	}
	if p.status == http.StatusNoContent {
		w.WriteHeader(p.status)
		return
	}
	if header.Get("Location") != "" {
		header.Set("Content-Length", "0")
		w.WriteHeader(p.status)
		return
	}
	body, contentType := p.text(), "text/plain; charset=utf-8"
	if navigates(r) {
		body, contentType = p.html(), "text/html; charset=utf-8"
		header.Set("Content-Security-Policy", policy(p))
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept, Cookie, Sec-Fetch-Dest, Sec-Fetch-Mode")
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a visitor who left reads nothing
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
		panic(err) // a buffer takes everything, and the fields are there
	}
	return b.Bytes()
}
