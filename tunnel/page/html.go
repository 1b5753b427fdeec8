package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the three files of a page
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

var (
	//go:embed page.html
	document string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// layout is parsed once; after that it is only executed.
var layout = template.Must(template.New("page").Funcs(template.FuncMap{
	"pieces": pieces, "seconds": seconds, "spoken": spoken, "statusText": http.StatusText,
	"style":  func() template.CSS { return template.CSS(Style()) },
	"script": func() template.JS { return template.JS(Inline(script)) },
	"split":  func(text string) []string { return strings.SplitN(text, " ", 2) },
}).Parse(document))

// policy allows the style and the icon in the head and, on a page that polls, the
// script and its requests. Local pages may be framed: an app under development may
// frame another, and they have nothing to be tricked into clicking.
func (p Page) policy() string {
	rules := []string{"default-src 'none'", "style-src '" + Hash(Style()) + "'", "img-src data:", "base-uri 'none'", p.formAction()}
	if p.Poll != "" {
		rules = append(rules, "script-src '"+Hash(Inline(script))+"'", "connect-src 'self'")
	}
	if p.Public {
		rules = append(rules, "frame-ancestors 'none'")
	}
	return strings.Join(rules, "; ")
}

// formAction allows the page's form. Browsers apply it to the redirects after the form
// too.
func (p Page) formAction() string {
	switch {
	case p.Form == nil:
		return "form-action 'none'"
	case p.Form.Onward:
		return "form-action https:"
	}
	return "form-action 'self'"
}

// Style is the style of all pages.
func Style() string { return Inline(style) }

// Hash is a CSP hash source (CSP level 3 section 2.3.1).
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// Inline is an embedded file as a browser hashes it: HTML parsers turn CRLF,
// which a checkout on Windows may contain, into LF before they hash.
func Inline(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

const (
	// pollRefresh is after how many seconds a waiting page reloads in a browser
	// without scripts.
	pollRefresh = 2
	// minRefresh is the least for the relay's pages, in seconds.
	minRefresh = 5
)

// view has the values of page.html.
type view struct {
	Page
	Kind string // class of the status mark: "waiting", "client", "server"
	// Refresh is after how many seconds a browser reloads the page. It is 0 for
	// a form that was posted, which would be reloaded as a GET.
	Refresh int
}

// piece is a part of a hint.
type piece struct {
	Text string
	Code bool
}

// html is the form for people. method is that of the request.
func (p Page) html(method string) ([]byte, error) {
	var b bytes.Buffer
	if err := layout.Execute(&b, view{p, p.kind(), p.refresh(method)}); err != nil {
		return nil, fmt.Errorf("cannot render the page of status %d: %w", p.Status, err)
	}
	return b.Bytes(), nil
}

func (p Page) refresh(method string) int {
	switch {
	case method != http.MethodGet && method != http.MethodHead:
		return 0
	case p.Poll != "":
		return pollRefresh
	case p.Public && p.RetryAfter > 0:
		return max(p.RetryAfter, minRefresh)
	}
	return 0
}

func (p Page) kind() string {
	switch {
	case p.Poll != "", p.Public && p.Status == http.StatusServiceUnavailable:
		return "waiting"
	case p.Status >= http.StatusInternalServerError:
		return "server"
	}
	return "client"
}

// pieces splits hint at its backticks. A backtick without a partner is an
// ordinary character.
func pieces(hint string) []piece {
	parts := strings.Split(hint, "`")
	if last := len(parts) - 1; last%2 == 1 {
		parts = append(parts[:last-1], parts[last-1]+"`"+parts[last])
	}
	var result []piece
	for i, text := range parts {
		if isCode := i%2 == 1; isCode || text != "" {
			result = append(result, piece{text, isCode})
		}
	}
	return result
}
