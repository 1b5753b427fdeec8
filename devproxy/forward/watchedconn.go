package forward

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/splice"
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

	conns     *connections  // of its member
	private   bool          // not in the pool: nobody but its request, or its visitor, uses it
	dialled   time.Time     // when its dial began
	accepted  bool          // by the server, as far as is known; guarded by conns.mu
	connected time.Time     // when it was opened
	user      *attempt      // that got it last; guarded by mu
	used      bool          // by a request that may have written something; guarded by mu
	retired   bool          // writes fail; guarded by mu
	over      chan struct{} // closed by Close
	counted   bool          // in conns; guarded by conns.mu
	proven    bool          // has carried an answer; guarded by conns.mu
	seat      seat          // in a list of conns; guarded by conns.mu
	dialling  *dialling     // until the first answer
	idleSince time.Time     // in such a list; guarded by conns.mu

	reading sync.Mutex  // held by Read
	deaf    atomic.Bool // reads fail
}

// newWatchedConn is c, whose dial began at that time.
func newWatchedConn(c net.Conn, conns *connections, d *dialling, began time.Time) *watchedConn {
	w := &watchedConn{Conn: c, conns: conns, dialled: began, connected: time.Now(), over: make(chan struct{}), dialling: d}
	conns.add(w)
	return w
}

// Read fails once the connection was taken over by abandon.
func (c *watchedConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.deaf.Load() {
		return 0, net.ErrClosed
	}
	return c.Conn.Read(p)
}

// stopReading has a Read that is under way return. idle returns when it has.
func (c *watchedConn) stopReading() (idle func()) {
	c.deaf.Store(true)
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
// has seen nothing. When the upstream reads no more of a request, Write waits for
// the end of the connection before it says so: an answer may have come, and
// net/http would give that up. Below TLS it does not wait: the end of TLS is
// written, too.
func (c *watchedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	retired, carries := c.retired, c.user != nil && c.user.member.Scheme == plan.SchemeHTTP
	c.used = true
	c.mu.Unlock()
	if retired {
		return 0, net.ErrClosed // net/http sees that nothing was written, and dials
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	if c.conns.hasty() {
		acknowledge(c.Conn)
	}
	if carries && hungUp(err) {
		<-c.over
	}
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
	if !c.closed {
		close(c.over)
	}
	c.closed, c.onClose, c.abandon = true, nil, nil
	c.mu.Unlock()
	c.conns.remove(c)
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
func (c *watchedConn) CloseWrite() error { return splice.CloseWrite(c.Conn) }

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
