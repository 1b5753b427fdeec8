package relay

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

// evictAmong is how many of those that wait longest are looked at for one to
// close: enough to find the many of one address among them, few enough that a
// flood costs little.
const evictAmong = 64

// maxIdleOrigins is how many addresses without a connection are remembered, so
// that a new connection brings no new allowance of requests.
const maxIdleOrigins = 8192

// class is what a connection counts as.
type class int

const (
	shaking class = iota // in its handshake
	visiting
	laning // an agent's
	gone
)

// door lets connections in and counts them. Its goroutines are its callers'.
type door struct {
	limits Limits
	most   int // descriptors that connections may have together

	mu      sync.Mutex
	count   [gone]int
	shaking list.List // of *conn in their handshake, oldest first
	resting list.List // of visitors' *conn without a request, oldest first
	origins map[netip.Prefix]*origin
	idle    list.List // of *origin without connections, oldest first
}

// origin is an address that connections come from.
type origin struct {
	prefix  netip.Prefix
	conns   int // visitors', and in their handshake
	limiter *rate.Limiter
	idle    *list.Element // nil while conns > 0
}

func newDoor(limits Limits) *door {
	return &door{limits: limits, most: descriptors() - agentFiles, origins: map[netip.Prefix]*origin{}}
}

// enter counts a new connection in. It returns nil when there are too many of
// its address; when there are too many handshakes, another one is closed.
func (d *door) enter(c net.Conn) *conn {
	addr := addrOf(c.RemoteAddr())
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.originLocked(addr.Addr())
	if from.conns >= d.limits.ConnectionsPerAddress {
		return nil
	}
	if d.count[shaking] >= d.limits.Handshakes {
		d.evictLocked(&d.shaking)
	}
	from.conns++
	d.unidleLocked(from)
	entered := &conn{Conn: c, door: d, from: from, addr: addr}
	d.count[shaking]++
	entered.queueLocked(&d.shaking)
	return entered
}

// evictLocked closes a connection of queue: of those that wait longest, one of
// the address that has the most. So whoever holds many places makes room, and
// not a visitor between them. False when there is none.
func (d *door) evictLocked(queue *list.List) bool {
	var worst *conn
	at := queue.Front()
	for range min(evictAmong, queue.Len()) {
		if c := at.Value.(*conn); worst == nil || c.from.conns > worst.from.conns {
			worst = c
		}
		at = at.Next()
	}
	if worst == nil {
		return false
	}
	d.leaveLocked(worst)
	worst.Conn.Close()
	return true
}

// queueLocked takes c out of its queue, and into another one; nil is none.
func (c *conn) queueLocked(queue *list.List) {
	if c.queue != nil {
		c.queue.Remove(c.place)
	}
	c.queue, c.place = queue, nil
	if queue != nil {
		c.place = queue.PushBack(c)
	}
}

// follow is http.Server's ConnState: a visitor's connection without a request,
// or with half a head, may be closed when others need its place.
func (d *door) follow(c *conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case c.class != visiting:
	case state == http.StateNew || state == http.StateIdle:
		c.queueLocked(&d.resting)
	default:
		c.queueLocked(nil)
	}
}

// become makes c count as what its handshake showed it to be. It reports false
// when there are too many such, or c is gone already. What rests makes room.
func (d *door) become(c *conn, to class) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.class == gone {
		return false
	}
	c.queueLocked(nil) // it makes no room for itself
	switch {
	case to == visiting && d.count[visiting] >= d.limits.Connections && !d.evictLocked(&d.resting):
		return false
	case to == laning && d.count[laning] >= d.lanes():
		return false
	case d.fullLocked() && !d.evictLocked(&d.resting) && !d.evictLocked(&d.shaking):
		return false
	}
	d.moveLocked(c, to)
	if to == laning {
		d.leaveOriginLocked(c)
	}
	return true
}

// lanes is how many connections agents may have together.
func (d *door) lanes() int { return d.most / 4 * 3 }

// roomForAgent is whether one more agent could have its first connection.
func (d *door) roomForAgent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count[laning] < d.lanes()
}

// fullLocked is whether there are as many connections as there may be together.
func (d *door) fullLocked() bool {
	return d.count[shaking]+d.count[visiting]+d.count[laning] > d.most
}

func (d *door) moveLocked(c *conn, to class) {
	d.count[c.class]--
	c.queueLocked(nil)
	c.class = to
	if to != gone {
		d.count[to]++
	}
}

// leave counts a connection out, once.
func (d *door) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaveLocked(c)
}

func (d *door) leaveLocked(c *conn) {
	if c.class == gone {
		return
	}
	if c.class != laning {
		d.leaveOriginLocked(c)
	}
	d.moveLocked(c, gone)
}

func (d *door) leaveOriginLocked(c *conn) {
	c.from.conns--
	if c.from.conns > 0 {
		return
	}
	c.from.idle = d.idle.PushBack(c.from)
	if d.idle.Len() > maxIdleOrigins {
		delete(d.origins, d.idle.Remove(d.idle.Front()).(*origin).prefix)
	}
}

func (d *door) unidleLocked(o *origin) {
	if o.idle != nil {
		d.idle.Remove(o.idle)
		o.idle = nil
	}
}

// originLocked finds or makes the origin of an address.
func (d *door) originLocked(addr netip.Addr) *origin {
	bits := 32
	if addr.Is6() {
		bits = 64 // what one customer has
	}
	prefix, _ := addr.Prefix(bits) // of an invalid address: all such are one
	o := d.origins[prefix]
	if o == nil {
		o = &origin{prefix: prefix, limiter: rate.NewLimiter(rate.Limit(d.limits.RequestsPerSecond), d.limits.Burst)}
		d.origins[prefix] = o
	}
	return o
}

// counts is how many connections there are of each class.
func (d *door) counts() (handshakes, visitors, lanes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count[shaking], d.count[visiting], d.count[laning]
}

// addrOf is the address of a TCP peer, without zone; zero for any other.
func addrOf(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	from := tcp.AddrPort()
	return netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
}
