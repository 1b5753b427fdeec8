package forward

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// DefaultMaxHeld is how many requests wait for one upstream that refuses
// connections. A page with a large module graph sends about as many. Each costs a
// goroutine and its head.
const DefaultMaxHeld = 1000

// Options configure an Upstream. The zero value is usable.
type Options struct {
	// Instance names the running devproxy in the hop field, by which it recognises
	// its own requests; empty switches that off.
	Instance string
	// MaxHeld is how many requests may wait at once; 0 means DefaultMaxHeld.
	MaxHeld int
	// Clients limits the exchanges that each client has in progress, over all
	// upstreams that share it; nil means no limit.
	Clients *Clients
	// Memory counts what requests with a body make devproxy hold; nil bounds nothing.
	// Several upstreams share one.
	Memory *budget.Budget
	// OnState is called when the upstream comes up or goes away, one call at a time
	// and in order; it may be nil. It must not block, and must not call the Upstream.
	OnState func(State)
	// OnMember is called when a member with a health check becomes unhealthy, or is
	// healthy again, under the same conditions; it may be nil.
	OnMember func(MemberChange)
	// Dial opens a connection; nil means net.Dialer. It must honour ctx.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Upstream is where requests are forwarded: one resolved spec with its connections.
// It is safe for concurrent use.
type Upstream struct {
	opts    Options
	text    string
	members *members
	checks  *checks
	waiters waiters
	streams streams
	life    lifetime

	probing sync.Mutex // held by Probe, so that later calls share its result
	probed  time.Time  // when Probe last dialled; under probing
}

// New makes an Upstream. With a health check it starts to check the members; without
// it opens no connection and starts nothing. Retire ends the checks and closes what
// exchanges leave behind.
func New(spec *plan.Upstream, opts Options) *Upstream {
	if opts.MaxHeld <= 0 {
		opts.MaxHeld = DefaultMaxHeld
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	u := &Upstream{opts: opts, text: spec.Text, members: newMembers(spec, opts)}
	u.waiters.waiting = map[*waiter]struct{}{}
	u.life.over = make(chan struct{})
	u.checks = startChecks(spec.Health, u.members)
	return u
}

// Retire takes the upstream out of service. Checks end, exchanges in progress finish
// without a deadline, and held requests return ErrRetired. Idle connections are
// closed: at once, and again when the last exchange has ended.
func (u *Upstream) Retire() {
	u.checks.cancel()
	u.life.retire(u.closeIdle)
	u.waiters.releaseAll()
	u.closeIdle()
}

// Idle reports whether no exchange is in progress.
func (u *Upstream) Idle() bool { return u.life.idle() }

// Wait returns when the upstream is retired and its last exchange and its checks
// have ended, or with ctx's error.
func (u *Upstream) Wait(ctx context.Context) error {
	select {
	case <-u.life.over:
		u.checks.group.Wait() // cancelled by Retire
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *Upstream) closeIdle() {
	for _, m := range u.members.all() {
		m.closeIdle()
	}
}

// lifetime counts the exchanges in progress up to the last one after retirement.
type lifetime struct {
	mu      sync.Mutex
	active  int
	retired bool
	last    func()
	over    chan struct{} // closed when retired and nothing is in progress
}

func (l *lifetime) isRetired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retired
}

// begin returns false once retired.
func (l *lifetime) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return false
	}
	l.active++
	return true
}

func (l *lifetime) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	l.finishLocked()
}

func (l *lifetime) retire(last func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return
	}
	l.retired, l.last = true, last
	l.finishLocked()
}

func (l *lifetime) finishLocked() {
	if l.retired && l.active == 0 {
		l.last()
		close(l.over)
	}
}

func (l *lifetime) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active == 0
}
