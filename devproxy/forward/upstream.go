package forward

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/devproxy/devproxy/devproxy/plan"
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
	// OnState is called when the upstream comes up or goes away, one call at a
	// time and in order; nil means nobody asks. It must not block, and must
	// not call the Upstream.
	OnState func(State)
	// Dial opens a connection; nil means net.Dialer. It must honour ctx.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Upstream is where requests are forwarded: one resolved spec with its
// connections. It is safe for concurrent use.
type Upstream struct {
	opts    Options
	text    string
	members []*member
	turn    atomic.Uint64 // round robin

	status  status
	held    held
	streams streams
	probes  probes

	life lifetime
}

// New makes an Upstream. It opens no connection and starts nothing; Retire
// lets go of what later exchanges leave behind.
func New(spec *plan.Upstream, opts Options) *Upstream {
	if opts.MaxHeld <= 0 {
		opts.MaxHeld = DefaultMaxHeld
	}
	if opts.Dial == nil {
		dialer := &net.Dialer{}
		opts.Dial = dialer.DialContext
	}
	u := &Upstream{opts: opts, text: spec.Text}
	u.status.refused, u.status.onChange = make([][]Attempt, len(spec.Members)), opts.OnState
	u.life.over = make(chan struct{})
	for i, m := range spec.Members {
		u.members = append(u.members, newMember(m, opts.Dial, func(attempts []Attempt) { u.status.note(i, attempts) }))
	}
	return u
}

// Retire takes the upstream out of service. Exchanges in flight finish without
// a deadline, requests that are held return ErrRetired, idle connections are
// closed: at once, and again when the last exchange has ended.
func (u *Upstream) Retire() {
	u.life.retire(u.closeIdle)
	u.held.releaseAll()
	u.closeIdle()
}

// Idle reports whether no exchange is in flight.
func (u *Upstream) Idle() bool { return u.life.idle() }

// Wait returns when the upstream is retired and its last exchange has ended,
// or with ctx's error.
func (u *Upstream) Wait(ctx context.Context) error {
	select {
	case <-u.life.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *Upstream) closeIdle() {
	for _, m := range u.members {
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
