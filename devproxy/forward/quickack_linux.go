package forward

import (
	"net"

	"golang.org/x/sys/unix"
)

// quickAck makes the system acknowledge at once until c sends again.
func quickAck(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return // c is closed
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) // only speed is lost
	})
}
