package relay

import (
	"bufio"
	"container/list"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/devproxy/devproxy/tunnel/message"
)

// conn is an accepted connection, counted until it is closed.
type conn struct {
	net.Conn
	door *door
	from *origin
	addr netip.AddrPort
	// told is that addr comes from a PROXY protocol header, and ahead what was
	// read behind that; nil for nothing.
	told  bool
	ahead *bufio.Reader

	number uint64 // in the order in which they came

	// Guarded by door.mu.
	class class
	pool  pool
	place *list.Element // in its pool; nil when it is gone

	// leaf is the certificate shown, which says what other names the client
	// may ask for on this connection (RFC 9113 section 9.1.1).
	leaf atomic.Pointer[x509.Certificate]
}

// Close implements net.Conn. The connection counts until its descriptor is free.
func (c *conn) Close() error {
	defer c.door.leave(c)
	return c.Conn.Close()
}

// tcp is the socket below; nil when it is none.
func (c *conn) tcp() *net.TCPConn {
	tcp, _ := c.Conn.(*net.TCPConn)
	return tcp
}

// covers reports whether the certificate shown is good for name.
func (c *conn) covers(name string) bool {
	leaf := c.leaf.Load()
	return leaf != nil && leaf.VerifyHostname(name) == nil
}

type connKey struct{}

// withConn is http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(message.ConnContext(ctx, c), connKey{}, connBelow(c))
}

// connBelow is the connection that c speaks TLS over, with the scanner of
// HTTP/1 or without.
func connBelow(c net.Conn) *conn {
	if scanned, ok := c.(*message.TLSConn); ok {
		c = scanned.NetConn()
	}
	return c.(*tls.Conn).NetConn().(*conn)
}

func connOf(ctx context.Context) *conn { return ctx.Value(connKey{}).(*conn) }

// handed is a net.Listener of the connections that are handed to it.
type handed struct {
	conns chan net.Conn
	done  chan struct{}
}

func newHanded() *handed { return &handed{conns: make(chan net.Conn), done: make(chan struct{})} }

// give hands c over, or closes it when nobody accepts any more.
func (h *handed) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; http.Server calls it once.
func (h *handed) Close() error {
	close(h.done)
	return nil
}

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return streamsAddr{} }

type streamsAddr struct{}

func (streamsAddr) Network() string { return "tls" }
func (streamsAddr) String() string  { return "visitors" }
