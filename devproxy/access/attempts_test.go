package access

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel/budget"
)

func wrong() bool { return false }
func right() bool { return true }

// stranger is the i-th of many networks.
func stranger(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// drain uses up what all networks share, from a few of them.
func drain(a *Attempts) {
	for i := range 8 * AddressAttempts {
		a.Try(stranger(i%8), wrong)
	}
}

func TestOneNetworkGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts()
		for i := range AddressAttempts {
			if got, wait := a.Try(stranger(0), wrong); got || wait != 0 {
				t.Fatalf("guess %d: %v, wait %s", i+1, got, wait)
			}
		}
		compared := false
		got, wait := a.Try(stranger(0), func() bool { compared = true; return true })
		if got || compared || wait != AddressPause {
			t.Errorf("one more: %v, compared %v, wait %s", got, compared, wait)
		}
		time.Sleep(AddressPause - time.Nanosecond)
		if _, wait := a.Try(stranger(0), right); wait != time.Nanosecond {
			t.Errorf("just before the pause ends: wait %s", wait)
		}
		time.Sleep(time.Nanosecond)
		if got, wait := a.Try(stranger(0), right); !got || wait != 0 {
			t.Errorf("after the pause: %v, wait %s", got, wait)
		}
	})
}

// TestARightGuessCostsNothing in any bucket.
func TestARightGuessCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts()
		for i := range 2 * FirstAttempts {
			a.TryDevice("x", right)
			if _, wait := a.Try(stranger(i), right); wait != 0 {
				t.Fatalf("network %d waits %s", i, wait)
			}
		}
		for name, limiter := range map[string]*rate.Limiter{
			"the common one": a.global, "first guesses": a.first, "its own": a.own.of(budget.NetworkOf(stranger(1))), "its first": a.firsts.of(Site(stranger(1))), "a device": a.devices.of("x"),
		} {
			if got, want := limiter.Tokens(), float64(limiter.Burst()); got != want {
				t.Errorf("%s: %v tokens of %v", name, got, want)
			}
		}
	})
}

// TestNetworksShareABucket: after the first guess of each, networks use up what
// they share, and a wait costs none of their own tokens.
func TestNetworksShareABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts()
		count := func(networks, each int) (guesses int) {
			for i := range networks * each {
				if _, wait := a.Try(stranger(i%networks), wrong); wait == 0 {
					guesses++
				}
			}
			return guesses
		}
		if got, want := count(7, 10), 7*AddressAttempts; got != want { // below 7 + GlobalAttempts
			t.Errorf("7 networks guess %d times, want %d", got, want)
		}
		a = NewAttempts()
		if got, want := count(100, 10), 100+GlobalAttempts; got != want {
			t.Errorf("100 networks guess %d times, want %d", got, want)
		}
		for range 10 * AddressAttempts {
			if _, wait := a.Try(stranger(50), wrong); wait != GlobalPause {
				t.Fatalf("wait %s", wait)
			}
		}
		time.Sleep(GlobalPause)
		if got, wait := a.Try(stranger(50), right); !got || wait != 0 {
			t.Errorf("after the common pause: %v, wait %s", got, wait)
		}
	})
}

// TestNewcomersGetIn: while strangers use up all that they may, a first guess
// and known networks and devices go on, each within a bucket of its own.
func TestNewcomersGetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts()
		known := netip.MustParseAddr("203.0.113.7")
		if got, _ := a.Try(known, right); !got {
			t.Fatal("the right password is refused")
		}
		drain(a)
		if _, wait := a.Try(stranger(0), right); wait == 0 {
			t.Fatal("the common bucket is not used up")
		}
		newcomer := netip.MustParseAddr("198.51.100.1")
		if got, wait := a.Try(newcomer, wrong); got || wait != 0 {
			t.Errorf("a newcomer: wait %s", wait)
		}
		if _, wait := a.Try(newcomer, right); wait == 0 {
			t.Error("a newcomer's second guess lies outside the common bucket")
		}
		for name, try := range map[string]func(func() bool) (bool, time.Duration){
			"a network that has logged in": func(compare func() bool) (bool, time.Duration) { return a.Try(known, compare) },
			"a device":                     func(compare func() bool) (bool, time.Duration) { return a.TryDevice("x", compare) },
		} {
			for i := range AddressAttempts {
				if _, wait := try(wrong); wait != 0 {
					t.Errorf("%s, guess %d: wait %s", name, i+1, wait)
				}
			}
			if got, wait := try(right); got || wait != AddressPause {
				t.Errorf("%s, one more: %v, wait %s", name, got, wait)
			}
		}
		if _, wait := a.TryDevice("y", right); wait != 0 {
			t.Errorf("another device waits %s", wait)
		}
	})
}

