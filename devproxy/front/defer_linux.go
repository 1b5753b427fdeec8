package front

import "golang.org/x/sys/unix"

// deferAccept sets TCP_DEFER_ACCEPT. A connection without data is reported after a
// second nevertheless: browsers open some in advance.
func deferAccept(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1) // see Sockets.deferAccept
}
