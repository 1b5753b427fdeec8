package forward

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

// queuePatience is how long a request waits for one of maxIdle connections to
// come free before it opens another, and how long a request that has one makes
// others wait. Modules come free within milliseconds; a request that takes
// longer, such as a long poll, is slow or waits itself, and costs the others
// nothing.
const queuePatience = 100 * time.Millisecond

// queue keeps a cold load from opening a connection for each of its modules, at
// once: a dev server answers one after the other anyway, and connections above
// maxIdle are closed after one use. It never refuses.
type queue struct {
	mu      sync.Mutex
	places  list.List       // of time.Time: since when each place is taken, oldest first
	waiting []chan struct{} // closed to wake a request, oldest first
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
			q.forget(woken)
			return func() {}
		}
		now := time.Now()
		q.forget(woken)
		if leave, wait, woken = q.take(now); leave != nil {
			return leave
		}
		if !now.Before(giveUp) {
			q.forget(woken)
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
		if wait = queuePatience - now.Sub(oldest.Value.(time.Time)); wait > 0 {
			woken = make(chan struct{})
			q.waiting = append(q.waiting, woken)
			return nil, wait, woken
		}
		q.places.Remove(oldest)
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
		q.wakeLocked()
	}
}

func (q *queue) wakeLocked() {
	if len(q.waiting) > 0 {
		close(q.waiting[0])
		q.waiting = q.waiting[1:]
	}
}

// forget takes a request out that waits no longer. One that was woken, and does
// not take its place, wakes the next.
func (q *queue) forget(woken chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, woken); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	} else if q.places.Len() < maxIdle {
		q.wakeLocked()
	}
}
