package share

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often a password may be guessed wrongly. People mistype a few times in a
// row; behind one address there may be an office of them. What everybody
// together may guess bounds those who have many addresses: about 5000 guesses
// in eight hours.
const (
	addressAttempts = 5
	addressPause    = 15 * time.Second
	globalAttempts  = 30
	globalPause     = 6 * time.Second
	// maxAddresses bounds the memory: the address that was longest quiet is
	// forgotten. Whoever has more addresses than that still has globalAttempts.
	maxAddresses = 1024
)

// Attempts counts wrong guesses at a password. It outlives the shares of one
// link, so that no change of the Proxyfile gives anybody more of them. Create
// it with NewAttempts.
type Attempts struct {
	mu      sync.Mutex
	global  *rate.Limiter
	byAddr  map[netip.Prefix]*list.Element // of *guesser
	guesser list.List                      // the latest first
}

type guesser struct {
	from    netip.Prefix
	limiter *rate.Limiter
}

// NewAttempts has counted none.
func NewAttempts() *Attempts {
	return &Attempts{
		global: rate.NewLimiter(rate.Every(globalPause), globalAttempts),
		byAddr: map[netip.Prefix]*list.Element{},
	}
}

// try compares if addr may guess now: right says how that went. Otherwise wait,
// above zero, is how long it must pause. Only wrong guesses count.
func (a *Attempts) try(addr netip.Addr, compare func() bool) (right bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	own := a.of(addr).ReserveN(now, 1)
	if wait = own.DelayFrom(now); wait > 0 {
		own.CancelAt(now)
		return false, wait
	}
	all := a.global.ReserveN(now, 1)
	if wait = all.DelayFrom(now); wait > 0 {
		all.CancelAt(now)
		own.CancelAt(now)
		return false, wait
	}
	if compare() {
		all.CancelAt(now)
		own.CancelAt(now)
		return true, 0
	}
	return false, 0
}

// of is the limiter of whoever has addr. Those whose address is not told share
// one.
func (a *Attempts) of(addr netip.Addr) *rate.Limiter {
	from := network(addr)
	if e := a.byAddr[from]; e != nil {
		a.guesser.MoveToFront(e)
		return e.Value.(*guesser).limiter
	}
	if a.guesser.Len() >= maxAddresses {
		last := a.guesser.Back()
		delete(a.byAddr, a.guesser.Remove(last).(*guesser).from)
	}
	g := &guesser{from, rate.NewLimiter(rate.Every(addressPause), addressAttempts)}
	a.byAddr[from] = a.guesser.PushFront(g)
	return g.limiter
}

// network is what one person has to guess from: an IPv4 address, or a /64 of
// IPv6, which is the least that a provider hands out.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero Addr
	}
	return prefix
}
