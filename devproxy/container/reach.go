package container

import (
	"errors"
	"net/netip"
)

// Reach returns the address where this machine reaches the port of c. Port 0 means the
// one that the label devproxy.port names; without the label, the only TCP port that is
// published, or else the only one that is exposed. The error says what to write.
func (c *Container) Reach(port uint16) (netip.AddrPort, error) {
	return netip.AddrPort{}, errors.New("not known yet")
}
