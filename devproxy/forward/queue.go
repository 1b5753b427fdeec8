package forward

import (
	"context"
	"time"
)

// queuePatience is how long a request waits for one of maxIdle connections to
// come free before it opens another. Modules come free within milliseconds;
// who waits longer stands behind answers that take their time.
const queuePatience = 250 * time.Millisecond

// queue keeps a cold load from opening a connection for each of its modules, at
// once: a dev server answers one after the other anyway, and connections above
// maxIdle are closed after one use. It never refuses.
type queue chan struct{}

func newQueue() queue { return make(queue, maxIdle) }

// enter waits for a place. leave must be called once when the connection is
// free again, or taken for long; further calls do nothing.
func (q queue) enter(ctx context.Context) (leave func()) {
	select {
	case q <- struct{}{}:
		return q.leaver()
	default:
	}
	timer := time.NewTimer(queuePatience)
	defer timer.Stop()
	select {
	case q <- struct{}{}:
		return q.leaver()
	case <-timer.C:
	case <-ctx.Done():
	}
	return func() {}
}

func (q queue) leaver() func() {
	left := false
	return func() {
		if !left {
			left = true
			<-q
		}
	}
}
