package harness

import (
	"net"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel end the process when ours is killed. The thread
// that starts it must last as long as we do; main sees to that.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// Congestion returns the congestion control of a connection.
func Congestion(c *net.TCPConn) string {
	name := "unknown"
	control(c, func(fd int) {
		if text, err := unix.GetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION); err == nil {
			name = text
		}
	})
	return name
}

// Unacknowledged returns how many bytes a socket has sent, or will send, that the
// other end does not have yet.
func Unacknowledged(c *net.TCPConn) (n int) {
	control(c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return n
}

// control calls do with the socket of a connection that is open.
func control(c *net.TCPConn, do func(fd int)) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { do(int(fd)) })
	}
}
