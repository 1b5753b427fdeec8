package forward

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// maxHeld bounds the requests that wait for one upstream.
	maxHeld = 1000
	// navigationHold is how long a page navigation waits before the waiting
	// page is shown: a restart that is faster than this goes unseen.
	navigationHold = time.Second
	// Probing begins fast, for a server that is just restarting, and slows.
	probeFirst, probeMost = 20 * time.Millisecond, 250 * time.Millisecond
)

// hold waits until the upstream may accept connections again; nil means: try
// once more. Nothing has been sent to it yet.
func (s *sender) hold(refused *dialError) error {
	navigation := isNavigation(s.r)
	patience := s.x.Match.Route.Hold
	if navigation {
		patience = min(patience, navigationHold)
	}
	left := patience - time.Since(s.began)
	why := Unavailable{Attempts: refused.attempts, Waited: time.Since(s.began)}
	if left > 0 {
		held := time.Now()
		outcome := s.upstream.wait(s.ctx, left)
		s.x.Report.Held += time.Since(held)
		switch outcome {
		case opened:
			return nil
		case retired:
			return ErrRetired
		case visitorLeft:
			return ErrAborted
		case full:
			return &UnavailableError{Unavailable: why, Full: true}
		}
		why.Waited = time.Since(s.began)
	}
	if navigation {
		return &WaitingError{why}
	}
	return &UnavailableError{Unavailable: why}
}

// isNavigation reports whether a person waits for a page (Fetch Metadata, and
// Accept for clients without it).
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet || upgradeType(r.Header) != "" {
		return false
	}
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" {
		return dest == "document" || dest == "iframe" || dest == "frame"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// waited is what ended a wait.
type waited int

const (
	opened      waited = iota // a member accepted a connection
	timeUp                    // patience is over
	retired                   // the upstream is no longer in the plan
	visitorLeft               // the visitor left
	full                      // too many wait already
)

// wait waits for the door to open, for at most patience.
func (u *Upstream) wait(ctx context.Context, patience time.Duration) waited {
	open, ok := u.door.enter()
	if !ok {
		return full
	}
	defer u.door.leave()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-open:
		return opened
	case <-u.retired:
		return retired
	case <-ctx.Done():
		return visitorLeft
	case <-timer.C:
		return timeUp
	}
}

// door is where requests wait. While somebody does, one goroutine probes.
type door struct {
	probe func(context.Context) bool

	mu      sync.Mutex
	waiting int
	open    chan struct{}      // closed, and replaced, when a probe succeeds
	stop    context.CancelFunc // ends the probing
}

// enter begins a wait; false when too many wait already.
func (d *door) enter() (open <-chan struct{}, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == maxHeld {
		return nil, false
	}
	if d.waiting++; d.waiting == 1 {
		d.open = make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		d.stop = cancel
		go d.knock(ctx)
	}
	return d.open, true
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting--; d.waiting == 0 {
		d.stop()
	}
}

// knock probes until ctx ends, which it does when nobody waits any more.
func (d *door) knock(ctx context.Context) {
	pause := probeFirst
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if d.probe(ctx) {
			d.mu.Lock()
			close(d.open)
			d.open = make(chan struct{})
			d.mu.Unlock()
			pause = probeFirst
		}
		pause = min(pause*5/4, probeMost)
		timer.Reset(pause)
	}
}
