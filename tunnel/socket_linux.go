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

// lossOf reads TCP_INFO (tcp(7)).
func lossOf(c *net.TCPConn) (count lossCount, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return count, false
	}
	err = raw.Control(func(fd uintptr) {
		info, failed := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if ok = failed == nil; ok {
			count = lossCount{
				again: uint64(info.Total_retrans), window: info.Snd_cwnd,
				rtt: time.Duration(info.Rtt) * time.Microsecond, least: time.Duration(info.Min_rtt) * time.Microsecond,
			}
		}
	})
	return count, ok && err == nil
}
