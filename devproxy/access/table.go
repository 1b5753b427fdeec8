package access

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is a token bucket: one token comes back every Every, up to Burst.
type Limit struct {
	Every time.Duration
	Burst int
}

func (l Limit) limiter() *rate.Limiter { return rate.NewLimiter(rate.Every(l.Every), l.Burst) }

// Table has a limiter of its own for each key, a bounded number of them: the
// key that was longest quiet is forgotten. It is safe for concurrent use.
// Create it with NewTable.
type Table[K comparable] struct {
	limit Limit
	size  int

	mu     sync.Mutex
	byKey  map[K]*list.Element // of *row[K]
	recent list.List           // the latest first
}

type row[K comparable] struct {
	key     K
	limiter *rate.Limiter
}

// ByNetwork is a Table by Network.
type ByNetwork = Table[netip.Prefix]

// NewTable has a full bucket for everybody, and remembers size of them.
func NewTable[K comparable](limit Limit, size int) *Table[K] {
	return &Table[K]{limit: limit, size: size, byKey: map[K]*list.Element{}}
}

// Take takes a token of key's. Without one it takes none and returns how long
// it is until there is one, which is above zero.
func (t *Table[K]) Take(key K) (wait time.Duration) {
	now := time.Now()
	return take(t.of(key), now)
}

// take is limiter's wait at now, with nothing taken when there is one.
func take(limiter *rate.Limiter, now time.Time) time.Duration {
	reservation := limiter.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// existing is key's limiter, nil when none is remembered.
func (t *Table[K]) existing(key K) *rate.Limiter {
	t.mu.Lock()
	_, there := t.byKey[key]
	t.mu.Unlock()
	if !there {
		return nil
	}
	return t.of(key)
}

func (t *Table[K]) of(key K) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byKey[key]; e != nil {
		t.recent.MoveToFront(e)
		return e.Value.(*row[K]).limiter
	}
	if t.recent.Len() >= t.size {
		last := t.recent.Back()
		delete(t.byKey, t.recent.Remove(last).(*row[K]).key)
	}
	r := &row[K]{key, t.limit.limiter()}
	t.byKey[key] = t.recent.PushFront(r)
	return r.limiter
}
