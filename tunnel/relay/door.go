package relay

import (
	"container/list"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

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
	shaking list.List // of *conn, oldest first
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
// its address; when there are too many handshakes, the oldest is closed.
func (d *door) enter(c net.Conn) *conn {
	addr := addrOf(c.RemoteAddr())
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.originLocked(addr.Addr())
	if from.conns >= d.limits.ConnectionsPerAddress {
		return nil
	}
	if d.count[shaking] >= d.limits.Handshakes {
		d.evictLocked()
	}
	from.conns++
	d.unidleLocked(from)
	entered := &conn{Conn: c, door: d, from: from, addr: addr}
	d.count[shaking]++
	entered.shaking = d.shaking.PushBack(entered)
	return entered
}

// evictLocked closes the connection that has been in its handshake longest.
func (d *door) evictLocked() {
	oldest := d.shaking.Front().Value.(*conn)
	d.leaveLocked(oldest)
	oldest.Conn.Close()
}

// become makes c count as what its handshake showed it to be. It reports false
// when there are too many such, or c is gone already.
func (d *door) become(c *conn, to class) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.count[shaking] + d.count[visiting] + d.count[laning]
	switch {
	case c.class == gone:
		return false
	case to == visiting && d.count[visiting] >= d.limits.Connections:
		return false
	case to == laning && d.count[laning] >= d.most/4*3, all > d.most:
		return false
	}
	d.moveLocked(c, to)
	if to == laning {
		d.leaveOriginLocked(c)
	}
	return true
}

func (d *door) moveLocked(c *conn, to class) {
	d.count[c.class]--
	if c.class == shaking {
		d.shaking.Remove(c.shaking)
	}
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
