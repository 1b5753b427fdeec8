package forward

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// queuePatience is how long a request waits at most for one of maxIdle
	// connections to come free before it opens another, and how long a request
	// that has one makes others wait: modules come free within milliseconds, and
	// what takes longer, such as a long poll, may take for ever.
	queuePatience = 250 * time.Millisecond
	// queueStall is how long none of them comes free before nobody waits for
	// them any more.
	queueStall = queuePatience / 2
)

// queue keeps a cold load from opening a connection for each of its modules, at
// once: a dev server answers one after the other anyway, and connections above
// maxIdle are closed after one use. It never refuses.
type queue struct {
	mu      sync.Mutex
	places  list.List       // of time.Time: since when each place is taken, oldest first
	waiting []chan struct{} // closed to wake a request, oldest first
	moved   time.Time       // when a place last came free, or the last one was taken
}

// enter waits for a place. leave must be called once when the connection is
// free again, or taken for long; further calls do nothing.
func (q *queue) enter(ctx context.Context) (leave func()) {
	leave, wait, woken := q.take(time.Now())
	if leave != nil {
		return leave
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	giveUp := time.Now().Add(queuePatience)
	for {
		select {
		case <-woken:
		case <-timer.C:
		case <-ctx.Done():
			q.giveUp(woken)
			return func() {}
		}
		now := time.Now()
		q.forget(woken)
		if leave, wait, woken = q.take(now); leave != nil {
			return leave
		}
		if !now.Before(giveUp) {
			q.giveUp(woken)
			return func() {}
		}
		timer.Reset(min(wait, giveUp.Sub(now)))
	}
}

// take takes a place. Without one, leave is nil: one comes free after wait at the
// latest, or when woken is closed.
func (q *queue) take(now time.Time) (leave func(), wait time.Duration, woken chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.places.Len() >= maxIdle {
		oldest := q.places.Front()
		wait = min(queuePatience-now.Sub(oldest.Value.(time.Time)), queueStall-now.Sub(q.moved))
		if wait > 0 {
			woken = make(chan struct{})
			q.waiting = append(q.waiting, woken)
			return nil, wait, woken
		}
		q.places.Remove(oldest) // it is slow: it makes nobody wait any more
	} else if q.places.Len() == maxIdle-1 {
		q.moved = now
	}
	place := q.places.PushBack(now)
	return func() { q.leave(place) }, 0, nil
}

// leave gives a place back, unless it was given to another request.
func (q *queue) leave(place *list.Element) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := q.places.Len()
	if q.places.Remove(place); q.places.Len() < before {
		q.moved = time.Now()
		q.wakeLocked()
	}
}

func (q *queue) wakeLocked() {
	if len(q.waiting) > 0 {
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
	}
}

// forget takes a request out that waits no longer. It reports whether the request
// was woken before.
func (q *queue) forget(woken chan struct{}) (wasWoken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, woken)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i < 0
}

// giveUp is forget for a request that takes no place: one that was woken wakes
// the next.
func (q *queue) giveUp(woken chan struct{}) {
	if q.forget(woken) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.wakeLocked()
	}
}
