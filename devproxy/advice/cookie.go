package advice

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxQuoted limits how much of a cookie's name or domain is repeated, in bytes.
const maxQuoted = 64

// maxPair is how long a cookie's name and value may be together, in bytes (RFC
// 6265bis section 5.7).
const maxPair = 4096

// ofCookie returns why browsers refuse c from host, by RFC 6265bis section 5.7, the
// storage model; empty if they do not.
func ofCookie(c cookie, host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	refused := func(why, instead string) string {
		return fmt.Sprintf("browsers refuse the cookie %q: %s; %s", shortened(c.name), why, instead)
	}
	switch {
	case c.length == 0:
		return "browsers refuse a Set-Cookie that cannot be read: it has neither a name nor a value"
	case c.length > maxPair:
		return refused(fmt.Sprintf("name and value have %d bytes, more than %d", c.length, maxPair), "keep the rest on the server")
	case c.hasPrefix("__Host-") && (!c.secure || c.path != "/" || c.domain != ""):
		return refused("a name with __Host- needs Secure and Path=/, and no Domain", "add what is missing, or rename it")
	case c.hasPrefix("__Secure-") && !c.secure:
		return refused("a name with __Secure- needs Secure", "add it: devproxy serves HTTPS")
	case c.sameSiteNone && !c.secure:
		return refused("SameSite=None needs Secure", "add it: devproxy serves HTTPS")
	case c.domain == "" || c.domain == host:
		return ""
	case isTop(c.domain, host):
		return refused(fmt.Sprintf("Domain=%s is a top-level domain", shortened(c.domain)), "leave Domain out, or write Domain="+project(host))
	case !strings.HasSuffix(host, "."+c.domain):
		return refused(fmt.Sprintf("Domain=%s is not a parent of %s", shortened(c.domain), host), "leave Domain out, or write Domain="+project(host))
	}
	return ""
}

// isTop reports whether domain has one label. Browsers treat it as a public suffix even
// if it is not on their list.
func isTop(domain, host string) bool {
	return domain == "localhost" || !strings.Contains(domain, ".") && strings.HasSuffix(host, "."+domain)
}

func shortened(text string) string { return text[:min(len(text), maxQuoted)] }

// project is the name below .localhost that all hosts of a project share.
func project(host string) string {
	name, ok := strings.CutSuffix(host, ".localhost")
	if !ok {
		return host
	}
	return name[strings.LastIndexByte(name, '.')+1:] + ".localhost"
}

// cookie is what advice needs of a Set-Cookie field.
type cookie struct {
	name         string // empty for a lone value
	length       int    // of name and value together, in bytes
	domain       string // in lower case, without the leading dot; empty for none
	path         string // as written; empty for none
	secure       bool
	sameSiteNone bool
}

// parseCookie reads a Set-Cookie field as browsers do (RFC 6265bis section 5.6).
// http.ParseSetCookie is stricter: it refuses names like "user[id]" and values
// like {"a":1}, which browsers accept. It never fails.
func parseCookie(line string) cookie {
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, named := strings.Cut(pair, "=")
	if !named {
		name, value = "", pair
	}
	name, value = trim(name), trim(value)
	c := cookie{name: name, length: len(name) + len(value)}
	for attribute := range strings.SplitSeq(attributes, ";") {
		key, value := attributeOf(attribute)
		switch key { // of several the last one counts
		case "domain":
			c.domain = strings.ToLower(strings.TrimPrefix(value, "."))
		case "path":
			c.path = value
		case "secure":
			c.secure = true
		case "samesite":
			c.sameSiteNone = strings.EqualFold(value, "none")
		}
	}
	return c
}

// attributeOf splits an attribute; its key is in lower case.
func attributeOf(text string) (key, value string) {
	key, value, _ = strings.Cut(text, "=")
	return strings.ToLower(trim(key)), trim(value)
}

// hasPrefix reports whether the name begins with prefix, in any case, as browsers do:
// servers may read "__host-" too.
func (c *cookie) hasPrefix(prefix string) bool {
	return len(c.name) >= len(prefix) && strings.EqualFold(c.name[:len(prefix)], prefix)
}

func trim(s string) string { return strings.Trim(s, " \t") }

// cookie rewrites a Set-Cookie line so that the browser stores the upstream's cookie
// for Origin (RFC 6265bis section 5.7):
//
//   - A Domain that is the upstream's own host or above it is left out, which limits
//     the cookie to Origin's host. A Domain that contains Origin's host stays, and so
//     does one that a browser would not accept from the upstream either.
//   - Path becomes the one on which the browser reaches what the upstream means. "/"
//     stays: it covers that, and routes next to this one may share the cookie.
//   - Where Origin is plain HTTP, Secure is left out with what requires it,
//     SameSite=None and Partitioned: not every browser accepts Secure over HTTP from
//     this machine.
//
// A cookie whose name begins with __Host- or __Secure- keeps Secure, without which no
// browser accepts it; one with __Host- keeps a Domain, with which none does.
func (o Outside) cookie(line string) string {
	parts := strings.Split(line, ";")
	c := parseCookie(line)
	host, prefixed := c.hasPrefix("__Host-"), c.hasPrefix("__Host-") || c.hasPrefix("__Secure-")
	dropDomain := c.domain != "" && !host && !o.inDomain(c.domain) && o.isUpstreamDomain(c.domain)
	dropSecure := strings.HasPrefix(o.Origin, "http:") && c.secure && !prefixed
	kept := parts[:1]
	for _, part := range parts[1:] {
		key, value := attributeOf(part)
		drop := false
		switch key {
		case "domain":
			drop = dropDomain
		case "secure", "partitioned":
			drop = dropSecure
		case "samesite":
			drop = dropSecure && strings.EqualFold(value, "none")
		case "path":
			if outside := o.path(value, false); strings.HasPrefix(value, "/") && value != "/" && outside != value {
				before, _, _ := strings.Cut(part, "=")
				part = before + "=" + outside
			}
		}
		if !drop {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ";")
}

// inDomain reports whether Origin's host is in a cookie's domain.
func (o Outside) inDomain(domain string) bool {
	_, authority, _ := strings.Cut(o.Origin, "://")
	return domainMatch(hostOf(authority), domain)
}

// isUpstreamDomain reports whether a browser that talked to the upstream directly would
// accept a cookie of that domain. A single label is a top-level domain, for which it
// would not, unless it is the host's whole name.
func (o Outside) isUpstreamDomain(domain string) bool {
	return o.anyMember(func(m plan.Member) bool {
		authorities := []string{m.Authority}
		if m.Network != "unix" {
			authorities = append(authorities, m.Addrs...)
		}
		return slices.ContainsFunc(authorities, func(authority string) bool {
			host := hostOf(authority)
			return domainMatch(host, domain) && (strings.Contains(strings.Trim(domain, "."), ".") || sameHost(host, domain))
		})
	})
}

// domainMatch reports whether host is in domain (RFC 6265bis section 5.1.3).
func domainMatch(host, domain string) bool {
	host, domain = strings.ToLower(strings.TrimSuffix(host, ".")), strings.ToLower(strings.TrimSuffix(domain, "."))
	_, noAddress := netip.ParseAddr(host)
	return sameHost(host, domain) || noAddress != nil && domain != "" && strings.HasSuffix(host, "."+domain)
}
