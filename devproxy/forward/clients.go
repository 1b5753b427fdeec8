package forward

import (
	"cmp"
	"container/list"
	"context"
	"net"
	"sync"
	"time"
)

const (
	// DefaultMaxPerClient is how many exchanges one client may have in progress,
	// including those that it has cancelled and the upstream still works on. An
	// HTTP/2 connection may have as many streams, so only a client that cancels ever
	// waits.
	DefaultMaxPerClient = 1000
	// DefaultMaxAbandoned is how many cancelled exchanges of all clients may be in
	// progress. Each uses a descriptor.
	DefaultMaxAbandoned = 2000

	// abandonedTime bounds the wait for an upstream that does not answer a request
	// whose client has left.
	abandonedTime = 30 * time.Second
	// evictAmong is how many of the oldest abandoned exchanges are candidates for
	// closing.
	evictAmong = 64
)

// Clients bounds the exchanges that each client has in progress. Otherwise a
// client that sends requests and cancels them at once (HTTP/2's rapid reset,
// CVE-2023-44487, and similar attacks) could make an upstream work on any
// number of them: its streams are free again as soon as they are cancelled, the
// upstream is not.
//
// A cancelled exchange counts until its upstream has answered or closed the
// connection. Until then only its sending side is closed, which shows the upstream
// that the client has left. A client with cancelled exchanges that reaches the bound
// waits until one has ended. The zero value is usable, with the default bounds; one
// value serves all upstreams of a server.
type Clients struct {
	// MaxPerClient and MaxAbandoned replace DefaultMaxPerClient and
	// DefaultMaxAbandoned unless they are 0. Set them before the first use.
	MaxPerClient, MaxAbandoned int

	mu        sync.Mutex
	by        map[any]*client
	abandoned list.List // of *abandoned, oldest first
	closed    bool
}

// client is one with something in progress.
type client struct {
	id              any
	live, abandoned int
	waiting         int
	changed         chan struct{} // closed when less is in progress; nil while none waits
}

// begin counts an exchange of id as soon as id may have one more. The error is ctx's.
func (c *Clients) begin(ctx context.Context, id any) (*client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[any]*client{}
	}
	cl := c.by[id]
	if cl == nil {
		cl = &client{id: id}
		c.by[id] = cl
	}
	for cl.abandoned > 0 && cl.live+cl.abandoned >= cmp.Or(c.MaxPerClient, DefaultMaxPerClient) {
		if cl.changed == nil {
			cl.changed = make(chan struct{})
		}
		changed := cl.changed
		cl.waiting++
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.mu.Lock()
		cl.waiting--
		if ctx.Err() != nil {
			c.forgetLocked(cl)
			return nil, ctx.Err()
		}
	}
	cl.live++
	return cl, nil
}

// forgetLocked drops a client that has nothing in progress, and wakes those that wait
// for it.
func (c *Clients) forgetLocked(cl *client) {
	if cl.changed != nil {
		close(cl.changed)
		cl.changed = nil
	}
	if cl.live == 0 && cl.abandoned == 0 && cl.waiting == 0 {
		delete(c.by, cl.id)
	}
}

// end counts an exchange no longer.
func (c *Clients) end(cl *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.live--
	c.forgetLocked(cl)
}

// abandoned is the connection of a cancelled exchange.
type abandoned struct {
	conn   net.Conn
	client *client
	place  *list.Element // nil when it no longer counts
}

// abandon counts conn as one of cl's until the upstream has ended its work on it, and
// then closes it. idle must return when nothing else reads from conn.
func (c *Clients) abandon(cl *client, conn net.Conn, idle func()) {
	a := &abandoned{conn: conn, client: cl}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return
	}
	cl.abandoned++
	a.place = c.abandoned.PushBack(a)
	if c.abandoned.Len() > cmp.Or(c.MaxAbandoned, DefaultMaxAbandoned) {
		c.evictLocked()
	}
	go func() { // ends when conn is closed, at the latest after abandonedTime
		idle()
		_ = conn.SetReadDeadline(time.Now().Add(abandonedTime)) // the read fails too
		_, _ = conn.Read(make([]byte, 1))                       // an answer, the end, or too late
		_ = conn.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.releaseLocked(a)
	}()
}

func (c *Clients) releaseLocked(a *abandoned) {
	if a.place == nil {
		return
	}
	c.abandoned.Remove(a.place)
	a.place = nil
	a.client.abandoned--
	c.forgetLocked(a.client)
}

// evictLocked closes an abandoned connection: among the oldest, one of the client that
// has the most.
func (c *Clients) evictLocked() {
	var worst *abandoned
	at := c.abandoned.Front()
	for range min(evictAmong, c.abandoned.Len()) {
		if a := at.Value.(*abandoned); worst == nil || a.client.abandoned > worst.client.abandoned {
			worst = a
		}
		at = at.Next()
	}
	c.releaseLocked(worst)
	_ = worst.conn.Close() // ends its goroutine
}

// Close closes the abandoned connections. Later exchanges are cut when they are
// cancelled.
func (c *Clients) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.abandoned.Len() > 0 {
		c.evictLocked()
	}
}
