package port

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel"
)

// Share serves blocks to the visitors of a share: it dials their upstreams as a Set does
// for clients of this machine. Create one with Set.Share; Close ends it.
//
// The limits of a Set apply to the visitors of a Share too, and are counted apart, so that
// visitors can't use up the connections of this machine.
type Share struct {
	set  *Set
	ctx  context.Context // ended by Close, and by that of the Set
	stop context.CancelFunc
	wg   sync.WaitGroup // all visits

	mu           sync.Mutex
	closed       bool
	allow        []netip.Prefix         // of all blocks; nil is every address
	blocks       map[string]*sharedPort // by Port.String
	visits       map[*visit]struct{}
	conns, flows int // the visits of each network
}

// sharedPort is a block of a Share.
type sharedPort struct {
	upstream
	visits  int
	refused atomic.Bool // what note was told last
}

// visit is one connection or flow of a visitor.
type visit struct {
	Visitor
	block *sharedPort
	flow  *flow              // nil for a connection
	end   context.CancelFunc // ends it at once
}

// Visitor is the other end of a Stream.
type Visitor struct {
	Network plan.Network
	Name    string // of the block
	// Addr is the visitor's address; the zero Addr if it is not known.
	Addr netip.Addr
}

// Stream is a connection of a visitor, or a flow of datagrams. A *tunnel.Stream is one.
type Stream interface {
	net.Conn
	CloseWrite() error
	// Reset closes it so that the visitor sees a failure.
	Reset()
	// WriteDatagram writes a datagram or drops it, and does not wait.
	WriteDatagram(datagram []byte) (sent bool, err error)
}

// Share returns a Share without blocks.
func (s *Set) Share() *Share {
	share := &Share{set: s, blocks: map[string]*sharedPort{}, visits: map[*visit]struct{}{}}
	share.ctx, share.stop = context.WithCancel(s.ctx)
	return share
}

// Apply serves these blocks in place of the previous ones, to visitors whose address is in
// allow, and in the Allow of the block unless that is Public. A nil allow is every address.
// New connections go to the new upstreams, and flows begin again there. Visits that are not
// allowed any more end; all others continue.
func (s *Share) Apply(ports []*plan.Port, allow []netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allow = allow
	before := s.blocks
	s.blocks = map[string]*sharedPort{}
	var moved []*sharedPort
	for _, p := range ports {
		if p.Withheld {
			continue
		}
		b := before[p.String()]
		if b == nil {
			b = &sharedPort{}
			b.set, b.note = s.set, func(err error) {
				// Each datagram comes here.
				if same := b.refused.Swap(err != nil) == (err != nil); !same || p.Network == plan.TCP {
					s.set.noteUpstream(p.Network, p.Name, err)
				}
			}
		}
		if b.use(p) {
			moved = append(moved, b)
		}
		s.blocks[p.String()] = b
	}
	for v := range s.visits {
		if !s.allowsLocked(v.Visitor) || v.flow != nil && slices.Contains(moved, v.block) {
			v.end()
		}
	}
}

// allowsLocked reports whether a visitor may connect now.
func (s *Share) allowsLocked(v Visitor) bool {
	b := s.blocks[v.block()]
	if b == nil {
		return false
	}
	p := b.port.Load()
	in := func(allow []netip.Prefix) bool { return len(allow) > 0 && access.Allowed(v.Addr, allow, nil) }
	return (p.Public || in(p.Allow)) && (s.allow == nil || in(s.allow))
}

func (v Visitor) block() string { return (&plan.Port{Network: v.Network, Name: v.Name}).String() }

// Serve passes a visitor's stream on to the upstream of its block, and returns at once. It
// resets the stream of a visitor who may not connect.
func (s *Share) Serve(stream Stream, visitor Visitor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.allowsLocked(visitor) {
		stream.Reset()
		return
	}
	v := &visit{Visitor: visitor, block: s.blocks[visitor.block()]}
	ctx, end := context.WithCancel(s.ctx)
	v.end = end
	serve := func() { v.block.serve(ctx, stream) }
	if visitor.Network == plan.UDP {
		v.flow = newFlow(ctx, &v.block.upstream, func(datagram []byte) { _, _ = stream.WriteDatagram(datagram) }) // the reader sees its end
		serve = func() { v.flow.carry(stream) }
	}
	if !s.takeLocked(v) {
		end()
		stream.Reset()
		return
	}
	s.wg.Go(func() {
		defer s.leave(v)
		serve()
	})
}

// takeLocked counts a visit, unless there are too many. A flow ends another one of its
// block.
func (s *Share) takeLocked(v *visit) bool {
	count, most, all := &s.conns, MaxConns, maxAllConns
	if v.flow != nil {
		count, most, all = &s.flows, MaxFlows, maxAllFlows
	}
	if v.block.visits >= most || *count >= all {
		flows := s.flowsLocked(v.block)
		if len(flows) == 0 {
			return false
		}
		s.removeLocked(flows[makesRoom(maps.Keys(flows))])
	}
	s.visits[v] = struct{}{}
	v.block.visits++
	*count++
	return true
}

// flowsLocked returns the flows of a block, and the visit of each.
func (s *Share) flowsLocked(b *sharedPort) map[*flow]*visit {
	flows := map[*flow]*visit{}
	for v := range s.visits {
		if v.block == b && v.flow != nil {
			flows[v.flow] = v
		}
	}
	return flows
}

func (s *Share) leave(v *visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(v)
}

// removeLocked ends a visit and stops counting it, once.
func (s *Share) removeLocked(v *visit) {
	v.end()
	if _, counted := s.visits[v]; !counted {
		return
	}
	delete(s.visits, v)
	v.block.visits--
	if v.flow != nil {
		s.flows--
	} else {
		s.conns--
	}
}

// Open returns how many connections and flows of visitors are open.
func (s *Share) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns + s.flows
}

// Close ends all visits, and returns when nothing of the Share runs any more. It may be
// called again.
func (s *Share) Close() {
	s.mu.Lock()
	s.closed = true
	s.stop()
	s.mu.Unlock()
	s.wg.Wait()
}

// carry passes the datagrams of a stream on until one of both ends, or the flow is idle.
func (one *flow) carry(stream Stream) {
	var reading sync.WaitGroup
	stop := context.AfterFunc(one.ctx, func() { _ = stream.Close() })
	defer stop()
	reading.Go(func() {
		defer one.stop()
		in := tunnel.NewDatagramReader(stream)
		for {
			datagram, err := in.Next()
			if err != nil {
				return
			}
			one.send(datagram)
		}
	})
	one.run()
	_ = stream.Close()
	reading.Wait()
}

// noteUpstream notes for a block of this machine what a visitor's connection has found.
func (s *Set) noteUpstream(network plan.Network, name string, err error) {
	s.mu.Lock()
	i := slices.IndexFunc(s.sockets, func(k *socket) bool {
		p := k.port.Load()
		return p.Network == network && p.Name == name
	})
	var found *socket
	if i >= 0 {
		found = s.sockets[i]
	}
	s.mu.Unlock()
	if found != nil {
		found.noteUpstream(err)
	}
}
