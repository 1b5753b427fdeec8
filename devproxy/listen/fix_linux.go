package listen

import "fmt"

// permissionFix lets everyone bind ports from 80 (or port, if lower) upwards,
// now and after a restart.
func permissionFix(port uint16) string {
	return fmt.Sprintf("echo net.ipv4.ip_unprivileged_port_start=%d | sudo tee /etc/sysctl.d/50-devproxy.conf && sudo sysctl --system",
		min(port, defaultHTTP))
}

func showFix(port uint16) string { return fmt.Sprintf("sudo ss -ltnp 'sport = :%d'", port) }
