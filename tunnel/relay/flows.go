package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// Anyone can send datagrams with forged addresses, so a flow proves nothing about its
// client. The limits here and in flow_set.go bound what such a sender gets.
const (
	// idleFlow is how long a flow may be without a datagram in either direction. It is the
	// same as on the user's machine (devproxy/port).
	idleFlow = 60 * time.Second
	// newFlowsPerSecond and newFlowsBurst bound the new flows of one share,
	// allNewFlowsPerSecond and allNewFlowsBurst those of all.
	newFlowsPerSecond    = 200
	newFlowsBurst        = 1000
	allNewFlowsPerSecond = 2000
	allNewFlowsBurst     = 10_000
	// firstAnswers is how many bytes a client may get in return for its first datagram, and
	// moreAnswers for each further one, up to mostAnswers in advance. So a datagram with a
	// forged address brings no more than that to the address.
	firstAnswers = 8 << 10
	moreAnswers  = 256 << 10
	mostAnswers  = 4 << 20
	// flowCost is the memory of a flow without its stream, in bytes.
	flowCost = 12 << 10
	// firstUserPort is the lowest port of clients, and of shares. Those below belong to
	// servers, which would answer the answers.
	firstUserPort = 1024
	// refusedFor is how long the datagrams of a client are dropped whose flow the share has
	// reset without an answer, as one that may not connect. Otherwise each would take a
	// place among the new flows.
	refusedFor = 2 * time.Second
	// readPause is how long reading pauses after a failure.
	readPause = time.Millisecond
)

// flows are the clients of all UDP ports.
type flows struct {
	relay *Relay

	mu       sync.Mutex
	idle     time.Duration // idleFlow
	byClient map[flowID]*flow
	sets     map[flowGroup]*flowSet
	fresh    *rate.Limiter
}

// flowID is a client of a port.
type flowID struct {
	port   *openPort
	client netip.AddrPort
}

// flow carries the datagrams between a port and one address, on one stream.
type flow struct {
	id     flowID
	stream *tunnel.Stream
	back   *net.UDPConn
	timer  *time.Timer // calls expire

	// Guarded by flows.mu.
	visit     portVisit
	last      time.Time // when a datagram came last
	heard     bool      // the client has got an answer
	refused   bool      // the share has reset it; it is kept for refusedFor
	allowance int       // bytes that the client may get
	ended     bool
	places    []flowPlace
}

func newFlows(r *Relay) *flows {
	return &flows{
		relay: r, idle: idleFlow, byClient: map[flowID]*flow{}, sets: map[flowGroup]*flowSet{},
		fresh: rate.NewLimiter(allNewFlowsPerSecond, allNewFlowsBurst),
	}
}

// count returns how many flows there are.
func (f *flows) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.byClient)
}

// serve passes the datagrams of a port's clients to its share until the port is closed.
func (f *flows) serve(port *openPort, socket *net.UDPConn) {
	defer context.AfterFunc(f.relay.accepting, port.cut)()
	defer context.AfterFunc(port.life, func() { socket.Close() })()
	defer f.endAll(port)
	buffer := make([]byte, tunnel.MaxDatagram)
	for {
		n, client, err := socket.ReadFromUDPAddrPort(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // on Windows, an answer that a client did not want fails the next read
			wait(port.life, readPause, nil)
		default:
			client = netip.AddrPortFrom(client.Addr().Unmap().WithZone(""), client.Port())
			f.take(flowID{port, client}, socket, buffer[:n])
		}
	}
}

// take passes on a datagram of a client. It drops what cannot be sent now.
func (f *flows) take(id flowID, socket *net.UDPConn, datagram []byte) {
	one, limit := f.find(id, socket)
	if limit != "" {
		f.relay.metrics.limited.WithLabelValues(limit).Inc()
		return
	}
	sent, err := one.stream.WriteDatagram(datagram)
	f.mu.Lock()
	one.visit.in += int64(len(datagram))
	if !sent {
		one.visit.dropped++
	}
	f.mu.Unlock()
	switch {
	case err != nil: // answer sees it too, and why
	case !sent:
		f.relay.metrics.limited.WithLabelValues("datagrams").Inc()
	}
}

