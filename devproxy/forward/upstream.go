package forward

import (
	"context"
	"net"
	"sync"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// DefaultMaxHeld is how many requests wait for one refusing upstream. A page
// of a large module graph asks for about as many; each costs a goroutine and
// its head.
const DefaultMaxHeld = 1000

// Options configure an Upstream. The zero value is usable.
type Options struct {
	// Instance names the running devproxy in the hop field, by which a request
	// that comes back is recognised; empty switches that off.
	Instance string
	// MaxHeld is how many requests may wait at once; 0 means DefaultMaxHeld.
	MaxHeld int
	// Clients bounds what each client has under way, over all upstreams that
	// share it; nil bounds nothing.
	Clients *Clients
	// Memory counts what requests with a body make devproxy hold; nil bounds
	// nothing. Several upstreams share one.
	Memory *budget.Budget
	// OnState is called when the upstream comes up or goes away, one call at a
	// time and in order; nil means nobody asks. It must not block, and must
	// not call the Upstream.
	OnState func(State)
	// OnMember is called when a member with health turns ill, or well again,
	// under the same conditions; nil means nobody asks.
	OnMember func(MemberChange)
	// Dial opens a connection; nil means net.Dialer. It must honour ctx.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Upstream is where requests are forwarded: one resolved spec with its
// connections. It is safe for concurrent use.
type Upstream struct {
	opts   Options
	text   string
	roster roster
	checks *checks
	cookie string // of balance = "cookie"; empty for the others

	status  status
	held    held
	streams streams
	probes  probes

	life lifetime
}

// New makes an Upstream. With health it begins to check the members, without
// it opens no connection and starts nothing. Retire ends the checks and lets go
// of what exchanges leave behind.
func New(spec *plan.Upstream, opts Options) *Upstream {
	if opts.MaxHeld <= 0 {
		opts.MaxHeld = DefaultMaxHeld
	}
	if opts.Dial == nil {
		dialer := &net.Dialer{}
		opts.Dial = dialer.DialContext
	}
	u := &Upstream{opts: opts, text: spec.Text, cookie: stickyName(spec)}
	u.roster.balance, u.roster.onMember = spec.Balance, opts.OnMember
	u.status.refused, u.status.onChange = make([][]Attempt, len(spec.Members)), opts.OnState
	u.life.over = make(chan struct{})
	for i, m := range spec.Members {
		u.roster.members = append(u.roster.members, newMember(m, opts.Dial, func(m *member, failed []Attempt, refused bool) {
			u.roster.noteDial(m, failed)
			if failed == nil || refused {
				u.status.note(i, failed)
			}
		}))
	}
	for _, m := range spec.Fallback {
		standby := newMember(m, opts.Dial, func(m *member, failed []Attempt, _ bool) { u.roster.noteDial(m, failed) })
		standby.standby = true
		u.roster.fallback = append(u.roster.fallback, standby)
	}
	nameMembers(u.roster.members)
	u.checks = startChecks(spec.Health, &u.roster)
	return u
}

// Retire takes the upstream out of service. Checks end, exchanges in flight finish without
// a deadline, requests that are held return ErrRetired, idle connections are
// closed: at once, and again when the last exchange has ended.
func (u *Upstream) Retire() {
	u.checks.stop()
	u.life.retire(u.closeIdle)
	u.held.releaseAll()
	u.closeIdle()
}

// Idle reports whether no exchange is in flight.
func (u *Upstream) Idle() bool { return u.life.idle() }

// Wait returns when the upstream is retired and its last exchange and its
// checks have ended, or with ctx's error.
func (u *Upstream) Wait(ctx context.Context) error {
	select {
	case <-u.life.over:
		u.checks.wait() // cancelled by Retire
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *Upstream) closeIdle() {
	for _, m := range u.roster.all() {
		m.closeIdle()
	}
}

// lifetime counts the exchanges in flight up to the last one after retirement.
type lifetime struct {
	mu      sync.Mutex
	flights int
	retired bool
	last    func()
	over    chan struct{} // closed when retired and nothing is in flight
}

func (l *lifetime) isRetired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retired
}

// begin is false once retired.
func (l *lifetime) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired {
		return false
	}
	l.flights++
	return true
}

func (l *lifetime) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flights--
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
	if l.retired && l.flights == 0 {
		l.last()
		close(l.over)
	}
}

func (l *lifetime) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flights == 0
}
