package relay

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// lifecycle owns a relay's listeners and goroutines. It is first running, then
// stopping (its public listeners are closed, connections stay), then ended.
type lifecycle struct {
	// life ends with Close. Everything that waits for visitors or agents ends with
	// it.
	life   context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu        sync.Mutex
	listeners map[net.Listener]listenerKind
	stopping  bool
	ended     bool // no goroutine is started any more

	// successor dials the process that has taken over; nil while none has.
	successor atomic.Pointer[dialFunc]
}

type dialFunc = func(context.Context) (net.Conn, error)

// listenerKind is when a listener is closed.
type listenerKind int

const (
	public  listenerKind = iota // when the relay begins to stop
	private                     // when it has ended: a predecessor may need it until then
)

func (l *lifecycle) init() {
	l.life, l.cancel = context.WithCancel(context.Background())
	l.listeners = map[net.Listener]listenerKind{}
}

// addListener keeps ln to close it in time, and adds its accept loop to group. It
// reports false when the relay is stopping.
func (l *lifecycle) addListener(ln net.Listener, k listenerKind) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopping {
		return false
	}
	l.listeners[ln] = k
	l.group.Add(1)
	return true
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

// stopAccepting closes the listeners up to a kind.
func (l *lifecycle) stopAccepting(upTo listenerKind) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopping = true
	for ln, k := range l.listeners {
		if k <= upTo {
			ln.Close() // an error changes nothing here
			delete(l.listeners, ln)
		}
	}
}

// leaving reports whether the relay is stopping. Every response then asks its
// client to connect again.
func (l *lifecycle) leaving() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

// end ends life.
func (l *lifecycle) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.cancel()
}

// pause returns after d, or when life ends.
func (l *lifecycle) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.life.Done():
	}
}
