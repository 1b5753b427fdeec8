package forward

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// enterAll takes n places.
func (q *queue) enterAll(t *testing.T, n int) (leaves []func()) {
	for range n {
		leaves = append(leaves, q.enter(t.Context()))
	}
	return leaves
}

// TestSlowAnswersHoldNobody: answers that take long make a request wait once at
// most, when they have just begun; afterwards nobody waits for them.
func TestSlowAnswersHoldNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		slow := q.enterAll(t, maxIdle)
		for i := range 3 * maxIdle {
			start := time.Now()
			leave := q.enter(t.Context())
			if waited := time.Since(start); i > 0 && waited != 0 || waited > queueStall {
				t.Fatalf("request %d waited %v", i, waited)
			}
			leave()
		}
		for _, leave := range slow {
			leave() // of a place that others have had since
			leave()
		}
		if n := q.places.Len(); n != 0 {
			t.Errorf("%d places are taken", n)
		}
	})
}

// TestQueueBounds: maxIdle requests get a place at once, and the next one when
// the first of them is done.
func TestQueueBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		start := time.Now()
		leaves := q.enterAll(t, maxIdle)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v for a free place", waited)
		}
		const soon = 10 * time.Millisecond
		time.AfterFunc(soon, func() { leaves[7](); leaves[7]() })
		q.enter(t.Context())
		if waited := time.Since(start); waited != soon {
			t.Errorf("waited %v; want %v", waited, soon)
		}
		if n := q.places.Len(); n != maxIdle {
			t.Errorf("%d places are taken", n)
		}
	})
}

// TestQueueOrder: places go to those who wait longest; each that comes free
// goes to one, also when some stop waiting.
func TestQueueOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		leaves := q.enterAll(t, maxIdle)
		var (
			mu    sync.Mutex
			order []int
			group sync.WaitGroup
		)
		gone, cancel := context.WithCancel(t.Context())
		for i := range 4 {
			ctx := t.Context()
			if i == 1 {
				ctx = gone
			}
			group.Go(func() {
				q.enter(ctx)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		for i := range 3 {
			time.Sleep(time.Millisecond)
			leaves[i]()
			synctest.Wait()
		}
		group.Wait()
		if len(order) != 4 || order[0] != 1 || order[1] != 0 || order[2] != 2 || order[3] != 3 {
			t.Errorf("they went on in the order %v; want 1 0 2 3", order)
		}
		if q.places.Len() != maxIdle || len(q.waiting) != 0 {
			t.Errorf("%d places are taken, %d wait", q.places.Len(), len(q.waiting))
		}
	})
}

// TestQueueGivesUp: where places come free and others take them, a request waits
// for queuePatience and goes on without one.
func TestQueueGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		q.enterAll(t, maxIdle)
		start := time.Now()
		stop := make(chan struct{})
		go func() {
			for tick := time.NewTicker(queueStall - time.Millisecond); ; {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				q.mu.Lock() // one is done, and another has come at once
				q.moved = time.Now()
				q.places.Remove(q.places.Front())
				q.places.PushBack(time.Now())
				q.places.Front().Value = time.Now()
				q.mu.Unlock()
			}
		}()
		leave := q.enter(t.Context())
		close(stop)
		if waited := time.Since(start); waited < queuePatience-queueStall || waited > queuePatience || q.places.Len() != maxIdle {
			t.Errorf("waited %v; %d places", waited, q.places.Len())
		}
		leave()
		if len(q.waiting) != 0 {
			t.Errorf("%d still wait", len(q.waiting))
		}
	})
}

// TestQueueExpiry: a request has its place for queuePatience, also while others
// come and go.
func TestQueueExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		q.enterAll(t, maxIdle-1)
		for range queuePatience/(10*time.Millisecond) - 1 {
			leave := q.enter(t.Context())
			time.Sleep(10 * time.Millisecond)
			leave()
		}
		q.enter(t.Context())
		start := time.Now()
		q.enter(t.Context())
		if waited := time.Since(start); waited != 10*time.Millisecond {
			t.Errorf("waited %v for a place that is 10ms from its end", waited)
		}
	})
}

// TestLongPollsHoldNobody: while as many long polls wait at an upstream as it
// has connections, other requests take no longer than without them.
func TestLongPollsHoldNobody(t *testing.T) {
	release := make(chan struct{})
	var polling sync.WaitGroup
	polling.Add(maxIdle)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", pollHandler(release, &polling)))
	median := func() time.Duration { return medianGet(t, p, 9) }
	calm := median()
	var polls sync.WaitGroup
	for range maxIdle {
		polls.Go(func() { get(t, p, "/poll") })
	}
	polling.Wait()
	during := median()
	close(release)
	polls.Wait()
	t.Logf("%v calm, %v during %d long polls", calm, during, maxIdle)
	if during > 2*(calm+15*time.Millisecond) {
		t.Errorf("a request takes %v during %d long polls, %v without", during, maxIdle, calm)
	}
}
