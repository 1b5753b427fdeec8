package agent

import (
	"net"

	"github.com/devproxy/devproxy/tunnel"
)

// Conn is a visitor's connection, which carries one exchange. It is the
// stream itself, so that its directions end by themselves (CloseWrite).
type Conn struct {
	*tunnel.Stream
	// Visitor is who is at the other end, as the relay tells.
	Visitor tunnel.Visitor
}

// Accept waits for the next visitor; the connection is a *Conn. It is
// net.ErrClosed once the agent is closed or Run has returned.
func (a *Agent) Accept() (net.Conn, error) {
	select {
	case c := <-a.visitors:
		return c, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Run, and with it every visitor's connection, at once. It does not
// wait, and closing again does nothing.
func (a *Agent) Close() error {
	a.closing.Do(func() { close(a.closed) })
	return nil
}

// Addr is the relay's name and port, for logs.
func (a *Agent) Addr() net.Addr { return relayAddr(a.dialer.target.String()) }

type relayAddr string

func (relayAddr) Network() string  { return "devproxy" }
func (r relayAddr) String() string { return string(r) }
