// Package port serves the tcp and udp blocks of a plan: it listens on their ports and
// passes connections and datagrams on to their upstreams, without reading them.
package port

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// The limits of what clients on this machine can make devproxy hold. A connection takes
// two descriptors and no memory of devproxy's where the system can splice; a flow takes
// one descriptor and a buffer of maxDatagram.
const (
	// MaxConns is how many connections one tcp block may have. The next is reset. It is
	// above the pools of all processes of a project, and far above what a database accepts.
	MaxConns = 1000
	// MaxFlows is how many flows one udp block may have. The next takes the place of
	// another one: see makesRoom.
	MaxFlows = 512
	// maxAllConns and maxAllFlows are for all blocks together.
	maxAllConns = 4000
	maxAllFlows = 1024
	// IdleFlow is how long a flow may be without a datagram in either direction. Resolvers
	// answer within seconds; games send many times in a second.
	IdleFlow = 60 * time.Second
	// retryEvery is how long a port that can't be listened on is left before the next try.
	retryEvery = 2 * time.Second
	// dialTimeout bounds opening a connection to one address.
	dialTimeout = 10 * time.Second
)

// Options configure a Set.
type Options struct {
	// Dial connects to an address of an upstream. An error that is a refusal (package
	// neterror) is tried again until the port's Hold is over. Nil is a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// OnState is called when Problem or Refusal of a port has changed. It must not block.
	// Nil is allowed.
	OnState func(State)
	// IdleFlow replaces the constant of that name; 0 does not.
	IdleFlow time.Duration
	// Retry replaces retryEvery; 0 does not.
	Retry time.Duration
}

// State is the state of one port.
type State struct {
	Port *plan.Port
	// Problem says why the port can't be listened on, and Fix is a command that shows more;
	// both are empty while it is.
	Problem, Fix string
	// Refusal says why the upstream did not accept the last connection; empty if it did.
	Refusal string
	// Open is how many connections or flows are open.
	Open int
}

// Set serves the ports of one plan at a time. Create one with New; Close ends it.
type Set struct {
	opts Options
	ctx  context.Context // ended by Close
	stop context.CancelFunc
	wg   sync.WaitGroup // everything that runs

	conns, flows atomic.Int64

	mu      sync.Mutex
	sockets []*socket // in the order of the plan
	closed  bool
}

// New returns a Set without ports.
func New(opts Options) *Set {
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	if opts.IdleFlow == 0 {
		opts.IdleFlow = IdleFlow
	}
	if opts.Retry == 0 {
		opts.Retry = retryEvery
	}
	s := &Set{opts: opts}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Apply serves these ports in place of the previous ones. A port with the same Key keeps
// its socket; its new connections go to the new upstream, and so do all its datagrams. A
// port that is left out accepts no more. Its connections continue until they end; its flows
// end. When Apply returns, each port is listened on, unless that failed: then it is tried
// again until it works.
func (s *Set) Apply(ports []*plan.Port) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	old := s.sockets
	wanted := func(k *socket) bool {
		return slices.ContainsFunc(ports, func(p *plan.Port) bool { return p.Key() == k.key })
	}
	for _, k := range old { // first: a port may have moved to another address
		if !wanted(k) {
			k.close()
		}
	}
	s.sockets = nil
	for _, p := range ports {
		i := slices.IndexFunc(old, func(k *socket) bool { return k.key == p.Key() })
		if i >= 0 {
			old[i].use(p)
			s.sockets = append(s.sockets, old[i])
			continue
		}
		s.sockets = append(s.sockets, s.open(p))
	}
}

// States returns the state of each port, in the order of the plan.
func (s *Set) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	states := make([]State, len(s.sockets))
	for i, k := range s.sockets {
		states[i] = k.state()
	}
	return states
}

// Open returns how many connections and flows are open, those of ports that were left out
// among them.
func (s *Set) Open() int { return int(s.conns.Load() + s.flows.Load()) }

