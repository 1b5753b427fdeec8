//go:build !linux

package listen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// probeTimeout bounds the question whether somebody answers on loopback, where
// an answer takes microseconds.
const probeTimeout = 200 * time.Millisecond

// probe asks by connecting, because BSD and Windows let 127.0.0.1:443 be bound
// beside another's 0.0.0.0:443, and local traffic would silently change hands.
// Not tried on either.
func probe(ctx context.Context, at netip.AddrPort) error {
	if at.Port() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil
	}
	conn.Close()
	return fmt.Errorf("something answers on %s: %w", at, errTaken)
}
