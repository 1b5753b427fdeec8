package forward

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// State is whether an upstream accepts connections, as last seen.
type State struct {
	Known bool // false until somebody connected or tried to
	Up    bool
	Since time.Time
	// Attempts are what was tried last; empty when Up.
	Attempts []Attempt
}

// stateBox holds an upstream's state by member: it is up while one of them is.
type stateBox struct {
	mu      sync.Mutex
	current State
	down    map[*plan.Member]bool
}

// State is what is known without asking.
func (u *Upstream) State() State {
	u.state.mu.Lock()
	defer u.state.mu.Unlock()
	return u.state.current
}

// Probe asks by connecting to the members.
func (u *Upstream) Probe(ctx context.Context) State {
	u.probe(ctx)
	return u.State()
}

// probe reports whether a member accepts a connection. It ends at the first.
func (u *Upstream) probe(ctx context.Context) bool {
	for _, m := range u.members {
		if conn, err := m.dialer.connect(ctx); err == nil {
			_ = conn.Close()
			return true
		}
	}
	return false
}

// connected is told the outcome of every dial to a member.
func (u *Upstream) connected(m *plan.Member, err error) {
	if errors.Is(err, context.Canceled) {
		return // says nothing of the member
	}
	if next, changed := u.state.set(m, err, len(u.members)); changed && u.opts.OnState != nil {
		u.opts.OnState(next)
	}
}

func (b *stateBox) set(m *plan.Member, err error, members int) (State, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down == nil {
		b.down = map[*plan.Member]bool{}
	}
	var dial *dialError
	if errors.As(err, &dial) {
		b.down[m] = true
		b.current.Attempts = dial.attempts
	} else {
		delete(b.down, m)
	}
	up := len(b.down) < members
	if up {
		b.current.Attempts = nil
	}
	changed := !b.current.Known || b.current.Up != up
	if changed {
		b.current.Known, b.current.Up, b.current.Since = true, up, time.Now()
	}
	return b.current, changed
}
