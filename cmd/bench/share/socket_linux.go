package share

import (
	"net"

	"golang.org/x/sys/unix"
)

// congestionOf is the congestion control of a connection.
func congestionOf(c *net.TCPConn) string {
	raw, err := c.SyscallConn()
	if err != nil {
		return "unknown"
	}
	name := "unknown"
	_ = raw.Control(func(fd uintptr) {
		if text, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION); err == nil {
			name = text
		}
	})
	return name
}

// unacknowledged is how many bytes a socket has sent, or will send, that the
// other end does not have yet.
func unacknowledged(c *net.TCPConn) int {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	n := 0
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n
}
