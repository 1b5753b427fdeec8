//go:build !linux

package listen

import (
	"fmt"
	"runtime"
)

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
		return fmt.Sprintf(`echo "rdr pass on lo0 inet proto tcp from any to 127.0.0.1 port %d -> 127.0.0.1 port %d" | sudo pfctl -a com.apple/250.devproxy -Ef -`,
			port, fallbackHTTPS), ""
	case runtime.GOOS == "windows":
		// Shows the ranges that Windows reserves: any other port is allowed.
		return "netsh interface ipv4 show excludedportrange protocol=tcp", ""
	}
	return "", ""
}
