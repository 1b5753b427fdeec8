package relay

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// fakeConn is a connection from an address that the test's machine does not have.
type fakeConn struct {
	net.Conn
	from   string
	closed *bool
}

func (c fakeConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(c.from), Port: 1}
}

func (c fakeConn) Close() error {
	*c.closed = true
	return nil
}

func addFrom(d *connections, from string) (*conn, *bool) {
	closed := new(bool)
	return d.add(fakeConn{from: from, closed: closed}), closed
}

func TestConnectionsPerAddress(t *testing.T) {
	d := newConnections(Limits{ConnectionsPerAddress: 2, Handshakes: 100, Connections: 3}.withDefaults())
	one, _ := addFrom(d, "192.0.2.1")
	two, _ := addFrom(d, "192.0.2.1")
	if third, _ := addFrom(d, "192.0.2.1"); third != nil {
		t.Error("a third connection of one address came in")
	}
	if other, _ := addFrom(d, "192.0.2.2"); other == nil {
		t.Error("another address did not come in")
	}
	// One customer's IPv6 addresses are one network.
	six, _ := addFrom(d, "2001:db8::1")
	addFrom(d, "2001:db8::2")
	if third, _ := addFrom(d, "2001:db8::3"); third != nil {
		t.Error("a third connection of one /64 came in")
	}
	// Agents are counted separately.
	if !d.promote(one, poolLanes) || !d.promote(two, poolLanes) {
		t.Fatal("no lanes")
	}
	if c, _ := addFrom(d, "192.0.2.1"); c == nil {
		t.Error("lanes count as visitors")
	}
	_ = six.Close()
	_ = six.Close() // counts once
	if again, _ := addFrom(d, "2001:db8::1"); again == nil {
		t.Error("a place that was left is not free")
	}
	if again, _ := addFrom(d, "2001:db8::1"); again != nil {
		t.Error("a place was freed twice")
	}
}

func TestConnectionsLeaveRoomForAgents(t *testing.T) {
	d := newConnections(Limits{Connections: 2, ConnectionsPerAddress: 10}.withDefaults())
	for i := range 3 {
		c, _ := addFrom(d, "192.0.2.1")
		if got := d.promote(c, poolActive); got != (i < 2) {
			t.Errorf("visitor %d: %v", i, got)
		}
	}
	c, _ := addFrom(d, "192.0.2.1")
	if !d.promote(c, poolLanes) {
		t.Error("no room for an agent")
	}
}

// TestConnectionsEvictTheMany: a handshake of an address with many is closed before an
// older one of another address.
func TestConnectionsEvictTheMany(t *testing.T) {
	d := newConnections(Limits{Handshakes: 10}.withDefaults())
	visitor, visitorClosed := addFrom(d, "192.0.2.1")
	for range 100 {
		addFrom(d, "192.0.2.2")
	}
	if *visitorClosed || !d.promote(visitor, poolActive) {
		t.Error("a visitor was pushed out by the many of another address")
	}
}

// TestConnectionsMakeRoom: visitors without a request make room for another one,
// those with a request do not.
func TestConnectionsMakeRoom(t *testing.T) {
	d := newConnections(Limits{Connections: 3, ConnectionsPerAddress: 10}.withDefaults())
	visit := func(from string, state http.ConnState) (bool, *bool) {
		c, closed := addFrom(d, from)
		ok := d.promote(c, poolActive)
		d.stateChanged(c, http.StateNew)
		d.stateChanged(c, state)
		return ok, closed
	}
	_, busy := visit("192.0.2.2", http.StateActive)
	_, alone := visit("192.0.2.3", http.StateIdle)
	_, idle := visit("192.0.2.2", http.StateIdle)
	if ok, _ := visit("192.0.2.4", http.StateActive); !ok || *busy || *alone || !*idle {
		t.Errorf("came in: %v; closed: %v %v %v, want the last", ok, *busy, *alone, *idle)
	}
	if ok, _ := visit("192.0.2.5", http.StateActive); !ok || *busy || !*alone {
		t.Errorf("came in: %v; closed: %v %v, want the second", ok, *busy, *alone)
	}
	if ok, _ := visit("192.0.2.6", http.StateActive); ok || *busy {
		t.Error("a visitor with a request made room")
	}
	if _, visitors, _ := d.counts(); visitors != 3 || d.evictable[poolIdle].Len() != 0 {
		t.Errorf("%d visitors, %d rest", visitors, d.evictable[poolIdle].Len())
	}
}

