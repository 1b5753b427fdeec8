package relay

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// class is what a connection counts as.
type class int

const (
	shaking class = iota // in its handshake, or plain HTTP
	visiting
	laning // an agent's
	gone
)

// door lets connections in, counts them and closes those of the worst offender
// when there is no room: no network can keep another one out. Its goroutines are
// its callers'.
type door struct {
	limits Limits
	most   int // descriptors that connections may have together
	// proxies carry the connections of many addresses.
	proxies proxies

	mu       sync.Mutex
	count    [gone]int
	networks networks
	closable [pools]ranking
	entered  uint64 // connections so far
	evicted  int    // those closed to make room
}

func newDoor(limits Limits) *door {
	d := &door{limits: limits, most: connectionsOf(limits.Descriptors)}
	d.networks.init(limits)
	for p := range d.closable {
		d.closable[p].pool = pool(p)
	}
	return d
}

// connectionsOf is how many of the process's descriptors connections may have.
func connectionsOf(descriptors int) int { return max(descriptors-ownFiles, descriptors/2) }

// lanesOf is how many of them agents may have.
func lanesOf(descriptors int) int { return connectionsOf(descriptors) / 4 * 3 }

// enter counts a new connection in. It returns nil when there are too many of
// its network, or no other one can be closed for it.
func (d *door) enter(c net.Conn) *conn {
	addr := addrOf(c.RemoteAddr())
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.networks.find(addr.Addr())
	switch {
	case from.conns >= d.limits.ConnectionsPerAddress && !d.proxies.has(addr.Addr()):
		return nil
	case d.count[shaking] >= d.limits.Handshakes && !d.evictLocked(poolShaking, 0):
		return nil
	case d.totalLocked() >= d.most && !d.makeRoomLocked(from):
		return nil
	}
	d.entered++
	entered := &conn{Conn: c, door: d, from: from, addr: addr, number: d.entered}
	d.count[shaking]++
	from.conns++
	d.networks.use(from)
	d.poolLocked(entered, poolShaking)
	return entered
}

// readdress makes c, which is in its handshake, a connection of another address.
// It reports false when that has too many, or c is gone.
func (d *door) readdress(c *conn, addr netip.AddrPort) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.networks.find(addr.Addr())
	switch {
	case c.class == gone:
		return false
	case from == c.from:
	case from.conns >= d.limits.ConnectionsPerAddress:
		return false
	default:
		d.poolLocked(c, poolNone)
		c.from.conns--
		d.networks.leave(c.from)
		c.from = from
		from.conns++
		d.networks.use(from)
		d.poolLocked(c, poolShaking)
	}
	c.addr, c.told = addr, true
	return true
}

// makeRoomLocked closes a connection for one of a network, when the process has
// no more descriptors for connections: one that rests, else one in its
// handshake, else one of the network that has most. False when there is none.
func (d *door) makeRoomLocked(from *origin) bool {
	if d.evictLocked(poolResting, 0) || d.evictLocked(poolShaking, 0) {
		return true
	}
	most := poolLanes
	if d.closable[poolBusy].most() > d.closable[poolLanes].most() {
		most = poolBusy
	}
	return d.evictLocked(most, from.conns+from.lanes+1)
}

// evictLocked closes a connection of a pool: one of the network that has most,
// if those are more than a number, which is what the network that needs the room
// will have. It reports false when there is none.
func (d *door) evictLocked(p pool, moreThan int) bool {
	if d.closable[p].most() <= moreThan {
		return false
	}
	worst := d.closable[p].origins[0]
	victims := &worst.pools[p]
	victim := victims.Front()
	if p == poolLanes {
		victim = victims.Back() // the lanes that were there before it came are not its
	}
	c := victim.Value.(*conn)
	d.leaveLocked(c)
	d.evicted++
	c.Conn.Close()
	return true
}

// follow is http.Server's ConnState: a visitor's connection without a request,
// or with half a head, is closed before others when somebody needs its place.
func (d *door) follow(c *conn, state http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case c.class != visiting:
	case state == http.StateNew || state == http.StateIdle:
		d.poolLocked(c, poolResting)
	default:
		d.poolLocked(c, poolBusy)
	}
}

// become makes c count as what its handshake showed it to be. It reports false
// when there are too many such, or c is gone already.
func (d *door) become(c *conn, to class) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case c.class == gone:
		return false
	case to == laning:
		if !d.roomForLaneLocked(c.from) {
			return false
		}
		if d.lanesFullLocked() {
			d.evictLocked(poolLanes, 0) // of the network that has more
		}
		c.from.conns--
		c.from.lanes++
		d.moveLocked(c, laning, poolLanes)
		return true
	}
	if d.count[visiting] >= d.limits.Connections && !d.evictLocked(poolResting, 0) && !d.evictLocked(poolBusy, c.from.conns) {
		return false
	}
	d.moveLocked(c, visiting, poolBusy)
	return true
}

// roomForAgent reports whether one more agent from an address could have its
// first connection.
func (d *door) roomForAgent(addr netip.Addr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.roomForLaneLocked(d.networks.find(addr))
}

// roomForLaneLocked reports whether from may have one more lane: there is room,
// or another network has more and gives one up.
func (d *door) roomForLaneLocked(from *origin) bool {
	if from.lanes >= d.limits.LanesPerAddress {
		return false
	}
	return !d.lanesFullLocked() || d.closable[poolLanes].most() > from.lanes+1
}

func (d *door) lanesFullLocked() bool { return d.count[laning] >= lanesOf(d.limits.Descriptors) }

func (d *door) totalLocked() int { return d.count[shaking] + d.count[visiting] + d.count[laning] }

// moveLocked changes the class and pool of c.
func (d *door) moveLocked(c *conn, to class, p pool) {
	d.count[c.class]--
	c.class = to
	if to != gone {
		d.count[to]++
	}
	d.poolLocked(c, p)
}

// leave counts a connection out, once.
func (d *door) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaveLocked(c)
}

func (d *door) leaveLocked(c *conn) {
	switch c.class {
	case gone:
		return
	case laning:
		c.from.lanes--
	default:
		c.from.conns--
	}
	d.moveLocked(c, gone, poolNone)
	d.networks.leave(c.from)
}

// poolLocked moves c to another pool of its network.
func (d *door) poolLocked(c *conn, p pool) {
	if c.place != nil {
		c.from.pools[c.pool].Remove(c.place)
	}
	if c.place = nil; p != poolNone {
		c.pool, c.place = p, c.from.pools[p].PushBack(c)
	}
	for i := range d.closable {
		d.closable[i].update(c.from)
	}
}

// counts is how many connections there are of each class.
func (d *door) counts() (handshakes, visitors, lanes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count[shaking], d.count[visiting], d.count[laning]
}

// evictions is how many connections were closed to make room for others.
func (d *door) evictions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.evicted
}

// origin is what the relay knows of an address; it stays while a connection of
// it does, and a while longer.
func (d *door) origin(addr netip.Addr) *origin {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.networks.find(addr)
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
