package share

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/devproxy/devproxy/devproxy/rewrite"
	"github.com/devproxy/devproxy/devproxy/urlfield"
	"github.com/devproxy/devproxy/tunnel/field"
)

// Outward makes the header of a response to v public, just before it is written with
// status. r is the request, as it came or as Admit made it. A second call changes
// nothing.
//
// An informational response (RFC 9110 section 15.2) other than 101 keeps only Link:
// no other field has a meaning there, and clients act on some.
func (s *Share) Outward(h http.Header, status int, v Visitor, _ *http.Request) {
	s = s.seenBy(v)
	urls := s.names.outwardURLs()
	if status < 200 && status != http.StatusSwitchingProtocols {
		urls.Link(h)
		s.names.outwardInformational(h)
		return
	}
	urls.Header(h)
	s.outwardCookies(h, v)
	outwardTrailer(h)
	if status >= 200 {
		if len(h["X-Robots-Tag"]) == 0 {
			h["X-Robots-Tag"] = []string{"noindex"}
		}
		s.names.outwardReferrer(h)
	}
}

// outwardURLs returns a rewriter that makes URLs in response fields public.
func (n *names) outwardURLs() urlfield.Rewriter {
	urls := urlfield.Rewriter{URL: n.publicURL, Origin: n.publicReference, Source: n.outwardSource}
	if !n.named {
		urls.LinkText = withoutReferrerPolicy
	}
	return urls
}

// publicURL makes a URL public, and those in its query: a login page is told where to
// go back to (redirect_uri=…).
func (n *names) publicURL(text string) string {
	text = n.publicReference(text)
	path, query, found := strings.Cut(text, "?")
	if !found {
		return text
	}
	return path + "?" + n.outwardTexts().String(query)
}

// outwardTexts are the local names, which become public.
func (n *names) outwardTexts() *rewrite.Names {
	return &rewrite.Names{Ends: n.texts.local, Replace: func(scheme, host, port string) (rewrite.Target, bool) {
		return n.publicTarget(scheme, host, port, authority{})
	}}
}

// outwardInformational keeps only Link. A browser that preloads its targets applies
// the Referrer-Policy of the same response (WHATWG HTML, "early hints").
func (n *names) outwardInformational(h http.Header) {
	for name := range h {
		if name != "Link" {
			delete(h, name)
		}
	}
	if len(h["Link"]) > 0 && !n.named {
		h["Referrer-Policy"] = []string{closedReferrer}
	}
}

// closedReferrer sends no other site the visitor's URL. It is not no-referrer, with
// which browsers send "Origin: null" with forms.
const closedReferrer = "same-origin"

// outwardReferrer sets the Referrer-Policy in a share with an unguessable name. There
// every policy that sends other sites the origin reveals the name, so the project may
// choose only among those that do not. A page can still choose another policy with
// <meta name="referrer"> or a referrerpolicy attribute: devproxy leaves those in
// bodies as they are.
//
// No policy sends the origin to the share's other hosts only. Browsers take the
// Origin of a form from the same policy as the Referer (WHATWG Fetch, "append a
// request Origin header"), so a form that a page posts to another host arrives with
// "Origin: null". The receiver must not treat that as one of the share's hosts: any
// page in the relay's domain can cause it.
//
// Other names are not secret: there the project's policy applies, or the browser's.
func (n *names) outwardReferrer(h http.Header) {
	if n.named {
		return
	}
	policy := effectiveReferrer(h["Referrer-Policy"])
	if policy != "no-referrer" {
		policy = closedReferrer
	}
	h["Referrer-Policy"] = []string{policy}
}

// effectiveReferrer returns the policy that browsers take from the field: the last
// one that they know (Referrer Policy, section 8.1). It is empty for none.
func effectiveReferrer(lines []string) (policy string) {
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		switch name := lower(strings.Trim(element, " \t\r\n\f")); name {
		case "no-referrer", "no-referrer-when-downgrade", "same-origin", "origin", "strict-origin",
			"origin-when-cross-origin", "strict-origin-when-cross-origin", "unsafe-url":
			policy = name
		}
	}
	return policy
}

// withoutReferrerPolicy renames the parameter with which a Link chooses its own
// policy. text contains neither targets nor quoted values.
func withoutReferrerPolicy(text string) string {
	return referrerParameter.ReplaceAllString(text, "x-${1}-${2}")
}

