package container

import (
	"net"

	"golang.org/x/sys/unix"
)

// listensAsRoot reports whether root listens at the other end of conn, a unix socket: it
// is an engine of the system, or systemd that starts one.
func listensAsRoot(conn net.Conn) bool {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	byRoot := false
	err = raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		byRoot = err == nil && peer.Uid == 0
	})
	return err == nil && byRoot
}
