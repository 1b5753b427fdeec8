package relay

import (
	"context"
	"net"
	"time"
)

// drainPoll is how often what is left is counted while the relay drains.
const drainPoll = 50 * time.Millisecond

// Close stops everything at once, and returns when every goroutine of the
// relay has ended.
func (r *Relay) Close() {
	r.stopAccepting(private)
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.restart()
	r.server.Close() // closes sockets, whose failures nobody is there to hear
	r.group.Wait()
}

// Shutdown stops accepting, ends WebSockets with 1012 (service restart), lets
// the requests under way finish until ctx ends, and closes the rest. Sessions
// last as long as the requests.
func (r *Relay) Shutdown(ctx context.Context) {
	r.stopAccepting(public)
	r.restart()
	_ = r.server.Shutdown(ctx) // what is left is closed below
	r.until(ctx, func() bool { return r.switchedCount() == 0 })
	r.Close()
}

// Retire hands over to another process that has the listening sockets: it
// stops accepting, asks agents to open a session with it and visitors to
// connect anew. It returns when the last connection is gone, or ctx ends:
// Shutdown or Close have to follow. successor dials the other process's
// ServeLate, for requests that still come on open connections.
func (r *Relay) Retire(ctx context.Context, successor func(context.Context) (net.Conn, error)) {
	r.mu.Lock()
	r.successor = successor
	r.mu.Unlock()
	r.stopAccepting(public)
	for _, s := range r.table.all() {
		s.session.Drain()
	}
	r.until(ctx, func() bool {
		handshakes, visitors, lanes := r.door.counts()
		return handshakes+visitors+lanes == 0
	})
}

func (r *Relay) successorOf() func(context.Context) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.successor
}

func (r *Relay) switchedCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.switched)
}

// until returns when done does, or ctx ends.
func (r *Relay) until(ctx context.Context, done func() bool) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
