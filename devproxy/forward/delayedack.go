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
	// delayedAcks is how many in a row say so: this machine may be busy, too.
	delayedAcks = 3
)

// noteBody says how long the first of a body came after its head. After delayedAcks
// that were late, the member's connections acknowledge at once.
func (s *connections) noteBody(after time.Duration) {
	switch late := s.late.Load(); {
	case late == delayedAcks:
	case after >= delayedAckMin && after <= delayedAckMax:
		s.late.CompareAndSwap(late, late+1)
	case late > 0:
		s.late.CompareAndSwap(late, 0)
	}
}

// hasty reports whether connections acknowledge at once.
func (s *connections) hasty() bool { return s.late.Load() == delayedAcks }

// acknowledge has what comes next on c acknowledged at once, if the system can.
func acknowledge(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		quickAck(tcp)
	}
}
