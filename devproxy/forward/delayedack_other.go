//go:build !linux

package forward

import "net"

// quickAck does nothing: other systems have no such option for a connection. How
// long they delay an acknowledgement was not tried.
func quickAck(*net.TCPConn) {}
