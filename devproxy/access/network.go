package access

import (
	"net/netip"
	"slices"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// Site returns the prefix that one customer of a provider can have: an IPv4
// address, or a /48 of IPv6, which holds 65536 networks (RFC 6177). The zero
// Prefix stands for all unknown addresses, as in budget.NetworkOf.
func Site(addr netip.Addr) netip.Prefix {
	network := budget.NetworkOf(addr)
	if network.Addr().Is6() {
		network, _ = network.Addr().Prefix(48) // the bits of a valid address
	}
	return network
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