var referrerParameter = regexp.MustCompile(`(?i)(referrer)(policy)`)

// outwardSource makes one source of a Content-Security-Policy public (CSP level 3
// section 2.3.1): a host with or without scheme, port and path; "*." before it for
// every subdomain, ":*" after it for every port.
func (n *names) outwardSource(source string) string {
	ref, isURL := cutReference(source)
	if !isURL {
		host, _, _ := strings.Cut(source, "/")
		ref = reference{authority: host, rest: source[len(host):]}
	}
	publics := n.publicSources(ref.authority, ref.defaultPort())
	if len(publics) == 0 {
		return source
	}
	ref.secure()
	for i, public := range publics {
		if ref.authority = public; isURL {
			publics[i] = ref.String()
		} else {
			publics[i] = public + ref.rest
		}
	}
	return strings.Join(publics, " ")
}

// publicSources returns the public names for the authority of a source; nil for one
// that is not part of this share.
func (n *names) publicSources(text, port string) (publics []string) {
	name, anyPort := strings.CutSuffix(text, ":*")
	local, _ := parseAuthority(name, port)
	if !anyPort {
		for _, public := range n.sourcesOf(local) {
			publics = append(publics, public.String())
		}
		return publics
	}
	for _, host := range n.hosts {
		for _, public := range n.sourcesOf(authority{local.name, host.local.port}) {
			publics = append(publics, public.name+":*")
		}
		if publics != nil {
			break
		}
	}
	return publics
}

func (n *names) sourcesOf(local authority) []authority {
	if public, ok := n.public(local); ok {
		return []authority{public}
	}
	return n.sourcesBelow(local)
}

// sourcesBelow returns the sources for "*.shop.localhost": every host of the
// project below it. In public they are below the zone, with no stranger's
// hosts. Without a zone they are listed, except for those of a wildcard host: a
// source that matches these would match strangers' names too (in CSP, "*" is
// whole labels only).
func (n *names) sourcesBelow(local authority) (found []authority) {
	parent, wild := strings.CutPrefix(local.name, "*.")
	if !wild || !within(parent, n.localZone) {
		return nil
	}
	for _, host := range n.hosts {
		if host.local.port != local.port || host.local.name == parent || !within(host.local.name, parent) {
			continue
		}
		if n.zone != "" {
			return []authority{{"*." + n.below(parent), n.shown(host.public).port}}
		}
		if !isWildcard(host.public) {
			found = append(found, n.shown(host.public))
		}
	}
	return found
}

// Trailers removes the trailer fields that visitors must not get from the header of
// a response whose body has been written. Call it when nothing more is set.
func (s *Share) Trailers(h http.Header) {
	for name := range h {
		if trailer, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && !field.Trailer(trailer) {
			delete(h, name)
		}
	}
}

// outwardTrailer removes the announced trailers that visitors must not get. Trailers
// removes those that are sent without an announcement.
func outwardTrailer(h http.Header) {
	var kept []string
	for name := range field.Elements(h["Trailer"]) {
		if field.Trailer(name) {
			kept = append(kept, name)
		}
	}
	replace(h, "Trailer", kept)
}

// Advice returns sentences for the project's developer about a response to the
// visitor v: one for each feature that works on this machine but not in the
// share, with its fix. r is the request as Admit made it; h is the response's
// header as the project wrote it.
func (s *Share) Advice(r *http.Request, h http.Header, status int, v Visitor) []string {
	sentences := s.keptCookies(h, v)
	if to := s.otherCallback(h); to != "" {
		sentences = append(sentences, fmt.Sprintf("a login comes back to %s, which does not last; use %s, which services have as DEVPROXY_CALLBACK_URL", to, s.opts.Callback[0]))
	}
	if s.refusedForm(r, status) {
		sentences = append(sentences, `browsers send "Origin: null" with a form from another host of this share, so that its secret name stays here; with a name they send the origin: share { name = "…" }`)
	}
	return sentences
}

// refusedForm reports whether the project has refused a form that a page of the same
// site sent without an Origin, because of outwardReferrer.
func (s *Share) refusedForm(r *http.Request, status int) bool {
	if s.names.named || len(s.names.hosts) < 2 || r.Header.Get("Origin") != "null" || r.Header.Get("Sec-Fetch-Site") != "same-site" {
		return false
	}
	switch status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity:
		return field.Upgrade(r) == ""
	}
	return false
}
