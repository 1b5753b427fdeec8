package service

import (
	"fmt"
	"os"
)

// ephemeralPorts is the range of ports for outgoing connections.
func ephemeralPorts() (low, high uint16) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0
	}
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		return 0, 0
	}
	return low, high
}
