// Package urlfield defines which header fields contain URLs, and replaces the
// URLs in them. The caller decides what a URL is replaced with. Everything else
// in a field stays unchanged, byte for byte.
package urlfield

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// pageFields are the request fields with the URL of a page or resource of the
// requested host: that of the page that sends the request (RFC 9110 section
// 10.1.3, and htmx's and Turbolinks' own), and where WebDAV copies and moves to
// (RFC 4918 section 10.3).
var pageFields = []string{"Referer", "Hx-Current-Url", "Turbolinks-Referrer", "Destination"}

// Request replaces the Origin of a request by what origin returns, and each URL
// in its fields by what url returns. Fields with several lines stay unchanged:
// no browser sends them.
func Request(h http.Header, origin, url func(string) string) {
	one := func(name string, f func(string) string) {
		if len(h[name]) == 1 {
			replace(h, name, f)
		}
	}
	one("Origin", origin)
	for _, name := range pageFields {
		one(name, url)
	}
}

// locationFields are the response fields that are one URL, as net/http spells
// them. Those beyond HTTP's own (RFC 9110 sections 8.7 and 10.2.2) are read by
// scripts (htmx, Inertia, Turbolinks, PJAX) and by developer tools.
var locationFields = []string{
	"Location", "Content-Location",
	"Hx-Redirect", "Hx-Push-Url", "Hx-Replace-Url",
	"X-Inertia-Location", "Turbolinks-Location", "X-Pjax-Url",
	"Sourcemap", "X-Sourcemap",
}

// Rewriter replaces the URLs in response fields. Each function gets a text and
// returns its replacement.
type Rewriter struct {
	// URL gets URL references (RFC 3986 section 4.1).
	URL func(string) string
	// Origin gets serialized origins (RFC 6454 section 6.1), "*" and "null": the
	// values of Access-Control-Allow-Origin and Timing-Allow-Origin.
	Origin func(string) string
	// Source gets the words of a Content-Security-Policy: sources, and names of
	// directives and keywords too.
	Source func(string) string
	// LinkText gets the parts of a Link field that are neither targets nor quoted,
	// such as names of parameters. Nil leaves them unchanged.
	LinkText func(string) string
}

// Header replaces the URLs in the fields of a response. Where something has
// changed, the slice of values is a new one.
func (w *Rewriter) Header(h http.Header) {
	for _, name := range locationFields {
		replace(h, name, w.URL)
	}
	replace(h, "Hx-Location", w.hxLocation)
	replace(h, "Refresh", w.refresh)
	w.Link(h)
	replace(h, "Access-Control-Allow-Origin", w.Origin)
	replace(h, "Timing-Allow-Origin", w.origins)
	replace(h, "Content-Security-Policy", w.policy)
	replace(h, "Content-Security-Policy-Report-Only", w.policy)
}

// Link replaces only the URLs in Link: the one field of an informational response
// (RFC 8297) that browsers read.
func (w *Rewriter) Link(h http.Header) { replace(h, "Link", w.link) }

// replace changes the lines of a field. The slice is a new one, as a cache may
// have the old one.
func replace(h http.Header, name string, f func(string) string) {
	changed := slices.Clone(h[name])
	for i, line := range changed {
		changed[i] = f(line)
	}
	if !slices.Equal(changed, h[name]) {
		h[name] = changed
	}
}

// hxLocation replaces a URL, or the "path" of a JSON object (htmx, HX-Location).
func (w *Rewriter) hxLocation(value string) string {
	if !strings.HasPrefix(strings.TrimSpace(value), "{") {
		return w.URL(value)
	}
	var object map[string]json.RawMessage
	var path string
	if json.Unmarshal([]byte(value), &object) != nil || json.Unmarshal(object["path"], &path) != nil {
		return value
	}
	changed := w.URL(path)
	if changed == path {
		return value // byte for byte
	}
	object["path"], _ = json.Marshal(changed) // which a string always can be
	text, err := json.Marshal(object)
	if err != nil {
		return value
	}
	return string(text)
}

// refresh replaces the URL of "5; url=https://…", as browsers read it (WHATWG
// HTML, shared declarative refresh steps).
func (w *Rewriter) refresh(value string) string {
	start := len(value) - len(strings.TrimLeft(value, " \t0123456789.;,"))
	if after, named := cutFold(value[start:], "url"); named {
		if after, assigned := strings.CutPrefix(strings.TrimLeft(after, " \t"), "="); assigned {
			start = len(value) - len(strings.TrimLeft(after, " \t"))
		}
	}
	target := value[start:]
	if target != "" && (target[0] == '"' || target[0] == '\'') {
		start++
		target, _, _ = strings.Cut(target[1:], target[:1])
	}
	if target == "" {
		return value
	}
	return value[:start] + w.URL(target) + value[start+len(target):]
}

// cutFold is strings.CutPrefix, ignoring case.
func cutFold(text, prefix string) (after string, found bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return text, false
	}
	return text[len(prefix):], true
}

// origins replaces a list of origins (Resource Timing, Timing-Allow-Origin).
func (w *Rewriter) origins(value string) string {
	items := strings.Split(value, ",")
	for i, item := range items {
		origin := strings.Trim(item, " \t")
		items[i] = strings.Replace(item, origin, w.Origin(origin), 1)
	}
	return strings.Join(items, ",")
}

// policy replaces the words of a Content-Security-Policy (CSP level 3 section
// 2.3.1), including the addresses of its reports.
func (w *Rewriter) policy(policy string) string {
	var out strings.Builder
	for {
		i := strings.IndexAny(policy, " \t;,")
		if i < 0 {
			out.WriteString(w.Source(policy))
			return out.String()
		}
		out.WriteString(w.Source(policy[:i]))
		out.WriteByte(policy[i])
		policy = policy[i+1:]
	}
}

// link replaces the targets and anchors of a Link field (RFC 8288 section 3).
func (w *Rewriter) link(value string) string {
	text := w.LinkText
	if text == nil {
		text = func(text string) string { return text }
	}
	var out strings.Builder
	for {
		i := strings.IndexAny(value, `<"`)
		if i < 0 {
			out.WriteString(text(value))
			return out.String()
		}
		closing, isURL := ">", true
		if value[i] == '"' {
			closing, isURL = `"`, isAnchor(value[:i])
		}
		out.WriteString(text(value[:i]) + value[i:i+1])
		span, after, closed := strings.Cut(value[i+1:], closing)
		if isURL {
			span = w.URL(span)
		}
		out.WriteString(span)
		if closed {
			out.WriteString(closing)
		}
		value = after
	}
}

// isAnchor reports whether before ends with "anchor=".
func isAnchor(before string) bool {
	before, assigned := strings.CutSuffix(strings.TrimRight(before, " \t"), "=")
	before = strings.TrimRight(before, " \t")
	start := len(before) - len("anchor")
	return assigned && start >= 0 && strings.EqualFold(before[start:], "anchor")
}
