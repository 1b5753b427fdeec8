//go:build linux || darwin

package runtimedir

import (
	"net"
	"os"
)

// OwnPeer reports whether a process of this user is at the other end of conn.
func OwnPeer(conn net.Conn) bool {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	own := false
	err = raw.Control(func(fd uintptr) {
		uid, err := peerUID(int(fd))
		own = err == nil && int(uid) == os.Geteuid()
	})
	return err == nil && own
}
