package forward

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
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
}

// Write counts what the system took: as long as that is nothing, the upstream
// has seen nothing.
func (c *watchedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
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

// Close closes the connection.
func (c *watchedConn) Close() error {
	c.mu.Lock()
	f := c.onClose
	c.closed, c.onClose = true, nil
	c.mu.Unlock()
	if f != nil {
		f()
	}
	return c.Conn.Close()
}

// CloseWrite ends what is sent and leaves the other direction open.
func (c *watchedConn) CloseWrite() error { return closeWrite(c.Conn) }

// watched is the connection below TLS, nil when it is none of ours.
func watched(c net.Conn) *watchedConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	w, _ := c.(*watchedConn)
	return w
}
