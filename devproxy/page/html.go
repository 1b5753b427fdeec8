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
var layout = template.Must(template.New("page").Parse(document))

// policy allows the one style, the one script, the icon in the head, and
// polling. Framing is allowed: an app under development may frame another, and
// there is nothing on a page to be tricked into clicking.
var policy = strings.Join([]string{
	"default-src 'none'",
	"style-src '" + hash(inline(style)) + "'",
	"script-src '" + hash(inline(script)) + "'",
	"img-src data:",
	"connect-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
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
	Page
	Kind     string // class of the status mark: "waiting", "client", "server"
	Attempts []attempt
	Hints    [][]piece
	Seconds  int
	Spoken   string
	// Refresh is whether a browser without scripts reloads. A form that was
	// posted would come back as a GET, so only what was got does.
	Refresh bool
	Style   template.CSS
	Script  template.JS
}

// attempt is an address and why it did not answer.
type attempt struct{ Addr, Cause string }

// piece is a part of a hint.
type piece struct {
	Text string
	Code bool
}

// html is the form for people. method is the one of the request.
func (p Page) html(method string) ([]byte, error) {
	v := view{
		Page: p, Kind: p.kind(),
		Seconds: seconds(p.Waited), Spoken: spoken(p.Waited),
		Refresh: p.Poll != "" && (method == http.MethodGet || method == http.MethodHead),
		Style:   template.CSS(inline(style)), Script: template.JS(inline(script)),
	}
	for _, text := range p.Attempts {
		addr, cause, _ := strings.Cut(text, " ")
		v.Attempts = append(v.Attempts, attempt{addr, cause})
	}
	for _, hint := range p.Hints {
		v.Hints = append(v.Hints, pieces(hint))
	}
	var b bytes.Buffer
	if err := layout.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("cannot render the page of status %d: %w", p.Status, err)
	}
	return b.Bytes(), nil
}

// StatusText is the status as the page's small print says it.
func (p Page) StatusText() string { return http.StatusText(p.Status) }

func (p Page) kind() string {
	switch {
	case p.Poll != "":
		return "waiting"
	case p.Status >= http.StatusInternalServerError:
		return "server"
	}
	return "client"
}

// pieces splits hint at its backticks. One without a partner is a character
// like any other.
func pieces(hint string) []piece {
	var result []piece
	for hint != "" {
		before, rest, _ := strings.Cut(hint, "`")
		code, after, closed := strings.Cut(rest, "`")
		if !closed {
			return append(result, piece{Text: hint})
		}
		if before != "" {
			result = append(result, piece{Text: before})
		}
		result = append(result, piece{Text: code, Code: true})
		hint = after
	}
	return result
}
