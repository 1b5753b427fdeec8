package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// testTable is a nameTable with short forms of its methods.
type testTable struct {
	*nameTable
	t     *testing.T
	quota Quota
}

func newTestTable(t *testing.T, quota Quota) testTable { return testTable{newNameTable(), t, quota} }

// claim claims names for a key in a network.
func (b testTable) claimFor(key, from int, names ...string) error {
	b.t.Helper()
	for i := range names {
		names[i] += "." + domain
	}
	_, err := b.claim(NameClaim{Owner: Key{byte(key)}, From: prefixOf(from), Names: names, Quota: b.quota}, time.Now())
	b.check()
	return err
}

func (b testTable) release(key int, name string) {
	b.t.Helper()
	if ended := b.nameTable.release(Key{byte(key)}, []string{name + "." + domain}, time.Now()); len(ended) != 1 {
		b.t.Errorf("%s has not ended", name)
	}
}

func (b testTable) has(name string) bool {
	_, known := b.lookup(name+"."+domain, time.Now())
	return known
}

// check recounts the indexes.
func (b testTable) check() {
	b.t.Helper()
	keys, networks := 0, 0
	for name, r := range b.records {
		if _, ok := b.keys[r.Owner][name]; !ok {
			b.t.Errorf("%s is missing at its key", name)
		}
		if _, ok := b.networks[r.From][name]; !ok {
			b.t.Errorf("%s is missing at its network", name)
		}
	}
	for key, names := range b.keys {
		if keys += len(names); len(names) == 0 {
			b.t.Errorf("key %d is kept for nothing", key[0])
		}
	}
	for network, names := range b.networks {
		if networks += len(names); len(names) == 0 {
			b.t.Errorf("%s is kept for nothing", network)
		}
	}
	if keys != len(b.records) || networks != len(b.records) {
		b.t.Errorf("%d names, %d of keys, %d of networks", len(b.records), keys, networks)
	}
}

func isQuota(err error) bool { var e *QuotaError; return errors.As(err, &e) }

// link is an unguessable name's entry in the registry.
func link(i int) string { return fmt.Sprintf("*-%016d", i) }

// TestQuotas: n names are granted and the n+1st is not, for each bound.
func TestQuotas(t *testing.T) {
	for name, c := range map[string]struct {
		quota    Quota
		key      func(i int) int
		from     func(i int) int
		label    func(i int) string
		free     func(b testTable) error // one that is granted anyway
		freeFail bool
	}{
		"plain names of a key": {Quota{PlainPerKey: 3}, one, number, plainLabel, func(b testTable) error { return b.claimFor(1, 9, link(1)) }, false},
		"of a network":         {Quota{PlainPerNetwork: 3}, number, one, plainLabel, func(b testTable) error { return b.claimFor(9, 1, link(1)) }, false},
		"all names of a key":   {Quota{PerKey: 3}, one, number, link, func(b testTable) error { return b.claimFor(9, 9, link(99)) }, false},
		"all of a network":     {Quota{PerNetwork: 3}, number, one, link, func(b testTable) error { return b.claimFor(9, 9, link(99)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestTable(t, c.quota)
				for i := range 4 {
					err := b.claimFor(c.key(i), c.from(i), c.label(i))
					if (err != nil) != (i == 3) || err != nil && !isQuota(err) {
						t.Errorf("name %d: %v", i+1, err)
					}
				}
				if b.has(c.label(3)) {
					t.Error("a refused name is kept")
				}
				for i := range 3 {
					if err := b.claimFor(c.key(i), c.from(i), c.label(i)); err != nil {
						t.Errorf("one that it has: %v", err)
					}
				}
				if err := c.free(b); err != nil {
					t.Errorf("what the quota does not bound: %v", err)
				}
				// An ended name makes room; the one that ended first does.
				b.release(c.key(1), c.label(1))
				time.Sleep(time.Hour)
				b.release(c.key(0), c.label(0))
				if err := b.claimFor(c.key(3), c.from(3), c.label(3)); err != nil || b.has(c.label(1)) || !b.has(c.label(0)) {
					t.Errorf("after two have ended: %v; the first to end is kept: %v, the second: %v", err, b.has(c.label(1)), b.has(c.label(0)))
				}
			})
		})
	}
}

