package forward

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
)

const (
	// waitingPageAfter is how long a navigation is held before the client gets the
	// waiting page: a dev server that restarts is usually back by then.
	waitingPageAfter = time.Second
	// probeFirst and probeLast are the pauses between two probes of an upstream
	// that refuses: a dev server that restarts is noticed within 20 ms after it
	// listens, and a dev server that is started by hand within a quarter of a
	// second.
	probeFirst = 20 * time.Millisecond
	probeLast  = 250 * time.Millisecond
	// probeTimeout bounds one probe. A port that swallows packets is not up.
	probeTimeout = time.Second
	// probeInterval is how long the result of Probe is used: the waiting pages of
	// many tabs ask every half second.
	probeInterval = 200 * time.Millisecond
)

// hold waits until a member may accept again. Its error ends the exchange. With a
// fallback nothing is held: the fallback has failed, too.
func (f *forwarding) hold(refused []Attempt) error {
	navigation := isNavigation(f.r)
	left := f.holdLeft(navigation)
	if len(f.upstream.members.fallback) > 0 || left <= 0 {
		return f.giveUp(navigation, refused)
	}
	w, ok := f.upstream.waiters.enter(f.route.ID, f.upstream.opts.MaxHeld, f.upstream.probeUntilUp)
	switch {
	case !ok && navigation:
		return f.giveUp(navigation, refused)
	case !ok:
		return &UnavailableError{Unavailable{refused, f.Report.Held}, true}
	}
	start := time.Now()
	defer func() {
		f.upstream.waiters.leave(w)
		f.Report.Held += time.Since(start)
	}()
	if f.missedRelease() {
		return ErrRetired
	}
	select {
	case <-w.awake:
		if w.released && !f.begun() {
			return ErrRetired
		}
	case <-time.After(left):
		// The next try is the last one: it finds the state at the end.
	case <-f.ctx.Done():
		return ErrClientGone
	}
	return nil
}

// missedRelease reports whether held requests were released after this exchange
// began and before it was held.
func (f *forwarding) missedRelease() bool {
	released := f.upstream.life.isRetired() || f.upstream.streams.mark(f.route.ID) != f.mark
	return released && !f.begun()
}

// holdLeft is how long the request may still wait.
func (f *forwarding) holdLeft(navigation bool) time.Duration {
	if f.waitUntil.IsZero() {
		limit := f.route.Hold
		if navigation {
			limit = min(limit, waitingPageAfter)
		}
		f.waitUntil = time.Now().Add(limit)
	}
	return time.Until(f.waitUntil)
}

// begun reports whether the upstream may have seen some of the request, so that no
// other may get it.
func (f *forwarding) begun() bool {
	return f.Report.Resent > 0 || f.body != nil && f.body.started()
}

func (f *forwarding) giveUp(navigation bool, refused []Attempt) error {
	if navigation {
		return &WaitingError{Unavailable{refused, f.Report.Held}}
	}
	return &UnavailableError{Unavailable{refused, f.Report.Held}, false}
}

// isNavigation reports whether a person waits to see a page. It uses the
// Sec-Fetch fields if the browser sends them, else Accept.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || field.Upgrade(r) != "" {
		return false
	}
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if mode != "" || dest != "" {
		return mode == "navigate" || dest == "document"
	}
	return strings.Contains(strings.Join(r.Header["Accept"], ","), "text/html")
}

// waiters are the held requests of an upstream. While there are any, one goroutine
// probes the upstream.
type waiters struct {
	mu        sync.Mutex
	waiting   map[*waiter]struct{}
	stopProbe context.CancelFunc // nil while none runs
}

// waiter is one held request.
type waiter struct {
	route string
	// awake is closed when the upstream is up, or when released is set.
	awake    chan struct{}
	released bool // the route or the upstream was removed; set before awake is closed
}

// enter adds a request, unless limit are held already. probe runs in its own
// goroutine until its context ends or it has called wake.
func (h *waiters) enter(route string, limit int, probe func(context.Context)) (w *waiter, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) >= limit {
		return nil, false
	}
	w = &waiter{route: route, awake: make(chan struct{})}
	h.waiting[w] = struct{}{}
	if h.stopProbe == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.stopProbe = cancel
		go probe(ctx)
	}
	return w, true
}

// leave removes a request that no longer waits.
func (h *waiters) leave(w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, w)
	h.stopIfEmptyLocked()
}

// wake lets all requests try again.
func (h *waiters) wake() {
	h.endWaits(func(*waiter) bool { return true }, false)
}

// release ends the requests of a route that was removed or leads elsewhere.
func (h *waiters) release(route string) {
	h.endWaits(func(w *waiter) bool { return w.route == route }, true)
}

func (h *waiters) releaseAll() {
	h.endWaits(func(*waiter) bool { return true }, true)
}

func (h *waiters) endWaits(which func(*waiter) bool, released bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.waiting {
		if which(w) {
			delete(h.waiting, w)
			w.released = released
			close(w.awake)
		}
	}
	h.stopIfEmptyLocked()
}

func (h *waiters) stopIfEmptyLocked() {
	if len(h.waiting) == 0 && h.stopProbe != nil {
		h.stopProbe()
		h.stopProbe = nil
	}
}

// Probe dials every member once and returns the state. Calls within a short time
// share one result.
func (u *Upstream) Probe(ctx context.Context) State {
	u.probing.Lock()
	defer u.probing.Unlock()
	if time.Since(u.probed) >= probeInterval {
		if u.probe(ctx) {
			u.waiters.wake()
		}
		u.probed = time.Now()
	}
	return u.State()
}

// probe dials every member and reports whether one accepted.
func (u *Upstream) probe(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	accepted := make([]bool, len(u.members.shared))
	var group sync.WaitGroup
	for i, m := range u.members.shared {
		group.Go(func() {
			if conn, err := m.connect(ctx); err == nil {
				conn.Close()
				accepted[i] = true
			}
		})
	}
	group.Wait()
	return slices.Contains(accepted, true)
}

// probeUntilUp probes the upstream, ever less often, until a member accepts or ctx
// ends. All held requests share it.
func (u *Upstream) probeUntilUp(ctx context.Context) {
	for wait := probeFirst; pause(ctx, wait); wait = min(2*wait, probeLast) {
		if u.probe(ctx) {
			u.waiters.wake()
			return
		}
	}
}
