package listen

import (
	"fmt"
	"strings"
)

// Holder is who listens on a port, as far as the system tells us.
type Holder struct {
	PID  int    // 0 when not known
	Name string // "caddy"; empty when not known
	User string // "root"; empty when not known
	Dir  string // its working directory; empty when not known
	// Text is the holder as a noun: "caddy (pid 812, root)", "a process of
	// root" or "another process".
	Text string
	// Fix is one shell command that frees the port, or shows who holds it.
	Fix string
}

func newHolder(port uint16, pid int, name, user, dir, service string) Holder {
	h := Holder{PID: pid, Name: name, User: user, Dir: dir, Fix: showFix(port)}
	switch {
	case name != "" && pid != 0:
		h.Text = fmt.Sprintf("%s (%s)", name, strings.Join(nonEmpty(fmt.Sprintf("pid %d", pid), user), ", "))
	case user != "":
		h.Text = "a process of " + user
	default:
		h.Text = "another process"
	}
	switch {
	case service != "":
		h.Fix = "sudo systemctl stop " + service
	case name == "docker-proxy":
		// Stopping the proxy process helps nobody: its container has the port.
		h.Fix = fmt.Sprintf("docker ps --filter publish=%d", port)
	case pid != 0:
		h.Fix = fmt.Sprintf("kill %d", pid)
	}
	return h
}

func nonEmpty(parts ...string) []string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return kept
}

// Process is a process of the user that listens on loopback or everywhere.
type Process struct {
	PID   int
	Name  string // "node"
	Dir   string // its working directory; empty when not known
	Ports []int  // ascending, each once
}