// TestConnectionsEvict: the oldest handshake goes, and only that.
func TestConnectionsEvict(t *testing.T) {
	d := newConnections(Limits{Handshakes: 2}.withDefaults())
	first, firstClosed := addFrom(d, "192.0.2.1")
	second, secondClosed := addFrom(d, "192.0.2.2")
	third, thirdClosed := addFrom(d, "192.0.2.3")
	if !*firstClosed || *secondClosed || *thirdClosed {
		t.Errorf("closed: %v %v %v, want the first", *firstClosed, *secondClosed, *thirdClosed)
	}
	if d.promote(first, poolActive) {
		t.Error("a closed connection became a visitor")
	}
	if !d.promote(second, poolActive) || !d.promote(third, poolLanes) {
		t.Error("the others did not go on")
	}
	if n := d.evicted.Load(); n != 1 {
		t.Errorf("%d were closed to make room", n)
	}
	if h, v, l := d.counts(); h != 0 || v != 1 || l != 1 {
		t.Errorf("counts %d %d %d", h, v, l)
	}
}

// TestConnectionsForget: the number of remembered addresses is bounded.
func TestConnectionsForget(t *testing.T) {
	d := newConnections(Limits{}.withDefaults())
	for i := range 2 * maxIdleNetworks {
		c, _ := addFrom(d, net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)).String())
		_ = c.Close()
	}
	if len(d.networks.all) != maxIdleNetworks || d.networks.idle.Len() != maxIdleNetworks {
		t.Errorf("%d addresses are remembered", len(d.networks.all))
	}
	for i := range 2 * maxIdleNetworks { // and those that never had a connection
		d.network(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}))
	}
	if len(d.networks.all) != maxIdleNetworks {
		t.Errorf("%d addresses are remembered", len(d.networks.all))
	}
}

// TestConnectionsRememberNetworks: an address that returns while another one is
// forgotten for it stays known, however long it was away.
func TestConnectionsRememberNetworks(t *testing.T) {
	d := newConnections(Limits{Handshakes: 1}.withDefaults())
	addFrom(d, "192.0.2.1") // is in its handshake
	for i := range maxIdleNetworks {
		d.network(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}))
	}
	first := d.networks.idle.Front().Value.(*network) // is the first to be forgotten
	back, _ := addFrom(d, first.prefix.Addr().String())
	if back == nil || d.networks.all[back.from.prefix] != back.from {
		t.Error("the address has a connection and is forgotten: its next one would start a new count")
	}
}

// closing is a connection that a test looks at while it is closed.
type closing struct {
	fakeConn
	look func()
}

func (c closing) Close() error {
	c.look()
	return c.fakeConn.Close()
}

// TestConnectionsCountUntilClosed: a connection counts until its descriptor is free.
func TestConnectionsCountUntilClosed(t *testing.T) {
	d := newConnections(Limits{}.withDefaults())
	during := 0
	c := d.add(closing{fakeConn{from: "192.0.2.1", closed: new(bool)}, func() { during, _, _ = d.counts() }})
	if _ = c.Close(); during != 1 {
		t.Errorf("while it is closed %d connections count, want 1", during)
	}
	if after, _, _ := d.counts(); after != 0 {
		t.Errorf("after that %d count", after)
	}
}

// fullConnections has room for 40 connections in all, 30 of them lanes.
func fullConnections(change func(*Limits)) *connections {
	l := Limits{Descriptors: 80, Connections: 40, ConnectionsPerAddress: 40, Handshakes: 40, LanesPerAddress: 30}
	if change != nil {
		change(&l)
	}
	return newConnections(l.withDefaults())
}

// lane is an agent's connection from an address; nil when it was refused.
func lane(d *connections, from string) (*conn, *bool) {
	c, closed := addFrom(d, from)
	if c == nil || !d.promote(c, poolLanes) {
		if c != nil {
			_ = c.Close()
		}
		return nil, closed
	}
	return c, closed
}

// visitor is a visitor's connection in a state; nil when it was refused.
func visitor(d *connections, from string, state http.ConnState) (*conn, *bool) {
	c, closed := addFrom(d, from)
	if c == nil || !d.promote(c, poolActive) {
		if c != nil {
			_ = c.Close()
		}
		return nil, closed
	}
	d.stateChanged(c, http.StateNew)
	d.stateChanged(c, state)
	return c, closed
}

