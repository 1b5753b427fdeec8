package forward

import (
	"context"
	"sync"
)

// held are the requests that wait for the upstream to accept connections. As
// long as there is one, one goroutine looks for it.
type held struct {
	mu       sync.Mutex
	waiting  map[*waiter]struct{}
	stopLook context.CancelFunc // nil while nobody looks
}

// waiter is one held request.
type waiter struct {
	route string
	// awake is closed when the upstream is up, or when released is set.
	awake    chan struct{}
	released bool // the route or the upstream is gone; set before awake is closed
}

// enter adds a request, unless limit are held already. look runs in a
// goroutine of its own until its context ends or it has called wake.
func (h *held) enter(route string, limit int, look func(context.Context)) (w *waiter, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) >= limit {
		return nil, false
	}
	if h.waiting == nil {
		h.waiting = map[*waiter]struct{}{}
	}
	w = &waiter{route: route, awake: make(chan struct{})}
	h.waiting[w] = struct{}{}
	if h.stopLook == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.stopLook = cancel
		go look(ctx)
	}
	return w, true
}

// leave takes a request out that waits no longer.
func (h *held) leave(w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.waiting, w)
	h.restLocked()
}

// wake lets all requests try again.
func (h *held) wake() {
	h.endWaits(func(*waiter) bool { return true }, false)
}

// release lets the requests of a route go: it is gone, or leads elsewhere now.
func (h *held) release(route string) {
	h.endWaits(func(w *waiter) bool { return w.route == route }, true)
}

func (h *held) releaseAll() {
	h.endWaits(func(*waiter) bool { return true }, true)
}

func (h *held) endWaits(which func(*waiter) bool, released bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.waiting {
		if which(w) {
			delete(h.waiting, w)
			w.released = released
			close(w.awake)
		}
	}
	h.restLocked()
}

// restLocked stops looking when nobody waits.
func (h *held) restLocked() {
	if len(h.waiting) == 0 && h.stopLook != nil {
		h.stopLook()
		h.stopLook = nil
	}
}
