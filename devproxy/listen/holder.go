package listen

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"

	"github.com/devproxy/devproxy/devproxy/programs"
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
	// Obstacle is why no command gives the permission, and what to do, for Permission
	// without a Fix.
	Obstacle string
}

// explain finds out which process has the port and what helps. It reads much of
// /proc, so it is called only for a failure that is reported.
func (e *BindError) explain() {
	switch e.Reason {
	case Permission:
		e.Fix, e.Obstacle = permissionFix(e.Addr.Port())
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
		if e.Obstacle != "" {
			return prefix + "this machine does not allow it; " + e.Obstacle
		}
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

// The networks of a port.
const (
	tcp = "tcp"
	udp = "udp"
)

func newHolder(network string, port uint16, pid int, name, user, dir, service string) Holder {
	h := Holder{PID: pid, Name: name, User: user, Dir: dir, Fix: showFix(network, port)}
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
		h.Fix, h.Stops = programs.Here().RootLine("systemctl", "stop", service), true
	case name == "systemd" && service == "":
		h.Fix = "systemctl list-sockets; systemctl --user list-sockets" // it has the port for a unit
	case name == "devproxy":
		h.Fix = "devproxy status --all" // one of the user's projects is never in the way
	case name == "docker-proxy":
		// Killing the proxy process does not help: its container has the port.
		h.Fix = fmt.Sprintf("docker ps --filter publish=%d/%s", port, network)
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

// showFix returns the command that shows which process has a port.
func showFix(network string, port uint16) string {
	switch {
	case runtime.GOOS == "linux" && network == udp:
		return programs.Here().RootLine("ss", "-aunp", fmt.Sprintf("sport = :%d", port))
	case runtime.GOOS == "linux":
		return programs.Here().RootLine("ss", "-ltnp", fmt.Sprintf("sport = :%d", port))
	case runtime.GOOS == "windows" && network == udp:
		return fmt.Sprintf("netstat -ano -p UDP | findstr :%d", port)
	case runtime.GOOS == "windows":
		return fmt.Sprintf("netstat -ano -p TCP | findstr LISTENING | findstr :%d", port)
	case network == udp:
		return programs.Here().RootLine("lsof", "-nP", fmt.Sprintf("-iUDP:%d", port))
	}
	return programs.Here().RootLine("lsof", "-nP", fmt.Sprintf("-iTCP:%d", port), "-sTCP:LISTEN")
}
