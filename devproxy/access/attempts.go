package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel/budget"
)

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
