//go:build !linux

package forward

import "net"

// quickAck does nothing: other systems have no such option for a connection. How
// long they delay an acknowledgement has not been tried.
func quickAck(net.Conn) {}
