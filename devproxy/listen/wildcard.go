package listen

import (
	"context"
	"net"
	"net/netip"
	"runtime"
)

// wildcardAllowed: macOS 10.14 and newer let every user listen on low ports, but only on
// all addresses.
const wildcardAllowed = runtime.GOOS == "darwin"

// firewallText is said before a wildcard address is opened: the firewall of macOS, if it
// is on, shows a dialog then.
const firewallText = "macOS may ask whether devproxy may accept incoming connections. You can deny it: devproxy serves this machine only, and closes connections from others"

// bindWildcard listens on the port of at on all addresses of its family, since a loopback
// address alone is not allowed. It returns nil if that fails, and on systems where a
// wildcard address needs the same permission. The accept loops close connections that do
// not come from a loopback address before a byte is read (front.Local). This was compiled,
// not tried, on macOS.
func bindWildcard(ctx context.Context, at netip.AddrPort, announce func(string)) net.Listener {
	if !wildcardAllowed {
		return nil
	}
	announce(firewallText)
	everywhere := netip.IPv4Unspecified()
	if at.Addr().Is6() {
		everywhere = netip.IPv6Unspecified()
	}
	socket, err := listenOn(ctx, netip.AddrPortFrom(everywhere, at.Port()))
	if err != nil {
		return nil
	}
	return socket
}
