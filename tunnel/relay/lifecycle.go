package relay

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// lifecycle owns a relay's goroutines, and the moments at which parts of it end.
type lifecycle struct {
	// life ends with Close. Everything that waits for visitors or agents ends with
	// it.
	life   context.Context
	cancel context.CancelFunc
	// accepting ends when the relay begins to stop: public listeners are closed,
	// connections stay.
	accepting     context.Context
	stopAccepting context.CancelFunc
	// upgraded ends when upgraded connections have to end, also later ones. upgrades
	// counts them.
	upgraded    context.Context
	endUpgrades context.CancelFunc
	upgrades    atomic.Int64

	group sync.WaitGroup
	mu    sync.Mutex
	ended bool // no goroutine is started any more

	// successor dials the process that has taken over; nil while none has.
	successor atomic.Pointer[dialFunc]
}

type dialFunc = func(context.Context) (net.Conn, error)

func (l *lifecycle) begin() {
	l.life, l.cancel = context.WithCancel(context.Background())
	l.accepting, l.stopAccepting = context.WithCancel(l.life)
	l.upgraded, l.endUpgrades = context.WithCancel(l.life)
}

// enter adds the caller's work to group, which Close waits for. It reports false
// when the relay has ended.
func (l *lifecycle) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.group.Add(1)
	}
	return !l.ended
}

// spawn runs f in a goroutine of group. It reports false when the relay has ended.
func (l *lifecycle) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.group.Go(f)
	}
	return !l.ended
}

// leaving reports whether the relay is stopping. Every response then makes its
// client connect again.
func (l *lifecycle) leaving() bool { return l.accepting.Err() != nil }

// end ends life.
func (l *lifecycle) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.cancel()
}
