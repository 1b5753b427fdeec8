package forward

import (
	"net"
	"time"
)

// Some servers write the head and the body of an answer apart, and leave Nagle's
// algorithm on: Python's http.server and wsgiref, and so Django's runserver. The
// body then waits until this side acknowledges the head, which Linux delays by 40
// ms on a connection that is used again (tcp(7), TCP_QUICKACK). Who does that is
// seen by the time that passes between the two.
const (
	delayedAckMin = 35 * time.Millisecond
	delayedAckMax = 60 * time.Millisecond
)

// noteBody says how long the first of a body came after its head. From then on
// the member's connections acknowledge at once.
func (s *connections) noteBody(after time.Duration) {
	if after >= delayedAckMin && after <= delayedAckMax && !s.hasty.Load() {
		s.hasty.Store(true)
	}
}

// acknowledge has what comes next on c acknowledged at once, if the system can.
func acknowledge(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		quickAck(tcp)
	}
}
