//go:build !linux

package share

import "net"

func congestionOf(*net.TCPConn) string { return "unknown" }

func unacknowledged(*net.TCPConn) int { return 0 }
