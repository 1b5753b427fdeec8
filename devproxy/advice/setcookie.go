package advice

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// cookie is a Set-Cookie line as the browser has to get it, so that it keeps a
// cookie of the upstream for Origin (RFC 6265bis section 5.7):
//
//   - A Domain that is the upstream's own host or above it is left out, and the cookie
//     is that of Origin's host alone. A Domain that Origin's host is in stays, and so
//     does one that a browser would not take from the upstream either.
//   - Path is the one on which the browser reaches what the upstream means. "/" stays:
//     it covers that, and routes next to this one may share the cookie.
//   - Where Origin is plain HTTP, Secure is left out with what needs it, SameSite=None
//     and Partitioned: not every browser takes Secure over HTTP from this machine.
//
// A cookie whose name begins with __Host- or __Secure- keeps Secure, without which no
// browser takes it; one with __Host- keeps a Domain, with which none does.
func (o Outside) cookie(line string) string {
	parts := strings.Split(line, ";")
	c := parseCookie(line)
	host, prefixed := c.hasPrefix("__Host-"), c.hasPrefix("__Host-") || c.hasPrefix("__Secure-")
	dropDomain := c.domain != "" && !host && !o.inDomain(c.domain) && o.isUpstreamDomain(c.domain)
	dropSecure := strings.HasPrefix(o.Origin, "http:") && c.secure && !prefixed
	kept := parts[:1]
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(trim(key)) {
		case "domain":
			if dropDomain {
				continue
			}
		case "secure", "partitioned":
			if dropSecure {
				continue
			}
		case "samesite":
			if dropSecure && strings.EqualFold(trim(value), "none") {
				continue
			}
		case "path":
			path := trim(value)
			if outside := o.path(path, false); strings.HasPrefix(path, "/") && path != "/" && outside != path {
				part = key + "=" + outside
			}
		}
		kept = append(kept, part)
	}
	return strings.Join(kept, ";")
}

// inDomain reports whether Origin's host is in a cookie's domain.
func (o Outside) inDomain(domain string) bool {
	_, authority, _ := strings.Cut(o.Origin, "://")
	host, _ := splitAuthority(authority)
	return domainMatch(host, domain)
}

// isUpstreamDomain reports whether a browser that asked the upstream itself would take
// a cookie of that domain. One of a single label is a top-level domain, from which it
// would not, unless it is the host's whole name.
func (o Outside) isUpstreamDomain(domain string) bool {
	return slices.ContainsFunc(slices.Concat(o.Upstream.Members, o.Upstream.Fallback), func(m plan.Member) bool {
		hosts := []string{hostOf(m.Authority)}
		if m.Network != "unix" {
			for _, addr := range m.Addrs {
				hosts = append(hosts, hostOf(addr))
			}
		}
		return slices.ContainsFunc(hosts, func(host string) bool {
			return host != "" && domainMatch(host, domain) && (strings.Contains(strings.Trim(domain, "."), ".") || sameHost(host, domain))
		})
	})
}

// domainMatch reports whether host is in domain (RFC 6265bis section 5.1.3).
func domainMatch(host, domain string) bool {
	host, domain = strings.ToLower(strings.TrimSuffix(host, ".")), strings.ToLower(strings.TrimSuffix(domain, "."))
	if host == "" || domain == "" {
		return false
	}
	if sameHost(host, domain) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err != nil && strings.HasSuffix(host, "."+domain)
}
