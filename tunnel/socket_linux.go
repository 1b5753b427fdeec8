package tunnel

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

func tuneSocket(fd uintptr, congestion string) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	if congestion != "" && congestion != "system" {
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
	}
}

// lossOf reads TCP_INFO (tcp(7)). Where that fails, it returns zeros.
func lossOf(c *net.TCPConn) (count lossCount) {
	raw, err := c.SyscallConn()
	if err != nil {
		return count
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			count = lossCount{
				again: uint64(info.Total_retrans), window: info.Snd_cwnd,
				rtt: time.Duration(info.Rtt) * time.Microsecond, least: time.Duration(info.Min_rtt) * time.Microsecond,
			}
		}
	})
	return count
}
