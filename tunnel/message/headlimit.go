package message

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// headLimit bounds the time that a head may take to arrive. The scanner holds a head until
// it is complete, so net/http considers a connection idle on which half of one has come.
type headLimit struct {
	timeout time.Duration
	// busy is true while a request is in progress. Heads that arrive then wait for their
	// turn and are not limited: a failing Read would cancel that request.
	busy atomic.Bool
	// begun is true from the first limited Read of a head to its last byte. Only Read uses
	// it.
	begun bool

	mu    sync.Mutex
	asked time.Time // the read deadline that net/http has set
	until time.Time // for the head that is arriving; zero without a limit
}

// begin limits a head whose first bytes have come.
func (l *headLimit) begin(c net.Conn) {
	if l.begun || l.timeout == 0 || l.busy.Load() {
		return
	}
	l.begun = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(l.timeout)
	_ = c.SetReadDeadline(l.earliestLocked()) // the Read that follows fails too
}

// end removes the limit: the head has come.
func (l *headLimit) end(c net.Conn) {
	if !l.begun {
		return
	}
	l.begun = false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	_ = c.SetReadDeadline(l.asked) // the Read that follows fails too
}

func (l *headLimit) setReadDeadline(c net.Conn, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = at
	return c.SetReadDeadline(l.earliestLocked())
}

func (l *headLimit) earliestLocked() time.Time {
	if l.asked.IsZero() || !l.until.IsZero() && l.until.Before(l.asked) {
		return l.until
	}
	return l.asked
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(at time.Time) error { return c.limit.setReadDeadline(c.Conn, at) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(at time.Time) error {
	if err := c.SetWriteDeadline(at); err != nil {
		return err
	}
	return c.SetReadDeadline(at)
}
