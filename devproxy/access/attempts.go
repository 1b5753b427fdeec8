package access

import (
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
	AddressAttempts = 5
	AddressPause    = 15 * time.Second
	GlobalAttempts  = 30
	GlobalPause     = 6 * time.Second
	// maxAddresses bounds the memory: the address that was longest quiet is
	// forgotten. Whoever has more addresses than that still has GlobalAttempts.
	maxAddresses = 1024
)

// Attempts counts wrong guesses at a password. It outlives what it guards, so
// that no change of the Proxyfile gives anybody more of them. Create it with
// NewAttempts.
type Attempts struct {
	mu     sync.Mutex
	global *rate.Limiter
	own    *Table[netip.Prefix]
}

// NewAttempts has counted none.
func NewAttempts() *Attempts {
	return &Attempts{
		global: Limit{GlobalPause, GlobalAttempts}.limiter(),
		own:    NewTable[netip.Prefix](Limit{AddressPause, AddressAttempts}, maxAddresses),
	}
}

// Try compares if addr may guess now: right says how that went. Otherwise wait,
// above zero, is how long it must pause. Only wrong guesses count. Those whose
// address is not known share one. One comparison runs at a time, so that who
// guesses takes no more than one processor.
func (a *Attempts) Try(addr netip.Addr, compare func() bool) (right bool, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	own := a.own.of(Network(addr)).ReserveN(now, 1)
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
