package listen

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// Conn describes the connection of a request.
type Conn struct {
	// ID numbers the connections of a Set from 1.
	ID uint64
	// Local is the address of this end.
	Local netip.AddrPort
	// TLS is true when the connection is encrypted; http.Request.TLS has the
	// details as usual.
	TLS bool
	// PlainOnTLS is true for plain HTTP sent to the HTTPS port by mistake: to
	// be answered with a redirect.
	PlainOnTLS bool
	// ServerName is the name that the client requested a certificate for; empty
	// without TLS, or for a client that uses an address.
	ServerName string
	// Share names the share a visitor came through; empty means a local
	// connection. It decides what is local: an address can be forged.
	Share string
	// Visitor is the address of a visitor, as the carrier of the share reports it;
	// the zero AddrPort is unknown, or a local connection.
	Visitor netip.AddrPort
	// AddrField is the request field that has the visitor's address instead, where
	// only the carrier can have written it; empty for none.
	AddrField string
	// PublicHost is the authority that a visitor requested; empty for a local
	// connection, whose requests have it themselves.
	PublicHost string
}

// known is a connection's Conn.
type known struct{ about Conn }

func (k *known) facts() *Conn { return &k.about }

// factsKey is the context key of *Conn.
type factsKey struct{}

// ConnContext belongs in http.Server.ConnContext. Connections that did not come
// from this package are left unchanged.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	ctx = message.ConnContext(ctx, c)
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn() // HTTP/2 has no scanner
	}
	if k, ok := c.(interface{ facts() *Conn }); ok {
		return context.WithValue(ctx, factsKey{}, k.facts())
	}
	return ctx
}

// FromContext returns the description of a request's connection; the zero Conn
// for a request that did not come through this package.
func FromContext(ctx context.Context) Conn {
	facts, ok := ctx.Value(factsKey{}).(*Conn)
	if !ok {
		return Conn{}
	}
	return *facts
}

// ConnState belongs in http.Server.ConnState: see message.ConnState.
func ConnState(c net.Conn, state http.ConnState) { message.ConnState(c, state) }

// HeadTimeout bounds the arrival of a request's header. A browser sends it in one
// piece; a person typing into openssl has this long.
const HeadTimeout = 30 * time.Second

// scanned is an HTTP/1 connection behind the scanner.
type scanned struct {
	*message.Conn
	known
}

// scannedTLS is scanned over TLS.
type scannedTLS struct {
	*message.TLSConn
	known
}

// Scan puts the scanner of package message in front of a connection that carries
// HTTP/1, for any listener: that of a share's visitors wraps each connection and marks
// it with facts. A method Hijacked of c is called when a handler has taken it.
func Scan(c net.Conn, facts Conn) net.Conn {
	return &scanned{message.Scan(c, HeadTimeout), known{facts}}
}

// opened is a connection to the HTTPS port whose first byte was looked at. It
// is below TLS, and carries the facts of an HTTP/2 connection, which
// net/http must get as a bare *tls.Conn.
type opened struct {
	net.Conn
	known
	first  [1]byte
	peeked bool // first is still to be read
}

// peek waits for the first byte until ctx ends.
func (o *opened) peek(ctx context.Context) (byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = o.SetReadDeadline(time.Unix(1, 0)) })
	n, err := o.Conn.Read(o.first[:])
	if !stop() {
		return 0, fmt.Errorf("nothing was sent: %w", context.Cause(ctx))
	}
	if n == 0 {
		return 0, fmt.Errorf("nothing was sent: %w", err)
	}
	o.peeked = true
	return o.first[0], nil
}

// Read begins with the byte that was looked at.
func (o *opened) Read(p []byte) (int, error) {
	if !o.peeked || len(p) == 0 {
		return o.Conn.Read(p)
	}
	o.peeked = false
	return copy(p, o.first[:]), nil
}

// CloseWrite ends the sending direction and leaves the other one open.
func (o *opened) CloseWrite() error { return splice.CloseWrite(o.Conn) }
