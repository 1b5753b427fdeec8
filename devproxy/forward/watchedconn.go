package forward

import (
	"container/list"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// watchedConn tells the exchange that uses it when it is closed. http.Transport
// waits for a request's body to be read before it reports that the connection
// died, and a visitor who waits for an answer sends nothing more.
type watchedConn struct {
	net.Conn

	written atomic.Int64

	mu      sync.Mutex
	closed  bool
	onClose func()
	// abandon takes the connection over instead of closing it, or reports false.
	abandon func(*watchedConn) bool
	taken   bool // by abandon

	conns     *connections  // of its member; nil when nobody counts it
	dialled   time.Time     // when its dial began
	connected time.Time     // when it ended
	user      *attempt      // that got it last; guarded by mu
	used      bool          // by a request that may have written something; guarded by mu
	retired   bool          // writes fail; guarded by mu
	answered  atomic.Bool   // some request on it has got a byte of an answer
	list      *list.List    // of conns, that c is in; guarded by conns.mu
	place     *list.Element // in list, nil when c is in none; guarded by conns.mu
	idleSince time.Time     // guarded by conns.mu

	reading sync.Mutex  // held by Read
	over    atomic.Bool // reads fail
}

// Read fails once the connection was taken over by abandon.
func (c *watchedConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.over.Load() {
		return 0, net.ErrClosed
	}
	return c.Conn.Read(p)
}

// stopReading has a Read that is under way return. idle returns when it has.
func (c *watchedConn) stopReading() (idle func()) {
	c.over.Store(true)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // on a closed connection no Read is under way
	return func() {
		c.reading.Lock()
		defer c.reading.Unlock()
	}
}

// onAbandon sets what Close asks to take the connection over; nil for nothing.
func (c *watchedConn) onAbandon(f func(*watchedConn) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandon = f
}

// Write counts what the system took: as long as that is nothing, the upstream
// has seen nothing.
func (c *watchedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	retired := c.retired
	c.used = true
	c.mu.Unlock()
	if retired {
		return 0, net.ErrClosed // net/http sees that nothing was written, and dials
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// occupy makes by the attempt that uses c.
func (c *watchedConn) occupy(by *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user = by
}

// release says that by has ended. It reports false when another attempt uses c
// already, or when c is closed.
func (c *watchedConn) release(by *attempt) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.user != by || c.closed {
		return false
	}
	c.used = false
	return true
}

// retire makes all further writes fail, unless a request has written something.
// The caller closes c then.
func (c *watchedConn) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used || c.closed {
		return false
	}
	c.retired = true
	return true
}

// watch sets what Close calls in place of what was set before; nil for
// nothing. On a closed connection f is called at once.
func (c *watchedConn) watch(f func()) {
	c.mu.Lock()
	c.onClose = f
	closed := c.closed
	c.mu.Unlock()
	if closed && f != nil {
		f()
	}
}

// Close closes the connection, unless it is taken over.
func (c *watchedConn) Close() error {
	c.mu.Lock()
	f, abandon := c.onClose, c.abandon
	c.closed, c.onClose, c.abandon = true, nil, nil
	c.mu.Unlock()
	if c.conns != nil {
		c.conns.remove(c)
	}
	if f != nil {
		f()
	}
	taken := abandon != nil && abandon(c)
	c.mu.Lock()
	c.taken = c.taken || taken
	taken = c.taken
	c.mu.Unlock()
	if taken {
		return nil
	}
	return c.Conn.Close()
}

// CloseWrite ends what is sent and leaves the other direction open.
func (c *watchedConn) CloseWrite() error { return closeWrite(c.Conn) }

// watched is the connection below TLS, nil when it is none of ours.
func watched(c net.Conn) *watchedConn {
	if s, ok := c.(*switchConn); ok {
		c = s.Conn
	}
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	w, _ := c.(*watchedConn)
	return w
}
