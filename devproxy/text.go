package devproxy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// describe is a process as people know it: "node (pid 41213, ~/shop/web)".
func describe(p listen.Process) string {
	if p.Dir == "" {
		return fmt.Sprintf("%s (pid %d)", p.Name, p.PID)
	}
	return fmt.Sprintf("%s (pid %d, %s)", p.Name, p.PID, Home(p.Dir))
}

// Home is path with the home directory shortened to "~".
func Home(path string) string {
	home, err := os.UserHomeDir()
	if err != nil || home == "/" {
		return path
	}
	if rest, ok := strings.CutPrefix(path, home); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		return "~" + rest
	}
	return path
}

// shortCause is the end of a network error: "connection refused".
func shortCause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err.Error()
}

// portOf is the port of the one member on this machine; 0 for anything else.
func portOf(spec *plan.Upstream) int {
	if len(spec.Members) != 1 || spec.Members[0].Network != "tcp" {
		return 0
	}
	host, port, err := net.SplitHostPort(spec.Members[0].Addrs[0])
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return 0
	}
	n, _ := strconv.Atoi(port) // the plan's own
	return n
}

func itoa(n uint16) string { return strconv.Itoa(int(n)) }

func abs(n int) int { return max(n, -n) }
