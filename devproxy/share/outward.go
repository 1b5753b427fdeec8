package share

import (
	"net/http"
	"strings"
)

// Outward makes the header of a response to v public, just before it is
// written with status. r is the request, as it came or as Admit made it. Doing
// it twice changes nothing more.
//
// Of an informational response (RFC 9110 section 15.2), but for 101, Link alone
// is left: no other field has a meaning there, and some are acted on.
func (s *Share) Outward(h http.Header, status int, v Visitor, _ *http.Request) {
	s = s.seenBy(v)
	replace(h["Link"], s.outwardLink)
	if status < 200 && status != http.StatusSwitchingProtocols {
		s.outwardInformational(h)
		return
	}
	s.outwardLocations(h)
	replace(h["Refresh"], s.outwardRefresh)
	replace(h["Content-Security-Policy"], s.outwardPolicy)
	replace(h["Content-Security-Policy-Report-Only"], s.outwardPolicy)
	s.outwardCookies(h, v)
	outwardTrailer(h)
	if status >= 200 {
		setUnlessSet(h, "X-Robots-Tag", "noindex")
		s.outwardReferrer(h)
	}
}

// outwardInformational leaves Link. A browser that preloads what it names takes
// the Referrer-Policy of the same response (WHATWG HTML, "early hints").
func (s *Share) outwardInformational(h http.Header) {
	for name := range h {
		if name != "Link" {
			delete(h, name)
		}
	}
	if len(h["Link"]) > 0 && !s.named {
		h["Referrer-Policy"] = []string{closedReferrer}
	}
}

func setUnlessSet(h http.Header, name, value string) {
	if len(h[name]) == 0 {
		h[name] = []string{value}
	}
}

// replace changes values in place.
func replace(values []string, f func(string) string) {
	for i, value := range values {
		values[i] = f(value)
	}
}

// outwardRefresh makes the URL of a Refresh field public: "5; url=https://…",
// as browsers read it (WHATWG HTML, shared declarative refresh steps).
func (s *Share) outwardRefresh(value string) string {
	start := len(value) - len(strings.TrimLeft(value, " \t0123456789.;,"))
	if after, named := strings.CutPrefix(lower(value[start:]), "url"); named {
		if after, assigned := strings.CutPrefix(strings.TrimLeft(after, " \t"), "="); assigned {
			start = len(value) - len(strings.TrimLeft(after, " \t"))
		}
	}
	target := value[start:]
	if target != "" && (target[0] == '"' || target[0] == '\'') {
		start++
		target, _, _ = strings.Cut(target[1:], target[:1])
	}
	return value[:start] + s.table.publicReference(target) + value[start+len(target):]
}

// outwardLink makes the targets and anchors of a Link field public (RFC 8288
// section 3).
func (s *Share) outwardLink(value string) string {
	var out strings.Builder
	for value != "" {
		switch i := strings.IndexAny(value, `<"`); {
		case i < 0:
			out.WriteString(s.outwardParameters(value))
			value = ""
		case value[i] == '<':
			value = s.outwardSpan(&out, value, i, ">", true)
		default:
			value = s.outwardSpan(&out, value, i, `"`, isAnchor(value[:i]))
		}
	}
	return out.String()
}

// outwardSpan writes value up to the close of the span that opens at i, and
// returns what follows. What is in the span is a reference when public is true.
func (s *Share) outwardSpan(out *strings.Builder, value string, i int, closing string, public bool) string {
	out.WriteString(s.outwardParameters(value[:i]))
	out.WriteByte(value[i])
	span, after, closed := strings.Cut(value[i+1:], closing)
	if public {
		span = s.table.publicReference(span)
	}
	out.WriteString(span)
	if closed {
		out.WriteString(closing)
	}
	return after
}

// outwardParameters is the text of a Link outside of targets and quotes.
func (s *Share) outwardParameters(text string) string {
	if s.named {
		return text
	}
	return withoutReferrerPolicy(text)
}

func isAnchor(before string) bool {
	before = lower(strings.TrimRight(before, " \t"))
	before, found := strings.CutSuffix(before, "=")
	return found && strings.HasSuffix(strings.TrimRight(before, " \t"), "anchor")
}