func one(int) int { return 1 }

func number(i int) int { return i + 1 }

func plainLabel(i int) string { return fmt.Sprint("plain-", i) }

// TestQuotaOfAClaim: a claim of two names needs room for both.
func TestQuotaOfAClaim(t *testing.T) {
	b := newTestTable(t, Quota{PerKey: 1})
	if err := b.claimFor(1, 1, link(1), "abcdefgh"); !isQuota(err) || len(b.records) != 0 {
		t.Errorf("%v, and %d names are kept", err, len(b.records))
	}
	if err := b.claimFor(1, 1, link(1)); err != nil {
		t.Error(err)
	}
	if err := b.claimFor(1, 1, link(1), "abcdefgh"); !isQuota(err) {
		t.Errorf("one more in addition to what it has: %v", err)
	}
}

// TestTotal: a full registry takes from the network with most names: ended ones, else
// those unused for longest, but no plain name in use.
func TestTotal(t *testing.T) {
	prepare := func(t *testing.T) testTable {
		b := newTestTable(t, Quota{Total: 5})
		for i, from := range []int{1, 1, 2, 2, 2} {
			if err := b.claimFor(i, from, link(i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		return b
	}
	kept := func(b testTable) (names []int) {
		for i := range 10 {
			if b.has(link(i)) {
				names = append(names, i)
			}
		}
		return names
	}
	for name, c := range map[string]struct {
		change func(b testTable)
		from   int
		want   []int
	}{
		"the one unused for longest": {func(testTable) {}, 3, []int{0, 1, 3, 4, 9}},
		"one that has ended":         {func(b testTable) { b.release(3, link(3)) }, 3, []int{0, 1, 2, 4, 9}},
		"its own":                    {func(testTable) {}, 2, []int{0, 1, 3, 4, 9}},
		"its own, if another one has as many": {func(b testTable) {
			b.forget(link(4) + "." + domain)
			b.put(link(5)+"."+domain, Record{From: prefixOf(3), Seen: time.Now()})
		}, 1, []int{1, 2, 3, 5, 9}},
		"none while there is room": {func(b testTable) { b.forget(link(4) + "." + domain) }, 1, []int{0, 1, 2, 3, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // maps are in no order
				synctest.Test(t, func(t *testing.T) {
					b := prepare(t)
					c.change(b)
					if err := b.claimFor(9, c.from, link(9)); err != nil {
						t.Error(err)
					}
					if got := kept(b); !slices.Equal(got, c.want) {
						t.Errorf("kept are %v, want %v", got, c.want)
					}
				})
			}
		})
	}
	t.Run("two at once", func(t *testing.T) {
		for range 20 {
			synctest.Test(t, func(t *testing.T) {
				b := newTestTable(t, Quota{Total: 6})
				for i := range 6 {
					if err := b.claimFor(i, 1+i%2, link(i)); err != nil {
						t.Fatal(err)
					}
				}
				if err := b.claimFor(9, 3, link(8), "abcdefgh"); err != nil || len(b.networks[prefixOf(1)]) != 2 || len(b.networks[prefixOf(2)]) != 2 {
					t.Errorf("%v; %d and %d are left", err, len(b.networks[prefixOf(1)]), len(b.networks[prefixOf(2)]))
				}
			})
		}
	})
	t.Run("one that is free already", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newTestTable(t, Quota{Total: 2})
			_ = b.claimFor(1, 1, "shop")
			time.Sleep(plainLapse)
			_ = b.claimFor(2, 2, link(1))
			if err := b.claimFor(3, 3, "shop"); err != nil || !b.has(link(1)) || len(b.records) != 2 {
				t.Errorf("%v; %d names", err, len(b.records))
			}
		})
	})
	t.Run("plain names that have ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newTestTable(t, Quota{Total: 3})
			for i := range 3 {
				_ = b.claimFor(1, 1, plainLabel(i))
			}
			b.release(1, plainLabel(2))
			time.Sleep(time.Second)
			b.release(1, plainLabel(1))
			if err := b.claimFor(2, 2, link(1)); err != nil || !b.has(plainLabel(0)) || !b.has(plainLabel(1)) {
				t.Errorf("%v; the one in use is kept: %v, the one that ended last: %v", err, b.has(plainLabel(0)), b.has(plainLabel(1)))
			}
		})
	})
	t.Run("plain names", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newTestTable(t, Quota{Total: 3})
			for i := range 3 {
				if err := b.claimFor(1, 1, plainLabel(i)); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.claimFor(2, 2, link(1)); !isQuota(err) {
				t.Errorf("a plain name in use gave way: %v", err)
			}
			time.Sleep(seenEvery)
			if err := b.claimFor(2, 2, link(1)); err != nil {
				t.Errorf("one that was not in use for a day did not: %v", err)
			}
		})
	})
}

