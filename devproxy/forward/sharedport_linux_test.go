package forward

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sharedPorts is n where several processes can listen on one port, and each gets
// connections of its own.
func sharedPorts(n int) int { return n }

// listenShared listens n times on one port (SO_REUSEPORT, socket(7)).
func listenShared(t *testing.T, n int) []net.Listener {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if err != nil {
			return err
		}
		return failed
	}}
	addr, all := "127.0.0.1:0", make([]net.Listener, n)
	for i := range all {
		ln, err := config.Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		all[i], addr = ln, ln.Addr().String()
	}
	return all
}

// setBacklog bounds the connections of a listener that wait to be accepted.
func setBacklog(t *testing.T, ln net.Listener, n int) {
	t.Helper()
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), n) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
