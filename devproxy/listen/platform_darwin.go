package listen

import "fmt"

// permissionFix redirects 443 to the fallback with the packet filter, below an
// anchor that macOS evaluates anyway, until the next restart. Other low ports
// have no fallback a rule could lead to. It is not tried on macOS.
func permissionFix(port uint16) string {
	if port != defaultHTTPS {
		return ""
	}
	return fmt.Sprintf(`echo "rdr pass on lo0 inet proto tcp from any to 127.0.0.1 port %d -> 127.0.0.1 port %d" | sudo pfctl -a com.apple/250.devproxy -Ef -`,
		port, fallbackHTTPS)
}

func showFix(port uint16) string { return fmt.Sprintf("sudo lsof -nP -iTCP:%d -sTCP:LISTEN", port) }
