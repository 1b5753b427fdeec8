package listen

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// Reason is why a port could not be bound.
type Reason int

// The reasons with a known fix.
const (
	Permission Reason = iota + 1 // only privileged processes may bind it
	Taken                        // another socket is bound to it
	Shared                       // the user's other projects share another port
)

// errTaken is matched by every error that means: another socket has the port.
var errTaken = errors.New("the port is taken")

func reasonOf(err error) Reason {
	switch {
	case errors.Is(err, errTaken), neterror.Taken(err):
		return Taken
	case neterror.Forbidden(err):
		return Permission
	}
	return 0
}

// BindError says that an address could not be bound, why, and what helps. A
// configured port is never replaced, so it ends the program.
type BindError struct {
	Addr netip.AddrPort
	// Reason is zero when the cause has no known fix.
	Reason Reason
	// Err is the system's error.
	Err error
	// Holder has the port, for Taken; else nil.
	Holder *Holder
	// Fix is a shell command that helps, or shows more; empty if none does.
	Fix string
}

// explain finds out which process has the port and what helps. It reads much of
// /proc, so it is called only for a failure that is reported.
func (e *BindError) explain() {
	switch e.Reason {
	case Permission:
		e.Fix = permissionFix(e.Addr.Port())
	case Taken:
		holder := findHolder(e.Addr.Port())
		e.Holder, e.Fix = &holder, holder.Fix
	}
}

// Error is "cannot listen on 127.0.0.1:443: caddy (pid 812, root) is using it".
func (e *BindError) Error() string {
	prefix := "cannot listen on " + e.Addr.String() + ": "
	switch e.Reason {
	case Permission:
		return prefix + "this machine does not allow it"
	case Taken:
		return prefix + e.Holder.Text + " is using it"
	}
	return prefix + e.Err.Error()
}

// Unwrap returns the system's error.
func (e *BindError) Unwrap() error { return e.Err }

// Is matches errTaken, whatever the system calls it.
func (e *BindError) Is(target error) bool { return target == errTaken && e.Reason == Taken }

// Holder is the process that listens on a port, as far as the system shows it.
type Holder struct {
	PID  int    // 0 when not known
	Name string // "caddy"; empty when not known
	User string // "root"; empty when not known
	Dir  string // its working directory; empty when not known
	// Text is the holder as a noun: "caddy (pid 812, root)", "a process of
	// root" or "another process".
	Text string
	// Fix is a shell command: if Stops, it frees the port, else it shows more.
	Fix   string
	Stops bool
}

func newHolder(port uint16, pid int, name, user, dir, service string) Holder {
	h := Holder{PID: pid, Name: name, User: user, Dir: dir, Fix: showFix(port)}
	switch {
	case name != "" && pid != 0 && user != "":
		h.Text = fmt.Sprintf("%s (pid %d, %s)", name, pid, user)
	case name != "" && pid != 0:
		h.Text = fmt.Sprintf("%s (pid %d)", name, pid)
	case user != "":
		h.Text = "a process of " + user
	default:
		h.Text = "another process"
	}
	switch {
	case service != "":
		h.Fix, h.Stops = "sudo systemctl stop "+service, true
	case name == "devproxy":
		h.Fix = "devproxy status --all" // one of the user's projects is never in the way
	case name == "docker-proxy":
		// Killing the proxy process does not help: its container has the port.
		h.Fix = fmt.Sprintf("docker ps --filter publish=%d", port)
	case pid != 0:
		h.Fix, h.Stops = fmt.Sprintf("kill %d", pid), true
	}
	return h
}

// Process is a process of the user that listens on loopback or everywhere.
type Process struct {
	PID   int
	Name  string // "node"
	Dir   string // its working directory; empty when not known
	Ports []int  // ascending, each once
}

// permissionFix returns the command that lets this user bind a port; empty for none.
// Those of macOS and Windows were not tried there.
func permissionFix(port uint16) string {
	switch {
	case runtime.GOOS == "linux":
		// Lets everyone bind ports from 80 (or port, if lower) upwards, now and after a
		// restart.
		return fmt.Sprintf("echo net.ipv4.ip_unprivileged_port_start=%d | sudo tee /etc/sysctl.d/50-devproxy.conf && sudo sysctl --system",
			min(port, defaultHTTP))
	case runtime.GOOS == "darwin" && port == defaultHTTPS:
		// Redirects 443 to the fallback with the packet filter, below an anchor that
		// macOS evaluates anyway, until the next restart. No other low
		// port has a fallback to redirect to.
		return fmt.Sprintf(`echo "rdr pass on lo0 inet proto tcp from any to 127.0.0.1 port %d -> 127.0.0.1 port %d" | sudo pfctl -a com.apple/250.devproxy -Ef -`,
			port, fallbackHTTPS)
	case runtime.GOOS == "windows":
		// Shows the ranges that Windows reserves: any other port is allowed.
		return "netsh interface ipv4 show excludedportrange protocol=tcp"
	}
	return ""
}

// showFix returns the command that shows which process has a port.
func showFix(port uint16) string {
	switch runtime.GOOS {
	case "linux":
		return fmt.Sprintf("sudo ss -ltnp 'sport = :%d'", port)
	case "windows":
		return fmt.Sprintf("netstat -ano -p TCP | findstr LISTENING | findstr :%d", port)
	}
	return fmt.Sprintf("sudo lsof -nP -iTCP:%d -sTCP:LISTEN", port)
}