// find returns the flow of a client, which it opens if needed. Without one, limit says
// what refuses it.
func (f *flows) find(id flowID, socket *net.UDPConn) (one *flow, limit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch one = f.byClient[id]; {
	case one == nil:
		return f.openLocked(id, socket)
	case one.refused:
		return nil, "flows_refused"
	}
	one.allowance = min(one.allowance+moreAnswers, mostAnswers)
	one.moveLocked()
	return one, ""
}

// openLocked opens the flow of a new client.
func (f *flows) openLocked(id flowID, socket *net.UDPConn) (one *flow, limit string) {
	r := f.relay
	if id.client.Port() < firstUserPort {
		return nil, "flow_sources"
	}
	l, name, ok := r.ports.shareOf(id.port)
	if !ok || l.claimed.expired(time.Now()) {
		return nil, "flow_away"
	}
	sets := f.setsLocked(l.share, budget.NetworkOf(id.client.Addr()))
	if !allowFresh(sets) || !l.flows.Allow() || !f.fresh.Allow() {
		return nil, "flows"
	}
	if r.ports.isLocal(id.client) { // after the limits: it asks the system
		return nil, "flow_sources"
	}
	if !f.makeRoomLocked(sets) {
		return nil, "flows"
	}
	stream, err := l.session.Open(tunnel.Visitor{Addr: id.client, Scheme: tunnel.UDP, Host: name}.AppendTo(nil))
	if err != nil {
		return nil, "flow_away" // the session has ended, drains, or has too many streams
	}
	stream.Hold(flowCost)
	one = &flow{
		id: id, stream: stream, back: socket, allowance: firstAnswers, last: time.Now(),
		visit: portVisit{relay: r, port: id.port.id, visitor: id.client, start: time.Now(), carried: true},
	}
	one.timer = time.AfterFunc(f.idle, func() { f.expire(one) })
	f.byClient[id] = one
	f.addLocked(one, sets)
	r.group.Go(func() { f.answer(one) }) // serve keeps the group above zero
	return one, ""
}

// answer passes the share's datagrams to the client until the flow ends.
func (f *flows) answer(one *flow) {
	from := tunnel.NewDatagramReader(one.stream)
	for {
		datagram, err := from.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			visit := f.over(one, err)
			visit.record()
			return
		}
		if !f.mayAnswer(one, len(datagram)) {
			f.relay.metrics.limited.WithLabelValues("answers").Inc()
			continue
		}
		_, _ = one.back.WriteToUDPAddrPort(datagram, one.id.client) // the network may drop it too
	}
}

// mayAnswer counts n bytes for the client. It reports false when those are too many for
// what the client has sent.
func (f *flows) mayAnswer(one *flow, n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.ended || n > one.allowance {
		one.visit.dropped++
		return false
	}
	one.allowance -= n
	one.visit.out += int64(n)
	one.heard = true
	one.moveLocked()
	return true
}

// over ends a flow whose stream is over, and returns what to record. When the share has
// reset it without an answer, its place stays taken for a while.
func (f *flows) over(one *flow, fault error) portVisit {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch reset := errors.Is(fault, tunnel.ErrReset); {
	case one.refused:
	case one.ended, one.heard, !reset:
		f.endLocked(one, fault)
	default:
		one.refused, one.visit.fault, one.last = true, fault, time.Now()
		one.stream.Reset() // and frees what it holds
		one.timer.Reset(refusedFor)
	}
	return one.visit
}

// expire ends a flow that is idle, or was refused.
func (f *flows) expire(one *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	idle := f.idle
	if one.refused {
		idle = refusedFor
	}
	switch left := idle - time.Since(one.last); {
	case left <= 0:
		f.endLocked(one, nil)
	case !one.ended:
		one.timer.Reset(left)
	}
}

// endAll ends the flows of a port.
func (f *flows) endAll(port *openPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, one := range f.byClient {
		if id.port == port {
			f.endLocked(one, errPortShut)
		}
	}
}

// endLocked ends a flow, once.
func (f *flows) endLocked(one *flow, fault error) {
	if one.ended {
		return
	}
	one.ended = true
	one.timer.Stop()
	delete(f.byClient, one.id)
	f.removeLocked(one)
	one.stream.Reset() // datagrams that wait are dropped
	if !one.refused {
		one.visit.fault = fault
	}
}
