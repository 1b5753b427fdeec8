package listen

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// address is what a user asked for: a port on one or both loopback addresses.
type address struct {
	ips  []netip.Addr
	port uint16 // 0 picks a free one
}

// bothLoopbacks are the addresses of a port given without a host.
func bothLoopbacks() []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
}

// parseAddress reads "8443", ":8443", "localhost:8443", "127.0.0.1:8443" or
// "[::1]:8443". Anything that others on the network could reach is refused.
func parseAddress(s string) (address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = "", s // a bare number
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("listen address %q is not PORT, :PORT or ADDRESS:PORT with a port from 0 to 65535", s)
	}
	if host == "" || host == "localhost" {
		return address{ips: bothLoopbacks(), port: uint16(number)}, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return address{}, fmt.Errorf("listen address %q: %q is not an IP address; write :%s for this machine", s, host, port)
	}
	if !ip.IsLoopback() {
		return address{}, fmt.Errorf("listen address %q can be reached by others, and devproxy serves this machine only; write :%s", s, port)
	}
	return address{ips: []netip.Addr{ip}, port: uint16(number)}, nil
}
