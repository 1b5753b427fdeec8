package listen

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"

	"github.com/devproxy/devproxy/tunnel/message"
)

// Conn is what is known of the connection a request came on.
type Conn struct {
	// ID numbers the connections of a Set from 1.
	ID uint64
	// Local is the address of this end.
	Local netip.AddrPort
	// TLS is true when the connection is encrypted. The facts of TLS are in
	// http.Request.TLS as usual.
	TLS bool
	// PlainOnTLS is true for plain HTTP sent to the HTTPS port by mistake: to
	// be answered with a redirect.
	PlainOnTLS bool
	// ServerName is the name the client asked a certificate for; empty without
	// TLS, or for a client that knows an address only.
	ServerName string
	// Share names the share a visitor came through; empty means a local
	// connection. It is what "local" means: an address can be forged.
	Share string
	// Visitor is who asks through a share, as whoever carries its bytes tells;
	// the zero AddrPort is not told, or a local connection.
	Visitor netip.AddrPort
	// AddrField is the request field that tells Visitor in its place, where only
	// whoever carries the bytes can have written it; empty for none.
	AddrField string
	// PublicHost is the authority that a visitor asked for; empty for a local
	// connection, whose requests say it themselves.
	PublicHost string
}

// factsKey is the context key of *Conn.
type factsKey struct{}

// ConnContext belongs into http.Server.ConnContext. Connections that did not
// come from this package are left as they are.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	ctx = message.ConnContext(ctx, c)
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn() // HTTP/2: no scanner lies between
	}
	if k, ok := c.(interface{ facts() *Conn }); ok {
		return context.WithValue(ctx, factsKey{}, k.facts())
	}
	return ctx
}

// FromContext tells what is known of the connection a request came on; the
// zero Conn for a request that did not come through this package.
func FromContext(ctx context.Context) Conn {
	facts, ok := ctx.Value(factsKey{}).(*Conn)
	if !ok {
		return Conn{}
	}
	return *facts
}

// ConnState belongs into http.Server.ConnState: see message.ConnState.
func ConnState(c net.Conn, state http.ConnState) { message.ConnState(c, state) }

// localAddr is the zero AddrPort for connections that are not TCP.
func localAddr(c net.Conn) netip.AddrPort {
	tcp, ok := c.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
