package provider

import (
	"context"
	"net"
	"sync"
)

// maxOpen is how many connections of visitors one tunnel may have open at once.
// More of them wait in the backlog of the system. Cloudflare lets 200 requests of
// a quick tunnel be in flight
// (https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/do-more-with-tunnels/trycloudflare/).
const maxOpen = 256

// tunnelListener accepts the connections of a tunnel's program on this machine, which
// are its visitors'.
type tunnelListener struct {
	listener net.Listener
	slots    chan struct{} // one for each open connection

	mu   sync.Mutex
	open map[*tunnelConn]struct{} // nil once the listener is closed
}

func newTunnelListener(listener net.Listener) *tunnelListener {
	return &tunnelListener{listener: listener, slots: make(chan struct{}, maxOpen), open: map[*tunnelConn]struct{}{}}
}

// accept waits for a free slot and the next connection. It fails once the listener
// is closed, or when ctx ends while it waits for a slot.
func (l *tunnelListener) accept(ctx context.Context) (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	conn, err := l.listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	c := &tunnelConn{duplex: conn.(duplex), listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		<-l.slots
		_ = conn.Close() // it was not used
		return nil, net.ErrClosed
	}
	l.open[c] = struct{}{}
	return c, nil
}

// close ends the listener and every connection that is open.
func (l *tunnelListener) close() {
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	_ = l.listener.Close()
	for c := range open {
		_ = c.Close()
	}
}

// duplex is a connection of TCP or a Unix socket.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// tunnelConn frees its slot when it is closed.
type tunnelConn struct {
	duplex
	listener *tunnelListener
	closing  sync.Once
}

// Close implements net.Conn.
func (c *tunnelConn) Close() error {
	c.closing.Do(func() {
		c.listener.mu.Lock()
		delete(c.listener.open, c)
		c.listener.mu.Unlock()
		<-c.listener.slots
	})
	return c.duplex.Close()
}
