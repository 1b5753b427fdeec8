package share

import (
	"fmt"
	"net/http"
	"slices"
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
	domain := cookieDomainOf(line)
	parts := strings.Split(line, ";")
	kept := append(parts[:1:1], slices.DeleteFunc(parts[1:], func(part string) bool { _, is := domainAttribute(part); return is })...)
	if domain == "" {
		return strings.Join(kept, ";"), true
	}
	public, ok := s.cookieDomain(domain, from)
	if public != "" {
		kept = append(kept, " Domain="+public)
	}
	return strings.Join(kept, ";"), ok
}

// cookieDomainOf is the Domain of a Set-Cookie line, in lower case; empty for none.
func cookieDomainOf(line string) (domain string) {
	_, attributes, _ := strings.Cut(line, ";")
	for part := range strings.SplitSeq(attributes, ";") {
		if value, is := domainAttribute(part); is {
			domain = value
		}
	}
	return domain
}

// domainAttribute is the value of a Domain attribute, in lower case and without
// its leading dot.
func domainAttribute(part string) (domain string, is bool) {
	name, value, _ := strings.Cut(part, "=")
	return strings.TrimPrefix(lower(strings.TrimSpace(value)), "."), strings.EqualFold(strings.TrimSpace(name), "Domain")
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

// keptCookies is a sentence about each cookie that the project sets for several of
// its hosts, and that visitors get for one host alone.
func (s *Share) keptCookies(h http.Header, v Visitor) (sentences []string) {
	from, known := s.seenBy(v).responder(v)
	if !known || !s.alone {
		return nil
	}
	for _, line := range h["Set-Cookie"] {
		domain := cookieDomainOf(line)
		if domain == "" || !within(from.local.name, domain) || domain != s.localZone && within(s.localZone, domain) || !s.reachesOthers(from.local.name, domain) {
			continue
		}
		name, _, _ := strings.Cut(line, "=")
		sentence := fmt.Sprintf("visitors get the cookie %q for %s alone, since the hosts of a share have no cookies in common", strings.TrimSpace(name[:min(len(name), maxQuoted)]), from.local.name)
		if s.opts.Together {
			sentence += `; to share them: share { cookies = "shared" }`
		}
		sentences = append(sentences, sentence)
	}
	return sentences
}

// maxQuoted bounds what is repeated of a cookie's name, in bytes.
const maxQuoted = 64

// reachesOthers reports whether a cookie for domain is meant for a shared host
// other than the local name.
func (s *Share) reachesOthers(name, domain string) bool {
	for _, host := range s.table.hosts {
		if host.local.name != name && within(host.local.name, domain) {
			return true
		}
	}
	return false
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
