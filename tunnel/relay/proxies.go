package relay

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxProxies bounds the entries of X-Forwarded-For that are read.
const maxProxies = 32

// proxies are the addresses of servers in front of the relay.
type proxies []netip.Prefix

// newProxies normalizes prefixes like the addresses that they are compared with.
func newProxies(prefixes []netip.Prefix) proxies {
	var all proxies
	for _, prefix := range prefixes {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		all = append(all, prefix.Masked())
	}
	return all
}

// has reports whether addr is one of them. addr is unmapped and has no zone.
func (p proxies) has(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// visitorOf returns the visitor that sent a request: the connection's peer, or behind a
// trusted proxy the address that it names, in CF-Connecting-IP if it is Cloudflare's and in
// X-Forwarded-For otherwise.
func (r *Relay) visitorOf(c *conn, fields http.Header) (netip.AddrPort, *network) {
	peer := c.addr.Addr()
	if !r.trusted.has(peer) {
		return c.addr, c.from
	}
	addr, named := netip.Addr{}, false
	if r.cloudflare.has(peer) {
		addr, named = connectingIP(fields)
	}
	if !named {
		addr = forwardedFor(fields["X-Forwarded-For"], r.trusted)
	}
	return netip.AddrPortFrom(addr, 0), r.conns.network(addr)
}

// connectingIP returns the address of Cloudflare's visitor. Cloudflare sends one field with
// one address, or none if its user has turned that off.
func connectingIP(fields http.Header) (netip.Addr, bool) {
	values := fields["Cf-Connecting-Ip"]
	if len(values) != 1 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(values[0])
	return addr.Unmap().WithZone(""), err == nil
}

// visitorScheme returns how a visitor has connected to the trusted proxy peer, as that
// says; empty if it does not, and for any other peer.
func (r *Relay) visitorScheme(peer netip.Addr, fields http.Header) string {
	if !r.trusted.has(peer) {
		return ""
	}
	scheme := ""
	if list := strings.Join(fields["X-Forwarded-Proto"], ","); list != "" {
		scheme = list[strings.LastIndexByte(list, ',')+1:] // that of the nearest proxy
	}
	if values := fields["Cf-Visitor"]; len(values) == 1 && r.cloudflare.has(peer) {
		var visitor struct{ Scheme string }
		if json.Unmarshal([]byte(values[0]), &visitor) == nil && visitor.Scheme != "" {
			scheme = visitor.Scheme
		}
	}
	return lowerASCII(strings.Trim(scheme, " \t"))
}

// forwardedFor returns the last address in X-Forwarded-For that is not a trusted
// proxy's. Clients can forge everything before it. It is zero without such an
// address.
func forwardedFor(lines []string, trusted proxies) netip.Addr {
	list := strings.Join(lines, ",")
	for range maxProxies {
		rest, entry, more := strings.CutLast(list, ",")
		if !more {
			entry = rest
		}
		addr, ok := parseNode(strings.Trim(entry, " \t"))
		if !ok || !trusted.has(addr) || !more {
			return addr // with nothing more, the first proxy sent the request itself
		}
		list = rest
	}
	return netip.Addr{}
}

// parseNode parses an address with or without a port: proxies write both.
func parseNode(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		var at netip.AddrPort
		at, err = netip.ParseAddrPort(text)
		addr = at.Addr()
	}
	return addr.Unmap().WithZone(""), err == nil
}
