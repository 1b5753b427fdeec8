//go:build linux || darwin

package runtimedir

import (
	"net"
	"os"
)

// OwnPeer reports whether a process of this user is at the other end of conn.
func OwnPeer(conn net.Conn) bool {
	uid, known := peerOf(conn)
	return known && uid == os.Geteuid()
}

// TrustedPeer reports whether a process of this user, or of root, listens at the other
// end of conn: systemd listens for services of a user.
func TrustedPeer(conn net.Conn) bool {
	uid, known := peerOf(conn)
	return known && (uid == os.Geteuid() || uid == 0)
}

func peerOf(conn net.Conn) (uid int, known bool) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		var peer uint32
		peer, err := peerUID(int(fd))
		uid, known = int(peer), err == nil
	})
	return uid, known && err == nil
}
