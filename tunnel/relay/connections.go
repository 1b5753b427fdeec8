package relay

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
)

// connections counts the relay's connections. When a new one does not fit, it
// closes one of the network with the most, so that no network can keep another
// one out. It starts no goroutines.
type connections struct {
	limits Limits
	most   int // descriptors that connections may use together
	// proxies carry the connections of many addresses.
	proxies proxies

	mu        sync.Mutex
	count     [pools]int
	networks  networks
	evictable [pools]ranking
	accepted  uint64 // connections so far

	evicted atomic.Int64 // connections closed to make room
}

func newConnections(limits Limits) *connections {
	c := &connections{limits: limits, most: connectionsOf(limits.Descriptors)}
	c.networks = networks{limits: limits, all: map[netip.Prefix]*network{}}
	for p := range c.evictable {
		c.evictable[p].pool = pool(p)
	}
	return c
}

// connectionsOf returns how many of the process's descriptors connections may use.
func connectionsOf(descriptors int) int { return max(descriptors-ownFiles, descriptors/2) }

// withoutPorts returns how many descriptors are left next to the ports of shares, which may
// all be open; at least half.
func withoutPorts(descriptors, ports int) int { return max(descriptors-ports, descriptors/2) }

// lanesOf returns how many of them agents may use.
func lanesOf(descriptors int) int { return connectionsOf(descriptors) / 4 * 3 }

// add counts a new connection. It returns nil when its network has too many, or
// no other connection can be closed for it.
func (cs *connections) add(c net.Conn) *conn {
	addr := addrOf(c.RemoteAddr())
	cs.mu.Lock()
	defer cs.mu.Unlock()
	from, full := cs.networkLocked(addr.Addr())
	switch {
	case full:
		return nil
	case cs.count[poolHandshake] >= cs.limits.Handshakes && !cs.evictLocked(poolHandshake, 0):
		return nil
	case cs.totalLocked() >= cs.most && !cs.makeRoomLocked(from):
		return nil
	}
	cs.accepted++
	added := &conn{Conn: c, all: cs, from: from, addr: addr, number: cs.accepted}
	cs.networks.use(from)
	cs.setPoolLocked(added, poolHandshake)
	return added
}

// readdress changes the address of c, which is in its handshake. It reports false
// when that address has too many connections, or c is closed.
func (cs *connections) readdress(c *conn, addr netip.AddrPort) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	from, full := cs.networkLocked(addr.Addr())
	switch {
	case c.pool == poolClosed:
		return false
	case from == c.from:
	case full:
		return false
	default:
		cs.setPoolLocked(c, poolClosed)
		cs.networks.leave(c.from)
		c.from = from
		cs.networks.use(from)
		cs.setPoolLocked(c, poolHandshake)
	}
	c.addr, c.fromHeader = addr, true
	return true
}

// networkLocked returns the network of an address, and whether it has as many connections
// as the address may have. A proxy may have any number; its neighbours in an IPv6 network
// may not.
func (cs *connections) networkLocked(addr netip.Addr) (from *network, full bool) {
	from = cs.networks.find(addr)
	proxy := cs.proxies.has(addr)
	from.proxy = from.proxy || proxy
	return from, from.conns() >= cs.limits.ConnectionsPerAddress && !proxy
}

// makeRoomLocked closes a connection to make room for one of a network, when
// connections have used up their descriptors: an idle one, else one in its
// handshake, else one of the network with the most. It reports false if there
// is none.
func (cs *connections) makeRoomLocked(from *network) bool {
	if cs.evictLocked(poolIdle, 0) || cs.evictLocked(poolHandshake, 0) {
		return true
	}
	most := poolLanes
	if cs.evictable[poolActive].most() > cs.evictable[poolLanes].most() {
		most = poolActive
	}
	return cs.evictLocked(most, from.compared(from.conns()+from.lanes()+1))
}

