package relay

import (
	"bufio"
	"container/list"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// conn is an accepted connection, counted until it is closed.
type conn struct {
	net.Conn
	all  *connections
	from *network
	addr netip.AddrPort
	// fromHeader reports that addr comes from a PROXY protocol header. ahead has first
	// the bytes that were read with the header; nil where none was expected.
	fromHeader bool
	ahead      io.Reader

	number uint64 // in the order of arrival

	// Guarded by connections.mu.
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

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.ahead != nil {
		return c.ahead.Read(p)
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

// proxyHeaderTimeout bounds the arrival of a PROXY protocol header: a balancer sends it as
// soon as it has connected.
const proxyHeaderTimeout = 5 * time.Second

// readProxyHeader reads the PROXY protocol header, version 1 or 2, at the beginning
// of a connection of a listed balancer, and gives the connection the address in it.
// It reads no header on other connections. required is false where balancers may
// also connect without one. The error is io.EOF when the balancer has sent nothing.
func (r *Relay) readProxyHeader(c *conn, required bool) error {
	if !r.balancers.has(c.addr.Addr()) {
		return nil
	}
	defer context.AfterFunc(r.life, func() { c.Conn.Close() })()
	if err := c.SetReadDeadline(time.Now().Add(proxyHeaderTimeout)); err != nil {
		return err
	}
	buffered := bufio.NewReader(c.Conn)
	header, err := proxyproto.Read(buffered)
	c.ahead = splice.Ahead(buffered, c.Conn)
	switch {
	case errors.Is(err, proxyproto.ErrNoProxyProtocol) && buffered.Buffered() == 0:
		return io.EOF
	case errors.Is(err, proxyproto.ErrNoProxyProtocol) && !required:
		err = nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the PROXY protocol header that %s must send, since --proxy-protocol lists it: %w", c.addr.Addr(), err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if header == nil || header.Version == 2 && header.Command.IsLocal() {
		return nil // the balancer's own connection, such as a health check
	}
	source, _, _ := header.TCPAddrs() // without one, the client is unknown: it is not the balancer
	if !r.conns.readdress(c, addrOf(source)) {
		return errTooManyOfAddress
	}
	return nil
}

// errTooManyOfAddress refuses a connection beyond the limit of the address in its
// header.
var errTooManyOfAddress = errors.New("too many connections")
