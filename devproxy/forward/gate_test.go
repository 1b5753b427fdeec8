package forward

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// gate is a Dial that refuses while it is shut, as a port does that nothing
// listens on.
type gate struct {
	mu     sync.Mutex
	closed bool
	dials  int
	seen   sync.Cond
}

func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	g.mu.Lock()
	g.dials++
	closed := g.closed
	if g.seen.L != nil {
		g.seen.Broadcast()
	}
	g.mu.Unlock()
	if closed {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
}

func (g *gate) shut() { g.set(true) }
func (g *gate) open() { g.set(false) }

// waitForDials returns when n dials were tried.
func (g *gate) waitForDials(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen.L = &g.mu
	for g.dials < n {
		g.seen.Wait()
	}
}
