package forward

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// Options are what an Upstream needs of the world around it.
type Options struct {
	// Instance names this devproxy in the hop header. It must not be empty.
	Instance string
	// Dial opens connections; nil means net.Dialer.
	Dial DialFunc
	// OnState is called when the upstream comes up or goes away; nil means
	// nobody asks. It must not block.
	OnState func(State)
}

// Upstream is the running side of a plan.Upstream: the connections to its
// members and what is known of them. It is safe for concurrent use and lives
// until Retire.
type Upstream struct {
	opts    Options
	members []*member
	turn    atomic.Uint32 // round robin
	door    door
	streams streams
	state   stateBox

	mu       sync.Mutex
	inFlight int
	retired  chan struct{} // closed by Retire
	idle     chan struct{} // closed when retired and nothing is in flight
}

// New is the running side of spec. It connects to nothing yet.
func New(spec *plan.Upstream, opts Options) *Upstream {
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	u := &Upstream{opts: opts, retired: make(chan struct{}), idle: make(chan struct{})}
	u.door.probe = u.probe
	for i := range spec.Members {
		u.members = append(u.members, newMember(&spec.Members[i], opts.Dial, u.connected))
	}
	return u
}

// enter counts an exchange in; false when the upstream is retired.
func (u *Upstream) enter() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.isRetired() {
		return false
	}
	u.inFlight++
	return true
}

func (u *Upstream) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inFlight--
	if u.inFlight == 0 && u.isRetired() {
		u.endLocked()
	}
}

func (u *Upstream) isRetired() bool {
	select {
	case <-u.retired:
		return true
	default:
		return false
	}
}

// Retire takes no new exchange and sends those that are held away with
// ErrRetired. Exchanges in flight finish, without a deadline; connections that
// nobody uses are closed. It may be called twice.
func (u *Upstream) Retire() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.isRetired() {
		return
	}
	close(u.retired)
	u.closeIdle()
	if u.inFlight == 0 {
		u.endLocked()
	}
}

func (u *Upstream) endLocked() {
	u.closeIdle()
	close(u.idle)
}

func (u *Upstream) closeIdle() {
	for _, m := range u.members {
		m.closeIdle()
	}
}

// Wait returns when a retired upstream has ended its last exchange, or ctx
// ends.
func (u *Upstream) Wait(ctx context.Context) {
	select {
	case <-u.idle:
	case <-ctx.Done():
	}
}

// Idle reports whether the upstream is retired and has ended its last exchange.
func (u *Upstream) Idle() bool {
	select {
	case <-u.idle:
		return true
	default:
		return false
	}
}

// Streams is the number of open upgraded connections and event streams.
func (u *Upstream) Streams() int { return u.streams.len() }

// CloseStreams ends the streams of a route: a WebSocket with a close frame of
// its own (1012, RFC 6455 section 7.4 and its registry), an event stream with
// its end. It returns how many there were, and does not wait.
func (u *Upstream) CloseStreams(routeID string) int { return u.streams.closeAll(routeID) }

// pick is the member whose turn it is, passing over those in tried.
func (u *Upstream) pick(tried map[*member]bool) *member {
	turn := int(u.turn.Add(1) - 1)
	for i := range u.members {
		if m := u.members[(turn+i)%len(u.members)]; !tried[m] {
			return m
		}
	}
	return nil
}
