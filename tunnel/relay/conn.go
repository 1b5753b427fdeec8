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
	all  *connections
	from *network
	addr netip.AddrPort
	// fromHeader reports that addr comes from a PROXY protocol header. buffered is
	// what was read after that header; nil for nothing.
	fromHeader bool
	buffered   *bufio.Reader

	number uint64 // in the order of arrival

	// Guarded by connections.mu.
	class   class
	pool    pool
	element *list.Element // in its pool; nil when it is closed

	// leaf is the certificate shown. It determines which other names the client may
	// request on this connection (RFC 9113 section 9.1.1).
	leaf atomic.Pointer[x509.Certificate]
}

// Close implements net.Conn. The connection counts until its descriptor is free.
func (c *conn) Close() error {
	defer c.all.remove(c)
	return c.Conn.Close()
}

// Read implements net.Conn. It begins with what was read after a header.
func (c *conn) Read(p []byte) (int, error) {
	if c.buffered != nil {
		if c.buffered.Buffered() > 0 {
			return c.buffered.Read(p)
		}
		c.buffered = nil
	}
	return c.Conn.Read(p)
}

// RemoteAddr implements net.Conn. An address in a balancer's header takes
// precedence.
func (c *conn) RemoteAddr() net.Addr {
	if c.fromHeader {
		return net.TCPAddrFromAddrPort(c.addr)
	}
	return c.Conn.RemoteAddr()
}

// tcp returns the socket, or nil when it is not TCP.
func (c *conn) tcp() *net.TCPConn {
	tcp, _ := c.Conn.(*net.TCPConn)
	return tcp
}

// covers reports whether the certificate shown is valid for name.
func (c *conn) covers(name string) bool {
	leaf := c.leaf.Load()
	return leaf != nil && leaf.VerifyHostname(name) == nil
}

type connKey struct{}

// withConn is http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(message.ConnContext(ctx, c), connKey{}, connBelow(c))
}

// connBelow returns the connection that c speaks TLS over, with the scanner of
// HTTP/1 or without.
func connBelow(c net.Conn) *conn {
	if scanned, ok := c.(*message.TLSConn); ok {
		c = scanned.NetConn()
	}
	return c.(*tls.Conn).NetConn().(*conn)
}

func connOf(ctx context.Context) *conn { return ctx.Value(connKey{}).(*conn) }
