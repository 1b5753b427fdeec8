package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// bindPatience is how long the ports of one claim may take to be bound. The process
	// that this one replaces closes its sockets within that time.
	bindPatience = 3 * time.Second
	// bindRetry is how often a port that cannot be bound is tried again.
	bindRetry = 20 * time.Millisecond
	// maxTaken is how many ports that other programs use are passed over for one port of a
	// claim.
	maxTaken = 8
)

// ports are the open ports of shares. A port belongs to a key: it stays open while one
// session of the key takes over from another.
type ports struct {
	relay *Relay
	flows *flows

	mu         sync.Mutex
	open       map[portID]*openPort
	handedOver bool // no port is opened after that
}

// portID is a port of this server.
type portID struct {
	network string
	number  uint16
}

func (id portID) String() string { return portEntry(id.network, id.number) }

// openPort is a port that the relay listens on.
type openPort struct {
	id     portID
	key    Key
	socket interface{ Close() error } // net.Listener or *net.UDPConn
	// life ends, with everything that visitors have open, when the port is closed, but not
	// when another process takes it over.
	life context.Context
	cut  context.CancelFunc

	// Guarded by ports.mu.
	name  string // by which the key claims it
	share *share // the visitors' share; nil until its session is established
	// claimed is when it was last granted; zero once a session has it.
	claimed time.Time
}

// grantedPort is a port that a claim was granted.
type grantedPort struct {
	id   portID
	name string
}

// portEntries returns the registry's names of ports.
func portEntries(granted []grantedPort) []string {
	var entries []string
	for _, g := range granted {
		entries = append(entries, g.id.String())
	}
	return entries
}

func newPorts(r *Relay) *ports {
	return &ports{relay: r, flows: newFlows(r), open: map[portID]*openPort{}}
}

// rangeOf returns the ports that the relay has for a network.
func (r *Relay) rangeOf(network string) PortRange {
	if network == tunnel.UDP {
		return r.opts.UDPPorts
	}
	return r.opts.TCPPorts
}

// grantPorts reserves the ports of a claim for its key and opens them. It fills in the
// grant: 0 for a port that the key cannot have, and why.
func (a *agents) grantPorts(ctx context.Context, key Key, from *network, claimed []tunnel.Port, grant *tunnel.Grant) (granted []grantedPort, err error) {
	ctx, cancel := context.WithTimeout(ctx, bindPatience)
	defer cancel()
	var reasons []string
	for _, port := range claimed {
		id, err := a.grantPort(ctx, key, from, port)
		if err == nil {
			granted = append(granted, grantedPort{id, port.Name})
			grant.Ports = append(grant.Ports, int(id.number))
			continue
		}
		if _, ok := errors.AsType[*QuotaError](err); !ok && !errors.Is(err, errNoPorts) {
			return nil, err
		}
		grant.Ports = append(grant.Ports, 0)
		reasons = append(reasons, port.String()+": "+err.Error())
	}
	grant.PortsRefused = strings.Join(reasons, "; ")
	if grant.PortsRefused != "" {
		a.relay.log.Info("ports not granted", "key", key, "from", from.prefix, "error", grant.PortsRefused)
	}
	return granted, nil
}

// errNoPorts is why a port is not granted, for the agent.
var errNoPorts = errors.New("not available")

// grantPort reserves and opens one port. When another program of this server has it, the
// key gets another one.
func (a *agents) grantPort(ctx context.Context, key Key, from *network, port tunnel.Port) (portID, error) {
	r := a.relay
	claim := PortClaim{Owner: key, Port: port, Range: r.rangeOf(port.Network), From: from.prefix, Quota: r.opts.Limits.Names}
	if claim.Range.size() == 0 {
		flag := "--" + port.Network + "-ports"
		return portID{}, fmt.Errorf("%w: this relay has no %s ports; ask its operator to start it with %s 20000-20999", errNoPorts, strings.ToUpper(port.Network), flag)
	}
	for range maxTaken {
		number, fresh, err := r.opts.Registry.ClaimPort(ctx, claim)
		if err != nil {
			return portID{}, err
		}
		id := portID{port.Network, number}
		err = r.ports.bind(ctx, key, grantedPort{id, port.Name}, fresh)
		if err == nil {
			return id, nil
		}
		r.log.Error("port not opened", "port", id.String(), "error", err)
		if errors.Is(err, ErrSuspended) {
			return portID{}, err
		}
		claim.Without = append(claim.Without, number)
	}
	return portID{}, fmt.Errorf("%w: the relay cannot listen on it; its log says why", errNoPorts)
}

