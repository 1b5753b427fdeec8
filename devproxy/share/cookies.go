package share

import (
	"net/http"
	"strings"
)

// outwardCookies makes the Domain of cookies public (RFC 6265 section 5.2.3).
// A cookie that browsers would not take from the local host, or that a wider
// domain than the share's would be sent with, goes to nobody; nor does one that
// takes the name of the gate's and was not made by it.
func (s *Share) outwardCookies(h http.Header, v Visitor) {
	from, known := s.responder(v)
	var kept []string
	for _, line := range h["Set-Cookie"] {
		if s.foreignGateCookie(line) || !known {
			continue
		}
		if line, ok := s.outwardCookie(line, from); ok {
			kept = append(kept, line)
		}
	}
	if delete(h, "Set-Cookie"); len(kept) > 0 {
		h["Set-Cookie"] = kept
	}
}

// responder is the host that a response to v comes from.
func (s *Share) responder(v Visitor) (pair, bool) {
	public, _ := parseAuthority(v.Host, httpsPort)
	local, ok := s.table.local(public)
	return pair{local, public}, ok
}

// outwardCookie is one line with its Domain made public; false drops it. The
// last Domain counts, and an empty one does not.
func (s *Share) outwardCookie(line string, from pair) (string, bool) {
	parts := strings.Split(line, ";")
	kept, domain := parts[:1], ""
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "Domain") {
			kept = append(kept, part)
			continue
		}
		domain = strings.TrimPrefix(lower(strings.TrimSpace(value)), ".")
	}
	if domain == "" {
		return strings.Join(kept, ";"), true
	}
	public, ok := s.cookieDomain(domain, from)
	if public != "" {
		kept = append(kept, " Domain="+public)
	}
	return strings.Join(kept, ";"), ok
}

// cookieDomain is the public Domain of a cookie from a host of this share;
// empty means that the cookie is that host's alone.
func (s *Share) cookieDomain(domain string, from pair) (public string, ok bool) {
	switch {
	case domain == from.public.name && s.alone:
		return "", true
	case within(from.public.name, domain) && within(domain, s.zone):
		return domain, true // the project knows its public name, and says so
	case !within(from.local.name, domain), s.localZone != domain && within(s.localZone, domain):
		return "", false
	case s.alone, !s.hasBelow(domain):
		return "", true
	case !strings.Contains(domain, "."):
		return "", false
	case within(domain, s.localZone):
		return s.below(domain), true
	}
	return s.zone, true
}

// below is the public parent of whatever is below a local name, the zone or
// below it.
func (s *Share) below(local string) string {
	if !s.named {
		return s.zone // tokens are all directly in the zone
	}
	return strings.TrimSuffix(local, s.localZone) + s.zone
}

// hasBelow reports whether a shared host lies below a local name.
func (s *Share) hasBelow(name string) bool {
	for _, host := range s.table.hosts {
		if host.local.name != name && within(host.local.name, name) {
			return true
		}
	}
	return false
}
