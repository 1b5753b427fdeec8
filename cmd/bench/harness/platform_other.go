//go:build !linux

package harness

import (
	"net"
	"os/exec"
)

func dieWithParent(*exec.Cmd) {}

// Congestion returns "unknown".
func Congestion(*net.TCPConn) string { return "unknown" }

// Unacknowledged returns 0, since it is not known.
func Unacknowledged(*net.TCPConn) int { return 0 }