func TestConnectionsLanesPerAddress(t *testing.T) {
	d := fullConnections(func(l *Limits) { l.LanesPerAddress = 3 })
	for i := range 4 {
		if c, _ := lane(d, "2001:db8::"+fmt.Sprint(i+1)); (c != nil) != (i < 3) {
			t.Errorf("lane %d of one /64: %v", i+1, c != nil)
		}
	}
	if d.hasRoomForAgent(budget.NetworkOf(addrOf(&net.TCPAddr{IP: net.ParseIP("2001:db8::9")}).Addr()).Addr()) {
		t.Error("a further agent of the /64 is promised room")
	}
	if c, _ := lane(d, "2001:db8:0:1::1"); c == nil {
		t.Error("another /64 has no lane")
	}
	checkConnections(t, d)
}

// TestConnectionsLanesFull: the network with most lanes gives up its newest for one
// that will still have fewer, and for no other.
func TestConnectionsLanesFull(t *testing.T) {
	d := fullConnections(nil)
	closed := map[string][]*bool{}
	fill := func(from string, n int) {
		for range n {
			c, gone := lane(d, from)
			if c == nil {
				t.Fatalf("no lane for %s", from)
			}
			closed[from] = append(closed[from], gone)
		}
	}
	lost := func(from string) (n int) {
		for _, gone := range closed[from] {
			if *gone {
				n++
			}
		}
		return n
	}
	fill("192.0.2.1", 5)
	fill("192.0.2.2", 25)
	room := func(from string) bool { return d.hasRoomForAgent(netip.MustParseAddr(from)) }
	if c, _ := lane(d, "192.0.2.2"); c != nil {
		t.Error("the network with most lanes has pushed out its own")
	}
	if room("192.0.2.2") || !room("192.0.2.1") || !room("192.0.2.3") {
		t.Error("the wrong ones are promised room")
	}
	fill("192.0.2.3", 1)
	if lost("192.0.2.1") != 0 || lost("192.0.2.2") != 1 || !*closed["192.0.2.2"][24] {
		t.Errorf("lost %d and %d, want the newest of the second alone", lost("192.0.2.1"), lost("192.0.2.2"))
	}
	fill("192.0.2.3", 10) // 11 next to 14
	if lost("192.0.2.1") != 0 || lost("192.0.2.2") != 11 {
		t.Errorf("lost %d and %d", lost("192.0.2.1"), lost("192.0.2.2"))
	}
	fill("192.0.2.3", 1)
	if room("192.0.2.3") {
		t.Error("a network with as many is promised room")
	}
	if c, _ := lane(d, "192.0.2.3"); c != nil || lost("192.0.2.2") != 12 {
		t.Errorf("a network pushes out one that has hardly more: %d lost", lost("192.0.2.2"))
	}
	if _, _, n := d.counts(); n != 30 {
		t.Errorf("%d lanes", n)
	}
	checkConnections(t, d)
}

