package port

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

const (
	// maxDatagram is the longest UDP payload over IPv4, in bytes.
	maxDatagram = 65507
	// maxPending is how many datagrams of a new flow wait for a name to be resolved. More
	// are dropped, as a network does.
	maxPending = 16
)

// bindUDP listens on addrs. Without a problem, serve are the loops that read.
func (k *socket) bindUDP(addrs []netip.AddrPort) (bound []closer, serve []func(), problem string) {
	flows := &flows{socket: k, byClient: map[netip.AddrPort]*flow{}}
	k.mu.Lock()
	k.moved = flows.endAll
	k.mu.Unlock()
	for _, addr := range addrs {
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		if neterror.Absent(err) && len(addrs) > 1 {
			continue // one of the two families
		}
		if err != nil {
			closeAll(bound)
			text := err.Error()
			switch {
			case neterror.Taken(err):
				text = "cannot listen on " + addr.String() + " (UDP): another program is using it"
			case neterror.Forbidden(err):
				text = "cannot listen on " + addr.String() + " (UDP): this machine does not allow it"
			}
			return nil, nil, text
		}
		bound = append(bound, socket)
		serve = append(serve, func() { flows.read(socket) })
	}
	return bound, serve, ""
}

// flows are the flows of one socket: a flow for each client.
type flows struct {
	socket *socket

	mu       sync.Mutex
	byClient map[netip.AddrPort]*flow // by the client's address; one port for both families
	// preferred is the index of the upstream's address that new flows use.
	preferred atomic.Int64
}

// flow is one client. Its upstream sees a port of its own.
type flow struct {
	flows  *flows
	client netip.AddrPort
	back   *net.UDPConn // to the client
	ctx    context.Context
	stop   context.CancelFunc
	last   atomic.Int64 // when a datagram came last, Unix nanoseconds

	mu      sync.Mutex
	conn    net.Conn // nil until it is known where to send
	pending [][]byte
}

// read passes datagrams of clients on until the socket is closed.
func (f *flows) read(socket *net.UDPConn) {
	buffer := make([]byte, maxDatagram)
	for {
		n, client, err := socket.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			f.endAll()
			return
		}
		if err != nil {
			// On Windows, an answer that a client did not want fails the next read.
			pause(f.socket.ctx, time.Millisecond)
			continue
		}
		if flow := f.of(client, socket); flow != nil {
			flow.send(buffer[:n])
		}
	}
}

// of returns the flow of a client, which it makes if needed; nil if there are too many.
func (f *flows) of(client netip.AddrPort, socket *net.UDPConn) *flow {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.byClient[client]; known != nil {
		return known
	}
	k := f.socket
	if k.ctx.Err() != nil {
		return nil
	}
	if len(f.byClient) >= MaxFlows || k.set.flows.Load() >= maxAllFlows {
		if !f.endOldestLocked() {
			return nil
		}
	}
	one := &flow{flows: f, client: client, back: socket}
	one.ctx, one.stop = context.WithCancel(k.ctx)
	one.last.Store(time.Now().UnixNano())
	f.byClient[client] = one
	k.open.Add(1)
	k.set.flows.Add(1)
	k.set.wg.Go(one.run)
	return one
}

// endOldestLocked ends the flow that was quiet the longest.
func (f *flows) endOldestLocked() bool {
	var oldest *flow
	for _, one := range f.byClient {
		if oldest == nil || one.last.Load() < oldest.last.Load() {
			oldest = one
		}
	}
	if oldest == nil {
		return false
	}
	f.removeLocked(oldest)
	return true
}

// removeLocked ends a flow, once.
func (f *flows) removeLocked(one *flow) {
	if f.byClient[one.client] == one {
		delete(f.byClient, one.client)
		f.socket.open.Add(-1)
		f.socket.set.flows.Add(-1)
		one.stop()
	}
}

func (f *flows) remove(one *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removeLocked(one)
}

func (f *flows) endAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.byClient {
		f.removeLocked(one)
	}
}

// send sends a datagram of the client to the upstream. It drops what can't be sent now.
func (one *flow) send(datagram []byte) {
	one.last.Store(time.Now().UnixNano())
	one.mu.Lock()
	defer one.mu.Unlock()
	switch {
	case one.conn != nil:
		_, _ = one.conn.Write(datagram) // a refusal is noticed where it is read
	case len(one.pending) < maxPending:
		one.pending = append(one.pending, append([]byte(nil), datagram...))
	}
}

// run passes the upstream's datagrams to the client until the flow ends.
func (one *flow) run() {
	defer one.flows.remove(one)
	buffer := make([]byte, maxDatagram)
	for one.ctx.Err() == nil {
		conn, err := one.connect()
		if err != nil {
			one.flows.socket.noteUpstream(err)
			return // the next datagram tries again
		}
		stop := context.AfterFunc(one.ctx, func() { _ = conn.Close() })
		again := one.receive(conn, buffer)
		stop()
		_ = conn.Close()
		if !again {
			return
		}
	}
}

// connect opens the flow's own port towards the upstream, and sends what waits.
func (one *flow) connect() (net.Conn, error) {
	addrs := upstreamAddrs(one.flows.socket.port.Load())
	ctx, cancel := context.WithTimeout(one.ctx, dialTimeout)
	defer cancel()
	addr := addrs[int(one.flows.preferred.Load())%len(addrs)]
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", addr) // sends nothing
	if err != nil {
		return nil, err
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	one.conn = conn
	for _, datagram := range one.pending {
		_, _ = conn.Write(datagram)
	}
	one.pending = nil
	return conn, nil
}

// upstreamAddrs are the addresses of an upstream, of which at least one exists.
func upstreamAddrs(p *plan.Port) []string {
	var addrs []string
	for _, m := range p.Members {
		addrs = append(addrs, m.Addrs...)
	}
	return addrs
}

// receive passes datagrams on until the flow is idle or ends. again is true if nothing
// listens at the address: then the next one is tried.
func (one *flow) receive(conn net.Conn, buffer []byte) (again bool) {
	k := one.flows.socket
	idle := k.set.opts.IdleFlow
	for {
		quiet := time.Since(time.Unix(0, one.last.Load()))
		if quiet >= idle {
			return false
		}
		_ = conn.SetReadDeadline(time.Now().Add(idle - quiet))
		n, err := conn.Read(buffer)
		timeout, isNet := errors.AsType[net.Error](err)
		switch {
		case err == nil:
			one.last.Store(time.Now().UnixNano())
			k.noteUpstream(nil)
			_, _ = one.back.WriteToUDPAddrPort(buffer[:n], one.client)
		case isNet && timeout.Timeout():
		case neterror.Refused(err) || neterror.Broken(err): // Windows resets instead
			k.noteUpstream(&dialError{[]forward.Attempt{{Addr: conn.RemoteAddr().String(), Err: neterror.ErrRefused}}})
			one.flows.preferred.Add(1)
			return true
		default:
			return false
		}
	}
}