// evictLocked closes a connection of the network with the most in a pool, if
// that is more than moreThan: the number that the network that needs room will
// have. It reports false if there is none.
func (cs *connections) evictLocked(p pool, moreThan int) bool {
	if cs.evictable[p].most() <= moreThan {
		return false
	}
	victims := &cs.evictable[p].networks[0].pools[p]
	victim := victims.Front()
	if p == poolLanes {
		victim = victims.Back() // older lanes may belong to an agent that did no harm
	}
	c := victim.Value.(*conn)
	cs.removeLocked(c)
	cs.evicted.Add(1)
	c.Conn.Close()
	return true
}

// stateChanged is called by http.Server.ConnState. A visitor's connection that has
// no request, or half of a head, is evicted before others.
func (cs *connections) stateChanged(c *conn, state http.ConnState) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case c.pool != poolIdle && c.pool != poolActive:
	case state == http.StateNew || state == http.StateIdle:
		cs.setPoolLocked(c, poolIdle)
	default:
		cs.setPoolLocked(c, poolActive)
	}
}

// promote moves c after its handshake to poolActive, or to poolLanes. It reports false
// when there are too many visitors or lanes, or c is closed.
func (cs *connections) promote(c *conn, to pool) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch {
	case c.pool == poolClosed:
		return false
	case to == poolLanes && !cs.hasRoomForLaneLocked(c.from):
		return false
	case to == poolLanes && cs.lanesFullLocked():
		cs.evictLocked(poolLanes, 0) // of the network that has more
	case to == poolActive && cs.visitorsLocked() >= cs.limits.Connections &&
		!cs.evictLocked(poolIdle, 0) && !cs.evictLocked(poolActive, c.from.compared(c.from.conns())):
		return false
	}
	cs.setPoolLocked(c, to)
	return true
}

// hasRoomForAgent reports whether one more agent from an address could have its
// first connection.
func (cs *connections) hasRoomForAgent(addr netip.Addr) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.hasRoomForLaneLocked(cs.networks.find(addr))
}

// hasRoomForLaneLocked reports whether from may have one more lane: there is room,
// or a network with more lanes can give one up.
func (cs *connections) hasRoomForLaneLocked(from *network) bool {
	if from.lanes() >= cs.limits.LanesPerAddress {
		return false
	}
	return !cs.lanesFullLocked() || cs.evictable[poolLanes].most() > from.lanes()+1
}

func (cs *connections) lanesFullLocked() bool {
	return cs.count[poolLanes] >= lanesOf(cs.limits.Descriptors)
}

func (cs *connections) visitorsLocked() int { return cs.count[poolIdle] + cs.count[poolActive] }

func (cs *connections) totalLocked() int {
	return cs.count[poolHandshake] + cs.visitorsLocked() + cs.count[poolLanes]
}

// remove stops counting a connection; later calls do nothing.
func (cs *connections) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.removeLocked(c)
}

func (cs *connections) removeLocked(c *conn) {
	if c.pool != poolClosed {
		cs.setPoolLocked(c, poolClosed)
		cs.networks.leave(c.from)
	}
}

// setPoolLocked moves c to another pool of its network.
func (cs *connections) setPoolLocked(c *conn, p pool) {
	if c.element != nil {
		c.from.pools[c.pool].Remove(c.element)
		cs.count[c.pool]--
	}
	if c.pool, c.element = p, nil; p != poolClosed {
		c.element = c.from.pools[p].PushBack(c)
		cs.count[p]++
	}
	for i := range cs.evictable {
		cs.evictable[i].update(c.from)
	}
}

// counts returns how many connections there are of each kind.
func (cs *connections) counts() (handshakes, visitors, lanes int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.count[poolHandshake], cs.visitorsLocked(), cs.count[poolLanes]
}

// network returns the network of an address. It is remembered while it has a
// connection, and for some time after.
func (cs *connections) network(addr netip.Addr) *network {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.networks.find(addr)
}

// addrOf returns the address of a TCP peer, without zone; zero for any other, and for
// a nil *net.TCPAddr.
func addrOf(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	from := tcp.AddrPort()
	return netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
}