// bind opens a port for a key. A fresh one is tried once; the process that this one
// replaces may not have closed another one yet.
func (p *ports) bind(ctx context.Context, key Key, g grantedPort, fresh bool) error {
	for {
		err := p.tryBind(key, g)
		if err == nil || fresh || errors.Is(err, ErrSuspended) || !wait(ctx, bindRetry, nil) {
			return err
		}
	}
}

func (p *ports) tryBind(key Key, g grantedPort) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.handedOver || p.relay.leaving() {
		return ErrSuspended
	}
	known := p.open[g.id]
	switch {
	case known == nil:
	case known.key != key || known.name != g.name: // its reservation has lapsed
		p.closeLocked(known)
	default:
		known.claimed = time.Now()
		return nil
	}
	host := p.relay.host.Load()
	if host == nil {
		return errors.New("the relay does not listen yet")
	}
	address := net.JoinHostPort(*host, strconv.Itoa(int(g.id.number)))
	one := &openPort{id: g.id, key: key, name: g.name, claimed: time.Now()}
	one.life, one.cut = context.WithCancel(p.relay.life)
	serve, err := p.listen(one, address)
	if err != nil {
		one.cut()
		return err
	}
	if !p.relay.spawn(serve) {
		one.cut()
		one.socket.Close()
		return ErrSuspended
	}
	p.open[g.id] = one
	return nil
}

// listen opens the socket of a port, and returns what serves it until it is closed.
func (p *ports) listen(one *openPort, address string) (serve func(), err error) {
	r := p.relay
	if one.id.network == tunnel.UDP {
		socket, err := net.ListenPacket("udp", address)
		if err != nil {
			return nil, err
		}
		one.socket = socket
		return func() { p.flows.serve(one, socket.(*net.UDPConn)) }, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	one.socket = ln
	return func() {
		err := r.accept(context.Background(), ln, r.accepting, func(c net.Conn) {
			r.count(c, func(c *conn) { r.servePort(one, c) })
		})
		if err != nil {
			r.log.Error("port closed", "port", one.id.String(), "error", err)
		}
	}, nil
}

// assign gives the ports of a key to one of its sessions, unless another session has the
// key's share. It closes those that the session does not have.
func (p *ports) assign(s *share, granted []grantedPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.relay.shares.forKey(s.key) != s {
		return
	}
	wanted := map[portID]bool{}
	for _, g := range granted {
		wanted[g.id] = true
	}
	for _, one := range p.ofLocked(s.key) {
		if !wanted[one.id] {
			p.closeLocked(one)
			continue
		}
		one.share, one.claimed = s, time.Time{}
	}
}

// release closes the ports of a session that has ended, except those that were granted to
// the next one.
func (p *ports) release(s *share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.ofLocked(s.key) {
		switch {
		case one.share != s:
		case one.claimed.IsZero():
			p.closeLocked(one)
		default:
			one.share = nil
		}
	}
}

// sweep closes the ports whose session was never established.
func (p *ports) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.open {
		if one.share == nil && now.Sub(one.claimed) > pendingFor {
			p.closeLocked(one)
		}
	}
}

// handOver closes all sockets, so that another process can open them. After that, no port
// is opened. Connections stay open; a client's next datagram goes to the other process.
func (p *ports) handOver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handedOver = true
	for _, one := range p.open {
		one.socket.Close() // nothing is written that could be lost
		if one.id.network == tunnel.UDP {
			one.cut()
		}
	}
	clear(p.open)
}

func (p *ports) ofLocked(key Key) []*openPort {
	var all []*openPort
	for _, one := range p.open {
		if one.key == key {
			all = append(all, one)
		}
	}
	return all
}

func (p *ports) closeLocked(one *openPort) {
	delete(p.open, one.id)
	one.socket.Close() // nothing is written that could be lost
	one.cut()
}

// count returns how many ports are open.
func (p *ports) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// shareOf returns the share that has a port now.
func (p *ports) shareOf(one *openPort) (l live, name string, ok bool) {
	p.mu.Lock()
	s, name := one.share, one.name
	p.mu.Unlock()
	if s == nil {
		return live{}, name, false
	}
	t := p.relay.shares
	t.mu.Lock()
	defer t.mu.Unlock()
	return live{s, s.shareState}, name, true
}

// isLocal reports whether a visitor's address is one of the relay's own UDP ports: two
// shares would answer each other for ever.
func (p *ports) isLocal(client netip.AddrPort) bool {
	p.mu.Lock()
	one := p.open[portID{tunnel.UDP, client.Port()}]
	p.mu.Unlock()
	if one == nil {
		return false
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, addr := range addrs {
		if own, ok := addr.(*net.IPNet); ok && own.IP.Equal(client.Addr().AsSlice()) {
			return true
		}
	}
	return false
}