// TestConnectionsTotal: the process always has enough descriptors, and the network with
// fewest connections gets in.
func TestConnectionsTotal(t *testing.T) {
	t.Run("resting visitors first", func(t *testing.T) {
		d := fullConnections(func(l *Limits) { l.Connections = 100 })
		_, resting := visitor(d, "192.0.2.1", http.StateIdle)
		_, shaking := addFrom(d, "192.0.2.2")
		for range 38 {
			visitor(d, "192.0.2.3", http.StateActive)
		}
		if *resting || *shaking {
			t.Fatal("closed before it was full")
		}
		addFrom(d, "192.0.2.4")
		if !*resting || *shaking {
			t.Errorf("closed: resting %v, in its handshake %v; want the first", *resting, *shaking)
		}
		checkConnections(t, d)
	})
	t.Run("then handshakes", func(t *testing.T) {
		d := fullConnections(func(l *Limits) { l.Connections = 100 })
		_, shaking := addFrom(d, "192.0.2.2")
		var busy []*bool
		for range 39 {
			_, closed := visitor(d, "192.0.2.3", http.StateActive)
			busy = append(busy, closed)
		}
		c, _ := addFrom(d, "192.0.2.4")
		if !*shaking || c == nil || *busy[0] {
			t.Errorf("closed: handshake %v, busy %v", *shaking, *busy[0])
		}
		checkConnections(t, d)
	})
	t.Run("then the most lanes", func(t *testing.T) {
		d := fullConnections(func(l *Limits) { l.Connections = 100 })
		for range 28 {
			lane(d, "192.0.2.1")
		}
		for range 12 {
			visitor(d, "192.0.2.2", http.StateActive)
		}
		if c, _ := visitor(d, "192.0.2.3", http.StateActive); c == nil {
			t.Error("a visitor finds no room next to the lanes of one network")
		}
		if h, v, l := d.counts(); h != 0 || v != 13 || l != 27 {
			t.Errorf("counts %d %d %d", h, v, l)
		}
		checkConnections(t, d)
	})
	t.Run("then the most visitors", func(t *testing.T) {
		d := fullConnections(func(l *Limits) { l.Connections = 100 })
		var first *bool
		for i := range 40 {
			_, closed := visitor(d, "192.0.2.2", http.StateActive)
			if i == 0 {
				first = closed
			}
		}
		if c, _ := addFrom(d, "192.0.2.2"); c != nil {
			t.Error("the network that has all of it pushes out its own")
		}
		if c, _ := lane(d, "192.0.2.3"); c == nil || !*first {
			t.Error("an agent finds no room next to the visitors of one network")
		}
		checkConnections(t, d)
	})
	t.Run("who has many pushes out nobody who has fewer", func(t *testing.T) {
		d := fullConnections(func(l *Limits) { l.Connections = 100 })
		for range 10 {
			lane(d, "192.0.2.1")
		}
		for range 11 {
			visitor(d, "192.0.2.2", http.StateActive)
		}
		for range 19 {
			visitor(d, "192.0.2.3", http.StateActive)
		}
		for range 4 { // 11 and 19 become 15 and 15
			if c, _ := visitor(d, "192.0.2.2", http.StateActive); c == nil {
				t.Error("no room next to the network with most")
			}
		}
		if c, _ := addFrom(d, "192.0.2.2"); c != nil {
			t.Error("room is made for a network that has as many as any")
		}
		if h, v, l := d.counts(); h != 0 || v != 30 || l != 10 {
			t.Errorf("counts %d %d %d", h, v, l)
		}
		checkConnections(t, d)
	})
	t.Run("few descriptors", func(t *testing.T) {
		d := newConnections(Limits{Descriptors: 10}.withDefaults())
		if c, _ := addFrom(d, "192.0.2.1"); c == nil || d.most != 5 {
			t.Errorf("of 10 descriptors %d are for connections", d.most)
		}
	})
	if got := connectionsOf(1000); got != 1000-ownFiles {
		t.Errorf("of 1000 descriptors %d are for connections", got)
	}
}

// TestConnectionsVisitorsFull: a visitor with a request makes room for one of a network
// that has fewer.
func TestConnectionsVisitorsFull(t *testing.T) {
	d := fullConnections(func(l *Limits) { l.Connections = 3 })
	_, oldest := visitor(d, "192.0.2.1", http.StateActive)
	visitor(d, "192.0.2.1", http.StateActive)
	visitor(d, "192.0.2.1", http.StateActive)
	if c, _ := visitor(d, "192.0.2.2", http.StateActive); c == nil || !*oldest {
		t.Error("the only visitor of a network has not pushed out one of three")
	}
	if c, _ := visitor(d, "192.0.2.2", http.StateActive); c != nil || d.evicted.Load() != 1 {
		t.Error("a second one has pushed out one of two")
	}
	checkConnections(t, d)
	d = fullConnections(func(l *Limits) { l.Connections = 1 })
	_, half := visitor(d, "192.0.2.1", http.StateNew) // or with half a head
	if c, _ := visitor(d, "192.0.2.1", http.StateActive); c == nil || !*half {
		t.Error("a connection without a request has not made room")
	}
}

// TestConnectionsOldestFirst: among networks with as many, the oldest connection goes.
func TestConnectionsOldestFirst(t *testing.T) {
	d := fullConnections(func(l *Limits) { l.Handshakes = 3 })
	first, _ := addFrom(d, "192.0.2.1")
	_, second := addFrom(d, "192.0.2.2")
	_, third := addFrom(d, "192.0.2.3")
	_ = first.Close()
	_, again := addFrom(d, "192.0.2.1")
	addFrom(d, "192.0.2.4")
	if !*second || *third || *again {
		t.Errorf("closed: %v %v %v, want the second", *second, *third, *again)
	}
	addFrom(d, "192.0.2.5")
	if !*third || *again {
		t.Errorf("closed: %v %v, want the third", *third, *again)
	}
	checkConnections(t, d)
}

