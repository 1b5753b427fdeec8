//go:build !linux

package listen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// probeTimeout bounds the probe of a loopback address, where an answer takes
// microseconds.
const probeTimeout = 200 * time.Millisecond

// probe connects first, because BSD and Windows let 127.0.0.1:443 be bound
// next to another process's 0.0.0.0:443, which would silently redirect local
// traffic. It is not tried on either.
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
	return fmt.Errorf("a process already listens on %s: %w", at, errTaken)
}

// findHolder finds no process: macOS and Windows show them only through other
// programs, and the fix names the one to run.
func findHolder(port uint16) Holder { return newHolder(port, 0, "", "", "", "") }

// ListeningProcesses is empty here: the system has no file to read it from.
func ListeningProcesses() []Process { return nil }

// Twins finds none here.
func Twins(int) (four, six Process, ok bool) { return Process{}, Process{}, false }
