package forward

import (
	"container/list"
	"context"
	"net"
	"sync"
	"time"
)

const (
	// DefaultMaxPerClient is how many exchanges one client may have under way,
	// with those that it has cancelled and the upstream still works on. It is as
	// many as an HTTP/2 connection may have streams, so that only a client that
	// cancels ever waits.
	DefaultMaxPerClient = 1000
	// DefaultMaxAbandoned is how many cancelled exchanges of all clients are
	// waited for. Each holds a descriptor.
	DefaultMaxAbandoned = 2000

	// abandonedTime bounds how long an upstream is waited for that says nothing
	// to a request whose client has left.
	abandonedTime = 30 * time.Second
	// evictAmong is how many of the oldest abandoned exchanges are looked at for
	// one to forget.
	evictAmong = 64
)

// Clients bounds what each client has under way. A client that asks and cancels
// at once (HTTP/2's rapid reset, CVE-2023-44487, and its relatives) would
// otherwise have an upstream work on any number of requests: its streams are
// free again as soon as they are cancelled, the upstream is not.
//
// A cancelled exchange counts until its upstream has answered or closed the
// connection. Meanwhile only its sending side is closed, by which upstreams see
// that the client has left. A client with cancelled exchanges that reaches the
// bound waits until one has ended. The zero value is usable, with the default
// bounds; one value serves all upstreams of a server.
type Clients struct {
	// MaxPerClient and MaxAbandoned replace DefaultMaxPerClient and
	// DefaultMaxAbandoned; 0 leaves them. Set them before the first use.
	MaxPerClient, MaxAbandoned int

	mu        sync.Mutex
	by        map[any]*client
	abandoned list.List // of *abandoned, oldest first
	closed    bool
}

// client is one that has something under way.
type client struct {
	id              any
	live, abandoned int
	waiting         int
	changed         chan struct{} // closed when less is under way; nil while nobody waits
}

// begin counts an exchange of id in, as soon as id may have one more. The error
// is ctx's.
func (c *Clients) begin(ctx context.Context, id any) (*client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.clientLocked(id)
	for cl.abandoned > 0 && cl.live+cl.abandoned >= orDefault(c.MaxPerClient, DefaultMaxPerClient) {
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

func (c *Clients) clientLocked(id any) *client {
	if c.by == nil {
		c.by = map[any]*client{}
	}
	cl := c.by[id]
	if cl == nil {
		cl = &client{id: id}
		c.by[id] = cl
	}
	return cl
}

// forgetLocked lets go of a client that has nothing under way, and lets those
// look again who wait for it.
func (c *Clients) forgetLocked(cl *client) {
	if cl.changed != nil {
		close(cl.changed)
		cl.changed = nil
	}
	if cl.live == 0 && cl.abandoned == 0 && cl.waiting == 0 {
		delete(c.by, cl.id)
	}
}

// end counts an exchange out.
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
	place  *list.Element // nil when it counts no longer
}

// abandon counts conn as one of cl's until the upstream has ended its work on
// it, and closes it then. idle must return when nobody else reads from conn.
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
	if c.abandoned.Len() > orDefault(c.MaxAbandoned, DefaultMaxAbandoned) {
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

// evictLocked closes an abandoned connection: of the oldest, one of the client
// that has the most.
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
	_ = worst.conn.Close() // its goroutine ends by that
}

// Close closes what is waited for; later exchanges are cut when they are
// cancelled.
func (c *Clients) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.abandoned.Len() > 0 {
		c.evictLocked()
	}
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
