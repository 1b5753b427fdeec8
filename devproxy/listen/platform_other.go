//go:build !linux

package listen

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/devproxy/devproxy/devproxy/programs"
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
func findHolder(port uint16) Holder { return newHolder(tcp, port, 0, "", "", "", "") }

// UDPHolder finds no process either.
func UDPHolder(port uint16) Holder { return newHolder(udp, port, 0, "", "", "", "") }

// ListeningProcesses is empty here: the system has no file to read it from.
func ListeningProcesses() []Process { return nil }

// Twins finds none here.
func Twins(int) (four, six Process, ok bool) { return Process{}, Process{}, false }

// Inherit finds no sockets here: only systemd passes them in this way.
func Inherit(string) (*Passed, error) { return nil, nil }

// StrangerOn is false: the system does not show whose a port is.
func StrangerOn(uint16) bool { return false }

// permissionSteps are none here: a person runs the command of permissionFix.
func permissionSteps(uint16) []Step { return nil }

// permissionFix returns the command that lets this user bind a port; empty for none.
// Those of macOS and Windows were not tried there.
func permissionFix(port uint16) (fix, obstacle string) {
	switch {
	case runtime.GOOS == "darwin" && port == defaultHTTPS:
		// Redirects 443 to the fallback with the packet filter, below an anchor that
		// macOS evaluates anyway, until the next restart. No other low
		// port has a fallback to redirect to.
		return fmt.Sprintf(`echo "rdr pass on lo0 inet proto tcp from any to 127.0.0.1 port %d -> 127.0.0.1 port %d" | `,
			port, fallbackHTTPS) + programs.Here().RootLine("pfctl", "-a", "com.apple/250.devproxy", "-Ef", "-"), ""
	case runtime.GOOS == "windows":
		// Shows the ranges that Windows reserves: any other port is allowed.
		return "netsh interface ipv4 show excludedportrange protocol=tcp", ""
	}
	return "", ""
}