// TestConnectionsModel does anything in any order, and checks that it adds up.
func TestConnectionsModel(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		d := fullConnections(func(l *Limits) {
			l.ConnectionsPerAddress, l.Connections, l.Handshakes, l.LanesPerAddress = 12, 20, 15, 20
		})
		var all []*conn
		for range 2000 {
			switch c := pick(random, all); random.IntN(6) {
			case 0, 1:
				if c, _ := addFrom(d, fmt.Sprintf("192.0.2.%d", random.IntN(6)*random.IntN(2))); c != nil {
					all = append(all, c)
				}
			case 2:
				if c != nil && c.pool == poolHandshake {
					d.promote(c, []pool{poolActive, poolLanes}[random.IntN(2)])
				}
			case 3, 4:
				if c != nil {
					d.stateChanged(c, []http.ConnState{http.StateActive, http.StateIdle}[random.IntN(2)])
				}
			case 5:
				if c != nil {
					_ = c.Close()
				}
			}
			checkConnections(t, d)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		for _, c := range all {
			_ = c.Close()
		}
		if h, v, l := d.counts(); h+v+l != 0 || d.networks.idle.Len() != len(d.networks.all) {
			t.Errorf("seed %d: %d %d %d left; %d of %d networks are idle", seed, h, v, l, d.networks.idle.Len(), len(d.networks.all))
		}
	}
}

func pick(random *rand.Rand, all []*conn) *conn {
	if len(all) == 0 {
		return nil
	}
	return all[random.IntN(len(all))]
}

// checkConnections recounts everything.
func checkConnections(t *testing.T, d *connections) {
	t.Helper()
	var count [pools]int
	for network, o := range d.networks.all {
		conns, lanes := 0, 0
		for p := range o.pools {
			for e := o.pools[p].Front(); e != nil; e = e.Next() {
				c := e.Value.(*conn)
				count[c.pool]++
				if c.pool == poolLanes {
					lanes++
				} else {
					conns++
				}
				if c.pool != pool(p) || c.element != e {
					t.Errorf("a connection of pool %d in pool %d", c.pool, p)
				}
			}
			if at := o.rank[p]; (at >= 0) != (o.pools[p].Len() > 0) || at >= 0 && d.evictable[p].networks[at] != o {
				t.Errorf("%s has place %d in pool %d with %d connections", network, at, p, o.pools[p].Len())
			}
		}
		if conns != o.conns() || lanes != o.lanes() || (o.idle == nil) != (conns+lanes > 0) {
			t.Errorf("%s counts %d and %d, has %d and %d; idle %v", network, o.conns(), o.lanes(), conns, lanes, o.idle != nil)
		}
		if o.conns() > d.limits.ConnectionsPerAddress || o.lanes() > d.limits.LanesPerAddress {
			t.Errorf("%s has %d and %d", network, o.conns(), o.lanes())
		}
	}
	if count != d.count {
		t.Errorf("counts %v, has %v", d.count, count)
	}
	if d.totalLocked() > d.most || count[poolHandshake] > d.limits.Handshakes || count[poolIdle]+count[poolActive] > d.limits.Connections || count[poolLanes] > lanesOf(d.limits.Descriptors) {
		t.Errorf("%v is more than there may be", count)
	}
	for p := range d.evictable {
		for i := range d.evictable[p].networks {
			if parent := (i - 1) / 2; i > 0 && d.evictable[p].Less(i, parent) {
				t.Errorf("pool %d is out of order", p)
			}
		}
	}
}

// TestConnectionsOfOffice: a network with many visitors is not an offender among
// handshakes.
func TestConnectionsOfOffice(t *testing.T) {
	d := fullConnections(func(l *Limits) { l.Handshakes = 4 })
	for range 10 {
		visitor(d, "192.0.2.1", http.StateActive)
	}
	_, office := addFrom(d, "192.0.2.1")
	var flood []*bool
	for range 5 {
		_, closed := addFrom(d, "192.0.2.2")
		flood = append(flood, closed)
	}
	if *office || !*flood[0] || !*flood[1] || *flood[2] {
		t.Errorf("closed: the office %v, the flood %v %v %v", *office, *flood[0], *flood[1], *flood[2])
	}
	checkConnections(t, d)
}
