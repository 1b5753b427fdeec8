package share

import (
	"net/http"

	"github.com/devproxy/devproxy/devproxy/urlfield"
)

// Outward makes the header of a response to v public, just before it is
// written with status. r is the request, as it came or as Admit made it. Doing
// it twice changes nothing more.
//
// Of an informational response (RFC 9110 section 15.2), but for 101, Link alone
// is left: no other field has a meaning there, and some are acted on.
func (s *Share) Outward(h http.Header, status int, v Visitor, _ *http.Request) {
	s = s.seenBy(v)
	urls := s.outwardURLs()
	if status < 200 && status != http.StatusSwitchingProtocols {
		urls.Link(h)
		s.outwardInformational(h)
		return
	}
	urls.Header(h)
	s.outwardCookies(h, v)
	outwardTrailer(h)
	if status >= 200 {
		setUnlessSet(h, "X-Robots-Tag", "noindex")
		s.outwardReferrer(h)
	}
}

// outwardURLs makes URLs in response fields public.
func (s *Share) outwardURLs() urlfield.Rewriter {
	urls := urlfield.Rewriter{URL: s.table.publicReference, Origin: s.table.publicReference, Source: s.outwardSource}
	if !s.named {
		urls.LinkText = withoutReferrerPolicy
	}
	return urls
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