// TestAnUnknownNetworkIsNeverProven: all whose address is not told look alike.
func TestAnUnknownNetworkIsNeverProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts()
		a.Try(netip.Addr{}, right)
		a.Try(netip.Addr{}, wrong) // its first
		drain(a)
		if _, wait := a.Try(netip.Addr{}, right); wait == 0 {
			t.Error("unknown addresses have a bucket of their own")
		}
	})
}

// TestGuessesAreBounded counts what any number of networks can guess in a time.
func TestGuessesAreBounded(t *testing.T) {
	for _, test := range []struct {
		networks int
		want     func(time.Duration) int
	}{
		{1, func(d time.Duration) int { return AddressAttempts + int(d/AddressPause) }},
		{200, func(d time.Duration) int { return 200 + GlobalAttempts + int(d/GlobalPause) }},
		{600, func(d time.Duration) int {
			return GlobalAttempts + FirstAttempts + int(d/GlobalPause) + int(d/FirstPause)
		}},
	} {
		t.Run(fmt.Sprint(test.networks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := NewAttempts()
				guesses := 0
				compare := func() bool { guesses++; return false }
				const long = 10 * time.Minute
				turn := 0
				for start := time.Now(); ; time.Sleep(AddressPause) {
					for range max(test.networks, 2*AddressAttempts) {
						a.Try(stranger(turn%test.networks), compare)
						turn++
					}
					if time.Since(start) >= long {
						break
					}
				}
				if want := test.want(long); guesses > want || guesses < want*9/10 {
					t.Errorf("%d guesses, want up to %d", guesses, want)
				}
			})
		})
	}
}

// TestASiteHasOneFirstGuess: an IPv6 customer has 65536 networks, and one first
// guess.
func TestASiteHasOneFirstGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts()
		guesses := 0
		for i := range 1000 {
			addr := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i), 15: 1})
			if _, wait := a.Try(addr, wrong); wait == 0 {
				guesses++
			}
		}
		if want := 1 + GlobalAttempts; guesses != want {
			t.Errorf("%d guesses, want %d", guesses, want)
		}
		if _, wait := a.Try(netip.MustParseAddr("2001:db8:2::1"), right); wait != 0 {
			t.Errorf("another site waits %s", wait)
		}
	})
}

// TestAFirstGuessComesBack after a day of quiet, and not before.
func TestAFirstGuessComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAttempts()
		me := netip.MustParseAddr("198.51.100.1")
		a.Try(me, wrong)
		time.Sleep(FirstAgain - time.Second)
		drain(a)
		if _, wait := a.Try(me, wrong); wait == 0 {
			t.Error("another first guess before its time")
		}
		time.Sleep(time.Second)
		if _, wait := a.Try(me, wrong); wait != 0 {
			t.Errorf("after a day: wait %s", wait)
		}
	})
}

// TestManyAreRemembered: as many networks, known networks and devices as the
// limit says keep what they have used up, and one more has the quietest of them
// begin again.
func TestManyAreRemembered(t *testing.T) {
	for name, try := range map[string]func(a *Attempts, i int, compare func() bool) time.Duration{
		"networks": func(a *Attempts, i int, compare func() bool) time.Duration {
			_, wait := a.Try(stranger(i), compare)
			return wait
		},
		"devices": func(a *Attempts, i int, compare func() bool) time.Duration {
			_, wait := a.TryDevice(fmt.Sprint(i), compare)
			return wait
		},
	} {
		for _, others := range []int{maxAddresses - 1, maxAddresses} {
			synctest.Test(t, func(t *testing.T) {
				a := NewAttempts()
				for range AddressAttempts {
					try(a, 0, wrong)
				}
				for i := range others {
					try(a, i+1, right)
				}
				if wait := try(a, 0, right); (wait == AddressPause) != (others < maxAddresses) {
					t.Errorf("%s: after %d others it waits %s", name, others, wait)
				}
			})
		}
	}
	for _, others := range []int{maxAddresses - 1, maxAddresses} {
		synctest.Test(t, func(t *testing.T) {
			a := NewAttempts()
			for i := range others + 1 {
				a.Try(stranger(i), right)
			}
			for i := range 8 * AddressAttempts {
				a.Try(stranger(1<<20+i%8), wrong)
			}
			a.Try(stranger(0), wrong) // its first guess, if it is not known
			if _, wait := a.Try(stranger(0), right); (wait == 0) != (others < maxAddresses) {
				t.Errorf("a known network, after %d others: it waits %s", others, wait)
			}
		})
	}
}
