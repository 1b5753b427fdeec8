package acme

import (
	"net/netip"

	"github.com/devproxy/devproxy/tunnel"
)

// zoneKind are the zones of keys whose hosts share cookies. The authority has a budget for
// the domain that the relay is below, which the relay's own certificates and other servers
// of the same owner need too. Let's Encrypt's is 50 new names in seven days. Renewals
// count for neither budget.
var zoneKind = kind{
	label: "zone", noun: "zones", file: "zones.json", wildcard: true,
	perWeek: 25, perKey: 3, perNetwork: 10, atOnce: 1,
	instead: `remove cookies = "shared"`,
}

// CoverZone gets a certificate for a zone of a key, *.ZONE, in the background. It
// returns nil once there is one. Until then, and when there will be none, it returns a
// tunnel.Refusal that says so. network is where the key's session comes from.
func (m *Manager) CoverZone(zone, key string, network netip.Prefix) error {
	if m.opts.NoZones != "" && !m.issued(m.zones.subject(zone)) {
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay has no certificate for *." + zone + ": " + m.opts.NoZones}
	}
	return m.cover(m.zones, zone, key, network)
}
