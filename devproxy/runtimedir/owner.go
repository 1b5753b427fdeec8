package runtimedir

import (
	"net"
	"net/netip"
	"os"
)

// OwnClient reports whether the process at the other end of a TCP connection on this
// machine may be this user's. It is false only if the system says that it is that of
// another user. Root counts as this user: programs that forward ports run as root, and
// root can read everything anyway.
func OwnClient(local, remote netip.AddrPort) bool {
	uid, known, err := clientUID(local, remote)
	if err != nil {
		return false
	}
	return !known || uid == 0 || int(uid) == os.Geteuid()
}

// OwnPeer reports whether a process of this user is at the other end of conn.
func OwnPeer(conn net.Conn) bool {
	uid, known := peerOf(conn)
	return !showsPeers || known && uid == os.Geteuid()
}

// TrustedPeer reports whether a process of this user, or of root, listens at the other
// end of conn: systemd listens for services of a user.
func TrustedPeer(conn net.Conn) bool {
	uid, known := peerOf(conn)
	return !showsPeers || known && (uid == os.Geteuid() || uid == 0)
}

// peerOf returns the user at the other end of conn, a unix socket.
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
		peer, err := peerUID(int(fd))
		uid, known = int(peer), err == nil
	})
	return uid, known && err == nil
}
