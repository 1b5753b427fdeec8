package relay

import (
	"net"
	"net/http"
	"testing"
)

// fakeConn is a connection from an address that a test has not got.
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

func enter(d *door, from string) (*conn, *bool) {
	closed := new(bool)
	return d.enter(fakeConn{from: from, closed: closed}), closed
}

func TestDoorCountsPerAddress(t *testing.T) {
	d := newDoor(Limits{ConnectionsPerAddress: 2, Handshakes: 100, Connections: 3}.withDefaults())
	one, _ := enter(d, "192.0.2.1")
	two, _ := enter(d, "192.0.2.1")
	if third, _ := enter(d, "192.0.2.1"); third != nil {
		t.Error("a third connection of one address came in")
	}
	if other, _ := enter(d, "192.0.2.2"); other == nil {
		t.Error("another address did not come in")
	}
	// One customer's IPv6 addresses are one.
	six, _ := enter(d, "2001:db8::1")
	enter(d, "2001:db8::2")
	if third, _ := enter(d, "2001:db8::3"); third != nil {
		t.Error("a third connection of one /64 came in")
	}
	// Agents count for themselves.
	if !d.become(one, laning) || !d.become(two, laning) {
		t.Fatal("no lanes")
	}
	if c, _ := enter(d, "192.0.2.1"); c == nil {
		t.Error("lanes count as visitors")
	}
	_ = six.Close()
	_ = six.Close() // counts once
	if again, _ := enter(d, "2001:db8::1"); again == nil {
		t.Error("a place that was left is not free")
	}
	if again, _ := enter(d, "2001:db8::1"); again != nil {
		t.Error("a place was freed twice")
	}
}

func TestDoorVisitorsLeaveRoomForAgents(t *testing.T) {
	d := newDoor(Limits{Connections: 2, ConnectionsPerAddress: 10}.withDefaults())
	for i := range 3 {
		c, _ := enter(d, "192.0.2.1")
		if got := d.become(c, visiting); got != (i < 2) {
			t.Errorf("visitor %d: %v", i, got)
		}
	}
	c, _ := enter(d, "192.0.2.1")
	if !d.become(c, laning) {
		t.Error("no room for an agent")
	}
}

// TestDoorEvictsTheMany: a handshake of an address with many goes before an
// older one of another.
func TestDoorEvictsTheMany(t *testing.T) {
	d := newDoor(Limits{Handshakes: 10}.withDefaults())
	visitor, visitorClosed := enter(d, "192.0.2.1")
	for range 100 {
		enter(d, "192.0.2.2")
	}
	if *visitorClosed || !d.become(visitor, visiting) {
		t.Error("a visitor was pushed out by the many of another address")
	}
}

// TestDoorMakesRoom: visitors without a request make room for another one,
// those with a request do not.
func TestDoorMakesRoom(t *testing.T) {
	d := newDoor(Limits{Connections: 3, ConnectionsPerAddress: 10}.withDefaults())
	visit := func(from string, state http.ConnState) (bool, *bool) {
		c, closed := enter(d, from)
		ok := d.become(c, visiting)
		d.follow(c, http.StateNew)
		d.follow(c, state)
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
	if _, visitors, _ := d.counts(); visitors != 3 || d.closable[poolResting].Len() != 0 {
		t.Errorf("%d visitors, %d rest", visitors, d.closable[poolResting].Len())
	}
}

// TestDoorEvicts: the oldest handshake goes, and only that.
func TestDoorEvicts(t *testing.T) {
	d := newDoor(Limits{Handshakes: 2}.withDefaults())
	first, firstClosed := enter(d, "192.0.2.1")
	second, secondClosed := enter(d, "192.0.2.2")
	third, thirdClosed := enter(d, "192.0.2.3")
	if !*firstClosed || *secondClosed || *thirdClosed {
		t.Errorf("closed: %v %v %v, want the first", *firstClosed, *secondClosed, *thirdClosed)
	}
	if d.become(first, visiting) {
		t.Error("a closed connection became a visitor")
	}
	if !d.become(second, visiting) || !d.become(third, laning) {
		t.Error("the others did not go on")
	}
	if h, v, l := d.counts(); h != 0 || v != 1 || l != 1 {
		t.Errorf("counts %d %d %d", h, v, l)
	}
}

// TestDoorForgets: what is remembered of addresses is bounded.
func TestDoorForgets(t *testing.T) {
	d := newDoor(Limits{}.withDefaults())
	for i := range 2 * maxIdleOrigins {
		c, _ := enter(d, net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)).String())
		_ = c.Close()
	}
	if len(d.networks.all) > maxIdleOrigins {
		t.Errorf("%d addresses are remembered", len(d.networks.all))
	}
}
