package share

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxQuoted bounds how much of a cookie's name a sentence repeats, in bytes.
const maxQuoted = 64

// inwardCookies returns Cookie lines without the gate's cookies, those of any share,
// and without those that this share hides.
func (s *Share) inwardCookies(lines []string) []string {
	var kept []string
	for _, line := range lines {
		pairs := slices.DeleteFunc(strings.Split(line, ";"), func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			name = strings.TrimSpace(name)
			return isGateCookie(name) || s.guard.cookie(name)
		})
		if len(pairs) > 0 {
			kept = append(kept, strings.TrimSpace(strings.Join(pairs, ";")))
		}
	}
	return kept
}

func isGateCookie(name string) bool {
	return strings.EqualFold(name, hostCookie) || strings.EqualFold(name, zoneCookie) || strings.EqualFold(name, deviceCookie)
}

// outwardCookies makes the Domain of cookies public (RFC 6265 section 5.2.3). It
// drops a cookie that browsers would not accept from the local host, that would be
// sent to more hosts than the share's, or that has the name of the gate's cookie and
// was not made by the gate.
func (s *Share) outwardCookies(h http.Header, v Visitor) {
	from, known := s.names.responder(v)
	var kept []string
	for _, line := range h["Set-Cookie"] {
		if !known || s.gate.forges(line) {
			continue
		}
		if line, ok := s.names.outwardCookie(line, from); ok {
			kept = append(kept, line)
		}
	}
	replace(h, "Set-Cookie", kept)
}

// replace replaces the lines of a field; without any it removes the field.
func replace(h http.Header, name string, lines []string) {
	if delete(h, name); len(lines) > 0 {
		h[name] = lines
	}
}

// forges reports whether a Set-Cookie line of the project has the name of a cookie
// of the gate without being one. The gate sets its device cookie in its own replies
// only.
func (g *gate) forges(line string) bool {
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	if name = strings.TrimSpace(name); !isGateCookie(name) {
		return false
	}
	return name != g.cookie.name || !g.cookie.valid(strings.TrimSpace(value), time.Now())
}

// responder returns the host that a response to v comes from.
func (n *names) responder(v Visitor) (pair, bool) {
	public, _ := parseAuthority(v.Host, httpsPort)
	local, ok := n.local(public)
	return pair{local, public}, ok
}

// outwardCookie makes the Domain of one line public; false drops the line. The last
// Domain counts, and an empty one does not.
func (n *names) outwardCookie(line string, from pair) (string, bool) {
	domain := cookieDomainOf(line)
	parts := strings.Split(line, ";")
	kept := append(parts[:1:1], slices.DeleteFunc(parts[1:], func(part string) bool { _, is := domainAttribute(part); return is })...)
	if domain == "" {
		return strings.Join(kept, ";"), true
	}
	public, ok := n.cookieDomain(domain, from)
	if public != "" {
		kept = append(kept, " Domain="+public)
	}
	return strings.Join(kept, ";"), ok
}

// cookieDomainOf returns the Domain of a Set-Cookie line, in lower case; empty for
// none.
func cookieDomainOf(line string) (domain string) {
	_, attributes, _ := strings.Cut(line, ";")
	for part := range strings.SplitSeq(attributes, ";") {
		if value, is := domainAttribute(part); is {
			domain = value
		}
	}
	return domain
}

// domainAttribute returns the value of a Domain attribute, in lower case and without
// its leading dot.
func domainAttribute(part string) (domain string, is bool) {
	name, value, _ := strings.Cut(part, "=")
	return strings.TrimPrefix(lower(strings.TrimSpace(value)), "."), strings.EqualFold(strings.TrimSpace(name), "Domain")
}

// cookieDomain returns the public Domain of a cookie from a host of this share. It is
// empty when the cookie is for that host alone.
func (n *names) cookieDomain(domain string, from pair) (public string, ok bool) {
	switch {
	case domain == from.public.name && n.alone:
		return "", true
	case within(from.public.name, domain) && within(domain, n.zone):
		return domain, true // the project knows its public name
	case !within(from.local.name, domain), n.localZone != domain && within(n.localZone, domain):
		return "", false
	case n.alone, !n.hasBelow(domain, domain):
		return "", true
	case !strings.Contains(domain, "."):
		return "", false
	case within(domain, n.localZone):
		return n.below(domain), true
	}
	return n.zone, true
}

// keptCookies returns a sentence about each cookie that the project sets for several
// of its hosts, and that visitors get for one host only.
func (s *Share) keptCookies(h http.Header, v Visitor) (sentences []string) {
	n := &s.seenBy(v).names
	from, known := n.responder(v)
	if !known || !n.alone {
		return nil
	}
	for _, line := range h["Set-Cookie"] {
		domain := cookieDomainOf(line)
		if domain == "" || !within(from.local.name, domain) || domain != n.localZone && within(n.localZone, domain) || !n.hasBelow(domain, from.local.name) {
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
