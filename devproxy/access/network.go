package access

import (
	"net/netip"
	"slices"
)

// Network is what one person has to ask from: an IPv4 address, or a /64 of
// IPv6, which is the least that a provider hands out. The zero Prefix stands
// for all whose address is not known.
func Network(addr netip.Addr) netip.Prefix { return around(addr, 64) }

// Site returns the prefix that one customer of a provider can have: an IPv4
// address, or a /48 of IPv6, which holds 65536 networks (RFC 6177). The zero
// Prefix stands for all unknown addresses, as in Network.
func Site(addr netip.Addr) netip.Prefix { return around(addr, 48) }

// around is an IPv4 address, or the first bits of an IPv6 one.
func around(addr netip.Addr, bits int) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		bits = 32
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero Addr
	}
	return prefix
}

// Allowed reports whether addr may ask: not when it is in deny, and with an
// allow only when it is in that. Whose address is not known is in every deny
// and in no allow.
func Allowed(addr netip.Addr, allow, deny []netip.Prefix) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return len(allow) == 0 && len(deny) == 0
	}
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	return !slices.ContainsFunc(deny, in) && (len(allow) == 0 || slices.ContainsFunc(allow, in))
}