// Close stops listening, closes all connections, and returns when nothing of the Set runs
// any more. It may be called again.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	s.stop()
	for _, k := range s.sockets {
		k.close()
	}
	s.sockets = nil
	s.mu.Unlock()
	s.wg.Wait()
}

// socket is one port that is listened on, or is tried.
type socket struct {
	upstream
	key  string
	ctx  context.Context // ended when the port is left out; connections outlive it
	stop context.CancelFunc
	open atomic.Int64 // connections or flows

	mu      sync.Mutex
	bound   []closer // empty until it is listened on
	problem string
	fix     string
	refusal string
	moved   func() // ends what must not stay with the previous upstream; nil for tcp
}

type closer interface{ Close() error }

// open begins to listen on a port.
func (s *Set) open(p *plan.Port) *socket {
	k := &socket{key: p.Key()}
	k.set, k.note = s, k.noteUpstream
	k.ctx, k.stop = context.WithCancel(s.ctx)
	k.port.Store(p)
	if !k.listen() {
		s.wg.Go(k.retry)
	}
	return k
}

// listen tries once, and reports whether it is listened on now.
func (k *socket) listen() bool {
	p := k.port.Load()
	var bound []closer
	var serve []func()
	problem, fix := "", ""
	if p.Network == plan.UDP {
		bound, serve, problem, fix = k.bindUDP(p.Addrs)
	} else {
		bound, serve, problem, fix = k.bindTCP(p.Addrs)
	}
	k.mu.Lock()
	changed := k.problem != problem
	k.problem, k.fix = problem, fix
	if k.ctx.Err() != nil {
		problem = "" // it was left out meanwhile
		closeAll(bound)
		serve = nil
	}
	k.bound = bound
	k.mu.Unlock()
	for _, run := range serve {
		k.set.wg.Go(run)
	}
	if changed {
		k.tell()
	}
	return problem == ""
}

// retry tries until it is listened on, or left out.
func (k *socket) retry() {
	ticker := time.NewTicker(k.set.opts.Retry)
	defer ticker.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-ticker.C:
			if !k.stillTaken() && k.listen() {
				return
			}
		}
	}
}

// stillTaken reports whether another program still has an address. To find out which one
// it is takes much longer, and is done once.
func (k *socket) stillTaken() bool {
	p := k.port.Load()
	for _, addr := range p.Addrs {
		var tried closer
		var err error
		if p.Network == plan.UDP {
			tried, err = net.ListenPacket("udp", addr.String())
		} else {
			tried, err = net.Listen("tcp", addr.String())
		}
		if err == nil {
			_ = tried.Close()
		}
		if neterror.Taken(err) {
			return true
		}
	}
	return false
}

// use replaces the port, whose key is the same. Flows, which may never end, begin again
// with another upstream. What was refused says nothing about that.
func (k *socket) use(p *plan.Port) {
	if !k.upstream.use(p) {
		return
	}
	k.mu.Lock()
	k.refusal = ""
	moved := k.moved
	k.mu.Unlock()
	if moved != nil {
		moved()
	}
}

// close stops listening.
func (k *socket) close() {
	k.stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	closeAll(k.bound)
}

func closeAll(all []closer) {
	for _, c := range all {
		_ = c.Close() // sockets have nothing to lose
	}
}

func (k *socket) state() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	return State{Port: k.port.Load(), Problem: k.problem, Fix: k.fix, Refusal: k.refusal, Open: int(k.open.Load())}
}

// tell reports the state.
func (k *socket) tell() {
	if k.set.opts.OnState != nil && k.ctx.Err() == nil {
		k.set.opts.OnState(k.state())
	}
}

// noteUpstream notes why the upstream did not accept; nil means that it did.
func (k *socket) noteUpstream(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	k.mu.Lock()
	changed := (k.refusal == "") != (text == "")
	k.refusal = text
	k.mu.Unlock()
	if changed {
		k.tell()
	}
}

// pause waits, and reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