// TestLapse: how long names are kept, exactly.
func TestLapse(t *testing.T) {
	for name, c := range map[string]struct {
		label string
		ended bool
		after time.Duration
	}{
		"a plain name that is not used":  {"shop", false, plainLapse},
		"a plain name that has ended":    {"shop", true, plainRetention},
		"a link that is not used":        {link(1), false, linkRetention},
		"a link that has ended":          {link(1), true, linkRetention},
		"the zone of a key, as if plain": {"abcdefgh", false, plainLapse},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestTable(t, Quota{})
				if err := b.claimFor(1, 1, c.label); err != nil {
					t.Fatal(err)
				}
				if c.ended {
					b.release(1, c.label)
				}
				time.Sleep(c.after - 1)
				var taken *TakenError
				if err := b.claimFor(2, 2, c.label); !errors.As(err, &taken) || !b.has(c.label) {
					t.Errorf("a moment before: %v", err)
				}
				if got := b.sweep(time.Now()); len(got) != 0 {
					t.Errorf("swept too early: %q", got)
				}
				time.Sleep(time.Nanosecond)
				if b.has(c.label) {
					t.Error("it is still known")
				}
				if c.label == "shop" {
					if got := b.sweep(time.Now()); len(got) != 1 || len(b.records) != 0 {
						t.Errorf("swept: %q", got)
					}
				}
				if err := b.claimFor(2, 2, c.label); err != nil {
					t.Errorf("then: %v", err)
				}
				b.check()
			})
		})
	}
	t.Run("in use", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newTestTable(t, Quota{})
			_ = b.claimFor(1, 1, "shop")
			for range 200 {
				time.Sleep(seenEvery)
				if changed := b.renew(Key{2}, []string{"shop." + domain}, time.Now()); len(changed) != 0 {
					t.Fatal("renewed by another key")
				}
				if changed := b.renew(Key{1}, []string{"shop." + domain, "none." + domain}, time.Now()); len(changed) != 1 {
					t.Fatalf("renewed: %q", changed)
				}
				if changed := b.renew(Key{1}, []string{"shop." + domain}, time.Now()); len(changed) != 0 {
					t.Fatal("renewed twice a day")
				}
			}
			if !b.has("shop") {
				t.Error("a name in use has lapsed")
			}
		})
	})
}

// TestReleaseOnce: which key may end which name, and only once.
func TestReleaseOnce(t *testing.T) {
	b := newTestTable(t, Quota{})
	_ = b.claimFor(1, 1, "shop")
	names := []string{"shop." + domain}
	for i, want := range []int{0, 1, 0} {
		now := time.Now().Add(time.Duration(i) * time.Hour)
		if ended := b.nameTable.release(Key{byte(min(i+1, 2)) ^ 3}, names, now); len(ended) != want {
			t.Errorf("release %d ended %q", i, ended)
		}
	}
}

func TestNetworkOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := budget.NetworkOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s is in %s, want %s", addr, got, want)
		}
	}
	if budget.NetworkOf(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("an invalid address has a network")
	}
}

