//go:build !darwin

package listen

import (
	"context"
	"net"
	"net/netip"
)

const wildcardAllowed = false

// bindWildcard does nothing here: a wildcard address needs the same permission as a
// loopback address.
func bindWildcard(context.Context, netip.AddrPort, func(string)) net.Listener { return nil }
