package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// tuneSocket cannot choose the congestion control: macOS has no option for it.
func tuneSocket(fd uintptr, _ string) {
	const tcpNotsentLowat = 0x201 // netinet/tcp.h; not tried on a Mac
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, tcpNotsentLowat, unsentBytes)
}

// lossOf returns nothing: losses show in the round trips alone where the kernel's
// counts are not read.
func lossOf(*net.TCPConn) lossCount { return lossCount{} }
