package port

import (
	"context"
	"errors"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// flow is one client. Its upstream sees a port of its own.
type flow struct {
	upstream *upstream
	back     func(datagram []byte) // to the client; it must not block
	ctx      context.Context
	stop     context.CancelFunc
	last     atomic.Int64 // when a datagram came last, Unix nanoseconds
	answered atomic.Bool  // the upstream has sent something

	mu      sync.Mutex
	conn    net.Conn // nil until it is known where to send
	pending [][]byte
	waiting int // bytes of pending
}

// usedFlow is how long after its last datagram a flow is in use that its upstream has
// answered.
const usedFlow = 5 * time.Second

// makesRoom returns which of some flows makes room for another one; nil without flows. Those
// that the upstream has not answered may have forged addresses, or wait for their answer:
// they have half of the places. Within both kinds it is the one that was quiet the longest,
// and one in use comes last.
func makesRoom(flows iter.Seq[*flow]) *flow {
	var unanswered, answered *flow
	balance := 0
	for one := range flows {
		kind := &unanswered
		if balance++; one.answered.Load() {
			kind, balance = &answered, balance-2
		}
		if *kind == nil || one.last.Load() < (*kind).last.Load() {
			*kind = one
		}
	}
	inUse := answered == nil || time.Since(time.Unix(0, answered.last.Load())) < usedFlow
	if unanswered != nil && (balance > 0 || inUse) {
		return unanswered
	}
	return answered
}

// newFlow returns a flow that begins with run and ends with ctx.
func newFlow(ctx context.Context, u *upstream, back func(datagram []byte)) *flow {
	one := &flow{upstream: u, back: back}
	one.ctx, one.stop = context.WithCancel(ctx)
	one.last.Store(time.Now().UnixNano())
	return one
}

// send sends a datagram of the client to the upstream. It drops what can't be sent now.
func (one *flow) send(datagram []byte) {
	one.last.Store(time.Now().UnixNano())
	one.mu.Lock()
	defer one.mu.Unlock()
	switch {
	case one.conn != nil:
		_, _ = one.conn.Write(datagram) // a refusal is noticed where it is read
	case len(one.pending) < maxPending && one.waiting+len(datagram) <= maxPendingBytes:
		one.waiting += len(datagram)
		one.pending = append(one.pending, append([]byte(nil), datagram...))
	}
}

// run passes the upstream's datagrams to the client until the flow ends.
func (one *flow) run() {
	buffer := make([]byte, maxDatagram)
	for one.ctx.Err() == nil {
		conn, err := one.connect()
		if err != nil {
			one.upstream.note(err)
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
	addrs := upstreamAddrs(one.upstream.port.Load())
	ctx, cancel := context.WithTimeout(one.ctx, dialTimeout)
	defer cancel()
	addr := addrs[int(one.upstream.preferred.Load())%len(addrs)]
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
	one.pending, one.waiting = nil, 0
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
	u := one.upstream
	idle := u.set.opts.IdleFlow
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
			one.answered.Store(true)
			u.note(nil)
			one.back(buffer[:n])
		case isNet && timeout.Timeout():
		case neterror.Refused(err) || neterror.Broken(err): // Windows resets instead
			u.note(&dialError{[]forward.Attempt{{Addr: conn.RemoteAddr().String(), Err: neterror.ErrRefused}}})
			u.preferred.Add(1)
			return true
		default:
			return false
		}
	}
}