// TestMemorySweeps as a file does.
func TestMemorySweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory()
		if err := m.Claim(t.Context(), NameClaim{Owner: Key{1}, Names: []string{plain}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(plainLapse)
		if err := m.Sweep(t.Context()); err != nil || len(m.names.records) != 0 {
			t.Errorf("%v; %d names", err, len(m.names.records))
		}
	})
}

// TestClaimWritesLittle: a claim that changes nothing is not written.
func TestClaimWritesLittle(t *testing.T) {
	l := newNameTable()
	now := time.Now()
	claim := func(until time.Time, at time.Time, from int) []string {
		changed, err := l.claim(NameClaim{Owner: Key{1}, Names: []string{"shop." + domain}, Until: until, From: prefixOf(from)}, at)
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	if len(claim(time.Time{}, now, 1)) != 1 {
		t.Error("a new name is not written")
	}
	if len(claim(time.Time{}, now.Add(seenEvery-1), 2)) != 0 {
		t.Error("the same claim on the same day is written")
	}
	if len(claim(time.Time{}, now.Add(seenEvery), 2)) != 1 || len(l.networks[prefixOf(1)]) != 0 || len(l.networks[prefixOf(2)]) != 1 {
		t.Error("on the next day the network is not noted")
	}
	if until := now.Add(48 * time.Hour); len(claim(until, now.Add(seenEvery), 2)) != 1 {
		t.Error("another end is not written")
	}
	l.release(Key{1}, []string{"shop." + domain}, now.Add(seenEvery))
	if len(claim(now.Add(48*time.Hour), now.Add(seenEvery), 2)) != 1 {
		t.Error("that an ended name begins again is not written")
	}
}

// TestNameTableModel does anything in any order.
func TestNameTableModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 1))
		b := newTestTable(t, Quota{PlainPerKey: 3, PlainPerNetwork: 6, PerKey: 8, PerNetwork: 15, Total: 30})
		for range 5000 {
			key, from := random.IntN(8), random.IntN(4)
			name := []string{plainLabel(random.IntN(20)), link(random.IntN(60))}[random.IntN(2)]
			switch random.IntN(8) {
			case 0:
				b.nameTable.release(Key{byte(key)}, []string{name + "." + domain}, time.Now())
			case 1:
				b.sweep(time.Now())
			case 2:
				time.Sleep(time.Duration(random.IntN(10*24)) * time.Hour)
			case 3:
				b.renew(Key{byte(key)}, []string{name + "." + domain}, time.Now())
			default:
				_ = b.claimFor(key, from, name)
			}
			b.check()
			for owner, names := range b.keys {
				if plain := count(keysOf(names), tunnel.PlainName); plain > 3 || len(names) > 8 {
					t.Fatalf("%v has %d names, %d of them plain", owner[0], len(names), plain)
				}
			}
			if len(b.records) > 30 {
				t.Fatalf("%d names", len(b.records))
			}
		}
	})
}

func keysOf(names nameSet) (all []string) {
	for name := range names {
		all = append(all, name)
	}
	return all
}

// TestMemoryOfNames: names take no more memory than tunnel/README.md says.
func TestMemoryOfNames(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	l := newNameTable()
	for i := range namesTotal {
		from := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		_, err := l.claim(NameClaim{Owner: Key{byte(i), byte(i >> 8), byte(i >> 16)}, From: from, Names: []string{fmt.Sprintf("*-%016d.%s", i, domain)}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
	}
	took := heap() - before
	if t.Logf("%d names take %d MB", namesTotal, took>>20); took > memoryOfNames {
		t.Errorf("%d names take %d MB", namesTotal, took>>20)
	}
	runtime.KeepAlive(l)
}

// memoryOfNames is the limit in tunnel/README.md, in bytes.
const memoryOfNames = 64 << 20

func count(names []string, is func(string) bool) (n int) {
	for _, name := range names {
		if is(name) {
			n++
		}
	}
	return n
}
