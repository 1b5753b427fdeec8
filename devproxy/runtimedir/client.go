package runtimedir

import (
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
