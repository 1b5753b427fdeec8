package port

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

const (
	// maxDatagram is the longest UDP payload over IPv4, in bytes.
	maxDatagram = 65507
	// maxPending is how many datagrams of a new flow wait for a name to be resolved. More
	// are dropped, as a network does.
	maxPending = 16
	// maxPendingBytes bounds them together, in bytes. The longest one fits.
	maxPendingBytes = maxDatagram
)

// bindUDP listens on addrs. Without a problem, serve are the loops that read.
func (k *socket) bindUDP(addrs []netip.AddrPort) (bound []closer, serve []func(), problem, fix string) {
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
				holder := listen.UDPHolder(addr.Port())
				text, fix = "cannot listen on "+addr.String()+" (UDP): "+holder.Text+" is using it", holder.Fix
			case neterror.Forbidden(err):
				text = "cannot listen on " + addr.String() + " (UDP): this machine does not allow it"
			}
			return nil, nil, text, fix
		}
		bound = append(bound, socket)
		serve = append(serve, func() { flows.read(socket) })
	}
	return bound, serve, "", ""
}

// flows are the flows of one socket: a flow for each client.
type flows struct {
	socket *socket

	mu       sync.Mutex
	byClient map[netip.AddrPort]*flow // by the client's address; one port for both families
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
		if !f.makeRoomLocked() {
			return nil
		}
	}
	one := newFlow(k.ctx, &k.upstream, func(datagram []byte) { _, _ = socket.WriteToUDPAddrPort(datagram, client) })
	f.byClient[client] = one
	k.open.Add(1)
	k.set.flows.Add(1)
	k.set.wg.Go(func() {
		defer f.remove(client, one)
		one.run()
	})
	return one
}

// makeRoomLocked ends the flow that makes room for another one.
func (f *flows) makeRoomLocked() bool {
	found := makesRoom(maps.Values(f.byClient))
	for client, one := range f.byClient {
		if one == found {
			f.removeLocked(client, one)
			return true
		}
	}
	return false
}

// removeLocked ends a flow, once.
func (f *flows) removeLocked(client netip.AddrPort, one *flow) {
	if f.byClient[client] == one {
		delete(f.byClient, client)
		f.socket.open.Add(-1)
		f.socket.set.flows.Add(-1)
		one.stop()
	}
}

func (f *flows) remove(client netip.AddrPort, one *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removeLocked(client, one)
}

func (f *flows) endAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for client, one := range f.byClient {
		f.removeLocked(client, one)
	}
}
