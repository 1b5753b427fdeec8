package urlfield

import (
	"encoding/json"
	"net/http"
	"strings"
)

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
// returns the one that takes its place.
type Rewriter struct {
	// URL gets URL references (RFC 3986 section 4.1).
	URL func(string) string
	// Origin gets serialized origins (RFC 6454 section 6.1), "*" and "null": the
	// values of Access-Control-Allow-Origin and Timing-Allow-Origin.
	Origin func(string) string
	// Source gets the words of a Content-Security-Policy: sources, and names of
	// directives and keywords too.
	Source func(string) string
	// LinkText gets the parts of a Link field that are neither targets nor quoted:
	// names of parameters among them. Nil leaves them as they are.
	LinkText func(string) string
}

// Header replaces the URLs in the fields of a response. The slices of values are
// new ones where something has changed.
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

// Link replaces the URLs in Link alone: the one field of an informational response
// (RFC 8297) that browsers read.
func (w *Rewriter) Link(h http.Header) { replace(h, "Link", w.link) }

// replace changes the lines of a field. The slice is a new one, as a cache may
// have the old one.
func replace(h http.Header, name string, f func(string) string) {
	var changed []string
	for i, line := range h[name] {
		is := f(line)
		if is == line {
			continue
		}
		if changed == nil {
			changed = append([]string(nil), h[name]...)
		}
		changed[i] = is
	}
	if changed != nil {
		h[name] = changed
	}
}

// hxLocation is a URL, or a JSON object that has one as its "path" (htmx,
// HX-Location).
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
	text, err := json.Marshal(changed)
	if err != nil {
		return value
	}
	object["path"] = text
	if text, err = json.Marshal(object); err != nil {
		return value
	}
	return string(text)
}

// refresh is "5; url=https://…" as browsers read it (WHATWG HTML, shared
// declarative refresh steps).
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

// cutFold is strings.CutPrefix for a prefix in lower case, whatever case text has.
func cutFold(text, prefix string) (after string, found bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return text, false
	}
	return text[len(prefix):], true
}

// origins is a list of origins (Resource Timing, Timing-Allow-Origin).
func (w *Rewriter) origins(value string) string {
	items := strings.Split(value, ",")
	for i, item := range items {
		origin := strings.Trim(item, " \t")
		items[i] = strings.Replace(item, origin, w.Origin(origin), 1)
	}
	return strings.Join(items, ",")
}

// policy is a Content-Security-Policy (CSP level 3 section 2.3.1), with the
// addresses that it reports to.
func (w *Rewriter) policy(policy string) string {
	var out strings.Builder
	for policy != "" {
		i := strings.IndexAny(policy, " \t;,")
		if i < 0 {
			i = len(policy)
		}
		out.WriteString(w.Source(policy[:i]))
		if i < len(policy) {
			out.WriteByte(policy[i])
			i++
		}
		policy = policy[i:]
	}
	return out.String()
}
