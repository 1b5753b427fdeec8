package forward

import (
	"context"
	"sync"
	"time"
)

const (
	// probeFirst and probeLast are the pauses between two looks at an upstream
	// that refuses: a dev server that restarts is back within 20 ms of its
	// listening, one that is started by hand within a quarter of a second.
	probeFirst = 20 * time.Millisecond
	probeLast  = 250 * time.Millisecond
	// probeTimeout bounds one look. A port that swallows packets is not up.
	probeTimeout = time.Second
	// probeInterval is how long the outcome of Probe counts: the waiting pages
	// of many tabs ask each half second.
	probeInterval = 200 * time.Millisecond
)

// probes spaces out what Probe does.
type probes struct {
	mu   sync.Mutex // held while a probe runs: who comes meanwhile shares it
	last time.Time
}

// Probe dials every member once and returns what it saw. Calls within a short
// time share one outcome.
func (u *Upstream) Probe(ctx context.Context) State {
	u.probes.mu.Lock()
	defer u.probes.mu.Unlock()
	if time.Since(u.probes.last) >= probeInterval {
		if u.look(ctx) {
			u.held.wake()
		}
		u.probes.last = time.Now()
	}
	return u.State()
}

// look dials every member and reports whether one answered.
func (u *Upstream) look(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	answered := make([]bool, len(u.roster.members))
	var group sync.WaitGroup
	for i, m := range u.roster.members {
		group.Go(func() {
			if conn, err := m.connect(ctx); err == nil {
				conn.Close()
				answered[i] = true
			}
		})
	}
	group.Wait()
	for _, ok := range answered {
		if ok {
			return true
		}
	}
	return false
}

// watchFor looks at the upstream, ever less often, until a member answers or
// ctx ends. It is the one goroutine that held requests share.
func (u *Upstream) watchFor(ctx context.Context) {
	for pause := probeFirst; ; pause = min(2*pause, probeLast) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if u.look(ctx) {
			u.held.wake()
			return
		}
	}
}
