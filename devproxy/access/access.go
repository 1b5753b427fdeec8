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

// How often a password may be guessed wrongly. Each pair is a token bucket: a
// number of guesses at once, and one more after each pause.
//
// However many networks an attacker has, all of them together make at most
// GlobalAttempts + FirstAttempts = 286 wrong guesses at once and then 720 in an
// hour (600 + 120): 6046 in eight hours. An attacker with N sites, N below
// FirstAttempts, makes 30 at once, 600 in an hour and N in addition. Each device
// and each network that has shown the right password before may add 240 in an
// hour.
const (
	// AddressAttempts and AddressPause are for one network (see budget.NetworkOf), and
	// for one device. People mistype a few times in a row, and an office may
	// share one address.
	AddressAttempts = 5
	AddressPause    = 15 * time.Second
	// GlobalAttempts and GlobalPause are for all networks together.
	GlobalAttempts = 30
	GlobalPause    = 6 * time.Second
	// FirstAttempts and FirstPause are for the first guesses of all sites (see
	// Site) together. They are counted separately, so that attackers who have used
	// up what all share do not keep out a visitor who has not guessed yet.
	FirstAttempts = 256
	FirstPause    = 30 * time.Second
	// FirstAgain is how long a site must wait for another first guess.
	FirstAgain = 24 * time.Hour
	// maxAddresses bounds each table: the key that was quiet the longest is
	// forgotten. The common buckets limit attackers with more networks.
	maxAddresses = 1024
)

// Attempts counts wrong guesses at a password. It outlives the share or route,
// so that no change of the Proxyfile allows more guesses. It is safe for
// concurrent use. Create it with NewAttempts.
type Attempts struct {
	mu     sync.Mutex
	global *rate.Limiter
	first  *rate.Limiter // of all sites' first guesses
	own    *Table[netip.Prefix]
	firsts *Table[netip.Prefix] // by Site: has a token for each that has not guessed yet
	// proven are the networks, and devices the device cookies, that have shown the
	// right password. Strangers can't use up their buckets.
	proven  *Table[netip.Prefix]
	devices *Table[string]
}

// NewAttempts returns Attempts that has counted no guesses.
func NewAttempts() *Attempts {
	own := Limit{AddressPause, AddressAttempts}
	return &Attempts{
		global:  Limit{GlobalPause, GlobalAttempts}.limiter(),
		first:   Limit{FirstPause, FirstAttempts}.limiter(),
		own:     NewTable[netip.Prefix](own, maxAddresses),
		firsts:  NewTable[netip.Prefix](Limit{FirstAgain, 1}, maxAddresses),
		proven:  NewTable[netip.Prefix](own, maxAddresses),
		devices: NewTable[string](own, maxAddresses),
	}
}

// Try calls compare if addr may guess now; right is its result. Otherwise wait,
// above zero, is how long addr must pause. Only wrong guesses count. All unknown
// addresses share one bucket. One comparison runs at a time, so that guessing
// takes at most one processor.
func (a *Attempts) Try(addr netip.Addr, compare func() bool) (right bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	network := budget.NetworkOf(addr)
	var taken tokens
	if own := a.proven.existing(network); own != nil {
		wait = taken.take(own)
	} else {
		wait = a.stranger(&taken, network, Site(addr))
	}
	if right, wait = taken.spend(wait, compare); right && network.IsValid() {
		a.proven.of(network)
	}
	return right, wait
}

// TryDevice is Try for a browser that has shown the right password before, as a
// signed cookie with the name device proves. It has its own bucket.
func (a *Attempts) TryDevice(device string, compare func() bool) (right bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var taken tokens
	return taken.spend(taken.take(a.devices.of(device)), compare)
}

// stranger takes the tokens for a guess from a network that has not shown the
// password.
func (a *Attempts) stranger(taken *tokens, network, site netip.Prefix) (wait time.Duration) {
	if wait = taken.take(a.own.of(network)); wait > 0 {
		return wait
	}
	if taken.take(a.firsts.of(site), a.first) == 0 {
		return 0
	}
	return taken.take(a.global)
}

// spend makes the guess, unless it must wait. Unless the guess is wrong, the
// tokens are put back.
func (t *tokens) spend(wait time.Duration, compare func() bool) (right bool, _ time.Duration) {
	if right = wait == 0 && compare(); right || wait > 0 {
		t.putBack(0)
	}
	return right, wait
}
