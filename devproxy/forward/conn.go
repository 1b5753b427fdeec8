package forward

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// watchedConn is a connection to a member that tells the exchange using it when it
// is closed. http.Transport reports a dead connection only after it has read the
// request's body, and a client that waits for an answer sends nothing more.
type watchedConn struct {
	net.Conn
	conns     *connections // of its member
	private   bool         // outside the pool: one request or one client uses it
	dialling  *dialling    // up to the first answer
	dialled   time.Time    // when the dial began
	connected time.Time    // when it ended

	written atomic.Int64  // bytes
	done    chan struct{} // closed by Close

	mu      sync.Mutex
	user    *attempt // the last that got it
	used    bool     // by a request that may have written something
	retired bool     // writes fail
	closed  bool
	onClose func()
	// abandon takes the connection over instead of closing it, or returns false.
	abandon   func(*watchedConn) bool
	abandoned bool // it was taken over

	reading   sync.Mutex  // held by Read
	readsFail atomic.Bool // it was taken over

	// conns.mu guards these.
	counted   bool                 // in conns
	accepted  bool                 // by the server, as far as is known
	answered  bool                 // has carried an answer
	streams   bool                 // carries an upgrade or an event stream
	list      *queue[*watchedConn] // of conns; nil if none
	idleSince time.Time
}

// newWatchedConn returns c, whose dial began at that time.
func newWatchedConn(c net.Conn, conns *connections, d *dialling, began time.Time) *watchedConn {
	w := &watchedConn{Conn: c, conns: conns, dialled: began, connected: time.Now(), done: make(chan struct{}), dialling: d}
	conns.add(w)
	return w
}

// listLocked moves c to a list of its connections; nil is none.
func (c *watchedConn) listLocked(to *queue[*watchedConn]) {
	if c.list != nil {
		c.list.remove(c)
	}
	if c.list = to; to != nil {
		to.add(c)
	}
}

// Read fails once the connection was taken over.
func (c *watchedConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.readsFail.Load() {
		return 0, net.ErrClosed
	}
	return c.Conn.Read(p)
}

// stopReading makes a Read in progress return. idle returns when it has.
func (c *watchedConn) stopReading() (idle func()) {
	c.readsFail.Store(true)
	_ = c.SetReadDeadline(time.Unix(1, 0)) // no Read is in progress on a closed connection
	return func() {
		c.reading.Lock()
		defer c.reading.Unlock()
	}
}

// onAbandon sets what Close calls to hand the connection over; nil for nothing.
func (c *watchedConn) onAbandon(f func(*watchedConn) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandon = f
}

// Write counts the bytes that the system accepted: while that is zero, the
// upstream has seen none of them. When the upstream stops reading a request,
// Write waits for the end of the connection before it fails: an answer may be
// there, and net/http would drop it. Below TLS it does not wait, since the end
// of TLS is written, too.
func (c *watchedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	retired, plain := c.retired, c.user != nil && c.user.member.Scheme == plan.SchemeHTTP
	c.used = true
	c.mu.Unlock()
	if retired {
		return 0, net.ErrClosed // net/http sees that nothing was written, and dials
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	if c.conns.delays.ackAtOnce() {
		quickAck(c.Conn)
	}
	if plain && hungUp(err) {
		<-c.done
	}
	return n, err
}

// occupy makes by the attempt that uses c.
func (c *watchedConn) occupy(by *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.user = by
}

// release notes that by has ended. It reports false when another attempt uses c
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
// The caller then closes c.
func (c *watchedConn) retire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used || c.closed {
		return false
	}
	c.retired = true
	return true
}

// watch replaces the function that Close calls; nil removes it. On a closed
// connection f is called at once.
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
		close(c.done)
	}
	c.closed, c.onClose, c.abandon = true, nil, nil
	c.mu.Unlock()
	c.conns.remove(c)
	if f != nil {
		f()
	}
	taken := abandon != nil && abandon(c)
	c.mu.Lock()
	c.abandoned = c.abandoned || taken
	taken = c.abandoned
	c.mu.Unlock()
	if taken {
		return nil
	}
	return c.Conn.Close()
}

// CloseWrite closes the sending direction and leaves the other one open.
func (c *watchedConn) CloseWrite() error { return splice.CloseWrite(c.Conn) }

// watched returns the connection below TLS; nil if it is not a watchedConn.
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

// aheadConn is a connection from which something was read already.
type aheadConn struct {
	net.Conn
	ahead []byte
}

// Read implements net.Conn.
func (c *aheadConn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite closes the sending direction and leaves the other one open.
func (c *aheadConn) CloseWrite() error { return splice.CloseWrite(c.Conn) }

// switchConn adds "Connection: Upgrade" to a 101. Some servers leave it out
// (RFC 9110 section 7.8 demands it of requests and responses alike). Browsers
// accept that, and net/http would not hand the connection over.
type switchConn struct {
	aheadConn
	checked bool // ahead holds the status line, with the field if it needs one
}

// switchLine is how a 101 begins.
const switchLine = "HTTP/1.1 101"

// Read implements net.Conn.
func (c *switchConn) Read(p []byte) (int, error) {
	for !c.checked {
		piece := make([]byte, 512)
		n, err := c.Conn.Read(piece)
		c.ahead = append(c.ahead, piece[:n]...)
		c.check(err != nil)
		if err != nil && len(c.ahead) == 0 {
			return 0, err
		}
	}
	return c.aheadConn.Read(p)
}

// check adds the field as soon as the status line is complete. over means that
// nothing more comes.
func (c *switchConn) check(over bool) {
	begun := min(len(c.ahead), len(switchLine))
	line, rest, complete := strings.Cut(string(c.ahead), "\n")
	switch {
	case over, string(c.ahead[:begun]) != switchLine[:begun], len(c.ahead) > maxResponseHead:
		c.checked = true
	case complete:
		c.checked = true
		c.ahead = []byte(line + "\nConnection: Upgrade\r\n" + rest)
	}
}

// Some servers write the head and the body of an answer separately and leave
// Nagle's algorithm on: Python's http.server and wsgiref, and so Django's
// runserver. The body then waits until this side acknowledges the head, which Linux
// delays by 40 ms on a connection that is used again (tcp(7), TCP_QUICKACK). The
// time between the two shows which servers do that.
const (
	delayedAckMin = 35 * time.Millisecond
	delayedAckMax = 60 * time.Millisecond
	// maxDelayedBodies is how many in a row count: this machine may be busy, too.
	maxDelayedBodies = 3
)

// bodyDelays counts how many bodies in a row a member sent after such a delay.
type bodyDelays struct{ count atomic.Int32 }

// note records how long after its head a body began.
func (d *bodyDelays) note(after time.Duration) {
	switch count := d.count.Load(); {
	case count == maxDelayedBodies:
	case after >= delayedAckMin && after <= delayedAckMax:
		d.count.CompareAndSwap(count, count+1)
	case count > 0:
		d.count.CompareAndSwap(count, 0)
	}
}

// ackAtOnce reports whether the member's connections must acknowledge at once.
func (d *bodyDelays) ackAtOnce() bool { return d.count.Load() == maxDelayedBodies }
