// Package access decides which clients may send requests, and how often: sites,
// lists of address ranges, and bounded tables of rate limiters. The gate of a
// share and the middleware of a route use it.
package access

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// Allowed reports whether addr may send requests: it must not be in deny, and must
// be in allow unless that is empty. An unknown address is in every deny and in no
// allow.
func Allowed(addr netip.Addr, allow, deny []netip.Prefix) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return len(allow) == 0 && len(deny) == 0
	}
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	return !slices.ContainsFunc(deny, in) && (len(allow) == 0 || slices.ContainsFunc(allow, in))
}

// Site returns the prefix that one customer of a provider can have: an IPv4
// address, or a /48 of IPv6, which has 65536 networks (RFC 6177). All unknown
// addresses share the zero Prefix, as in budget.NetworkOf.
func Site(addr netip.Addr) netip.Prefix {
	network := budget.NetworkOf(addr)
	if network.Addr().Is6() {
		network, _ = network.Addr().Prefix(48) // the bits of a valid address
	}
	return network
}

// Limit is a token bucket: one token comes back every Every, up to Burst.
type Limit struct {
	Every time.Duration
	Burst int
}

func (l Limit) limiter() *rate.Limiter { return rate.NewLimiter(rate.Every(l.Every), l.Burst) }

// Table has a limiter for each of a bounded number of keys: the key that was quiet
// the longest is forgotten. It is safe for concurrent use. Create it with
// NewTable.
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

// NewTable returns a table with a full bucket for every key. It remembers size of
// them.
func NewTable[K comparable](limit Limit, size int) *Table[K] {
	return &Table[K]{limit: limit, size: size, byKey: map[K]*list.Element{}}
}

// Take takes a token of key's. Without one it takes none and returns how long
// it is until there is one, which is above zero.
func (t *Table[K]) Take(key K) (wait time.Duration) {
	var taken tokens
	return taken.take(t.of(key))
}

// existing returns key's limiter, or nil when none is remembered.
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
		delete(t.byKey, t.recent.Remove(t.recent.Back()).(*row[K]).key)
	}
	r := &row[K]{key, t.limit.limiter()}
	t.byKey[key] = t.recent.PushFront(r)
	return r.limiter
}

// tokens are those taken for one request or guess. They can be put back.
type tokens struct {
	now  time.Time
	list []*rate.Reservation
}

// take takes a token of each limiter, or none and returns how long to wait.
func (t *tokens) take(limiters ...*rate.Limiter) (wait time.Duration) {
	if t.now.IsZero() {
		t.now = time.Now()
	}
	before := len(t.list)
	for _, limiter := range limiters {
		reservation := limiter.ReserveN(t.now, 1)
		t.list = append(t.list, reservation)
		if wait = reservation.DelayFrom(t.now); wait > 0 {
			t.putBack(before)
			return wait
		}
	}
	return 0
}

func (t *tokens) putBack(from int) {
	for _, reservation := range t.list[from:] {
		reservation.CancelAt(t.now)
	}
	t.list = t.list[:from]
}
