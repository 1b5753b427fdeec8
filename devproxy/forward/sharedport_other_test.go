//go:build !linux

package forward

import (
	"net"
	"testing"
)

// sharedPorts is 1: other systems give all connections to one of the processes
// that listen on a port, or refuse the second.
func sharedPorts(int) int { return 1 }

func listenShared(t *testing.T, _ int) []net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return []net.Listener{ln}
}

// setBacklog skips the test: it was not tried elsewhere.
func setBacklog(t *testing.T, _ net.Listener, _ int) {
	t.Helper()
	t.Skip("changes the backlog of a listener, which has only been tried on Linux")
}
