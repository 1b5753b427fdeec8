package budget

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
)

func at(address string) Owner { return Owner{Address: netip.MustParsePrefix(address)} }

func of(address, key string) Owner {
	o := at(address)
	o.Key = key
	return o
}

// holder is an account that frees its bytes in parts, or as a whole.
type holder struct {
	*Account
	name  string
	parts []int // what evict frees, in turn; then it gives up the whole
	log   *[]string
}

func (h *holder) free() bool {
	*h.log = append(*h.log, h.name)
	if len(h.parts) == 0 {
		return true
	}
	h.Add(-h.parts[0])
	h.parts = h.parts[1:]
	return false
}

func open(b *Budget, o Owner, log *[]string, name string, bytes int, parts ...int) *holder {
	h := &holder{name: name, parts: parts, log: log}
	h.Account = b.Open(o, h.free)
	h.Add(bytes)
	return h
}

// want checks who was evicted, in order.
func want(t *testing.T, got []string, names ...string) {
	t.Helper()
	if !slices.Equal(got, names) {
		t.Errorf("evicted %q; want %q", got, names)
	}
}

// TestLimits: each limit is kept at n, and exceeded at n+1.
func TestLimits(t *testing.T) {
	for name, limits := range map[string]Limits{
		"total": {Total: 100}, "address": {Address: 100}, "key": {Key: 100},
	} {
		t.Run(name, func(t *testing.T) {
			var log []string
			b := New(limits)
			a := open(b, of("10.0.0.1/32", "k"), &log, "a", 60)
			open(b, of("10.0.0.1/32", "k"), &log, "b", 40)
			if b.enforce(); b.over.Load() || len(log) > 0 {
				t.Errorf("at the limit: over %t, evicted %q", b.over.Load(), log)
			}
			a.Add(1)
			if !b.over.Load() {
				t.Error("beyond the limit: not over")
			}
			b.enforce()
			want(t, log, "a")
			if b.over.Load() || b.Used() != 101 {
				t.Errorf("over %t, %d bytes; want the bytes of a leaving account to count as used", b.over.Load(), b.Used())
			}
		})
	}
}

// TestLimitsAreApart: what one address or key holds does not exceed the limit
// of another.
func TestLimitsAreApart(t *testing.T) {
	var log []string
	b := New(Limits{Address: 100, Key: 60})
	open(b, of("10.0.0.1/32", "k"), &log, "a", 60)
	open(b, of("10.0.0.1/32", "l"), &log, "b", 40)
	open(b, of("10.0.0.2/32", "k"), &log, "c", 60)
	b.enforce()
	want(t, log)
	open(b, of("10.0.0.2/32", "k"), &log, "d", 1)
	b.enforce()
	want(t, log, "c")
}

// TestWorst: the largest account of the largest key of the largest address.
func TestWorst(t *testing.T) {
	var log []string
	b := New(Limits{Total: 399})
	open(b, of("10.0.0.1/32", "k"), &log, "largest account", 150)
	open(b, of("10.0.0.2/32", "k"), &log, "half of a key", 60)
	open(b, of("10.0.0.2/32", "k"), &log, "more than half", 61)
	open(b, of("10.0.0.2/32", "l"), &log, "a key alone", 100)
	open(b, of("10.0.0.3/32", ""), &log, "newcomer", 29)
	b.enforce()
	want(t, log, "more than half")
}

// TestNewcomer: an account that holds little is not evicted, though it comes last.
func TestNewcomer(t *testing.T) {
	var log []string
	b := New(Shared(1000))
	for i := range 20 {
		open(b, at(fmt.Sprintf("10.0.0.%d/32", i)), &log, "attacker", 100, 50)
		b.enforce()
	}
	newcomer := open(b, at("10.9.9.9/32"), &log, "newcomer", 40)
	b.enforce()
	if slices.Contains(log, "newcomer") || newcomer.Used() != 40 {
		t.Errorf("evicted %q", log)
	}
	if b.Used() > 1000+20*50 {
		t.Errorf("%d bytes", b.Used())
	}
}

// TestOldest: of accounts, keys and addresses that hold the same, the one that
// has not moved for longest goes.
func TestOldest(t *testing.T) {
	for name, owners := range map[string][2]Owner{
		"accounts":  {of("10.0.0.1/32", "k"), of("10.0.0.1/32", "k")},
		"keys":      {of("10.0.0.1/32", "k"), of("10.0.0.1/32", "l")},
		"addresses": {of("10.0.0.1/32", "k"), of("10.0.0.2/32", "k")},
	} {
		for how, move := range map[string]func(*holder){
			"touched": func(h *holder) { h.Touch() },
			"counted": func(h *holder) { h.Add(1); h.Add(-1) },
		} {
			for moves := range 2 {
				t.Run(fmt.Sprint(name, how, moves), func(t *testing.T) {
					var log []string
					b := New(Limits{Total: 200})
					accounts := []*holder{open(b, owners[0], &log, "0", 100), open(b, owners[1], &log, "1", 100)}
					move(accounts[moves])
					accounts[1-moves].Add(0) // adding nothing does not move it
					open(b, at("10.0.0.9/32"), &log, "other", 1)
					b.enforce()
					want(t, log, fmt.Sprint(1-moves))
				})
			}
		}
	}
}

// TestParts: an account that frees parts is asked again until the limit is kept.
func TestParts(t *testing.T) {
	var log []string
	b := New(Limits{Total: 100})
	a := open(b, Owner{}, &log, "a", 160, 30, 20, 10, 100)
	b.enforce()
	want(t, log, "a", "a", "a")
	if b.Evicted() != 3 || a.Used() != 100 || b.Used() != 100 {
		t.Errorf("%d, %d bytes after %d", a.Used(), b.Used(), b.Evicted())
	}
}

// TestNothingFreed: an account that frees nothing ends the loop, and is asked
// again with the next call.
func TestNothingFreed(t *testing.T) {
	var log []string
	b := New(Limits{Total: 100})
	open(b, Owner{}, &log, "a", 160, 0, 0)
	b.enforce()
	want(t, log, "a")
	if !b.over.Load() {
		t.Error("no longer over")
	}
	b.enforce()
	b.enforce()
	want(t, log, "a", "a", "a")
	if b.over.Load() {
		t.Error("still over")
	}
}

// TestLeaving: an account that is given up is not asked again; what it counts
// from then on exceeds no one's limit, and is used until it is gone.
func TestLeaving(t *testing.T) {
	var log []string
	b := New(Limits{Total: 100, Address: 100, Key: 100})
	a := open(b, Owner{}, &log, "a", 101)
	b.enforce()
	a.Add(500)
	b.enforce()
	other := open(b, Owner{}, &log, "other", 100)
	b.enforce()
	want(t, log, "a")
	if b.Used() != 701 {
		t.Errorf("%d bytes; want 701", b.Used())
	}
	other.Add(1) // a still counts more
	b.enforce()
	want(t, log, "a", "other")
	a.Add(-601)
	a.Close()
	if b.Used() != 101 {
		t.Errorf("%d bytes; want 101", b.Used())
	}
}

// TestTight: half of the own key's or address's limit, whatever others hold.
func TestTight(t *testing.T) {
	b := New(Limits{Total: 1000, Address: 200, Key: 100})
	mine := b.Open(of("10.0.0.1/32", "k"), nil)
	b.Open(at("10.0.0.2/32"), nil).Add(150)
	mine.Add(50)
	if mine.Tight() {
		t.Error("tight at half of the key's limit")
	}
	mine.Add(1)
	if !mine.Tight() {
		t.Error("not tight beyond half of the key's limit")
	}
	mine.Add(-1)
	beside := b.Open(of("10.0.0.1/32", "l"), nil)
	if beside.Add(50); mine.Tight() {
		t.Error("tight at half of the address's limit")
	}
	if beside.Add(1); !mine.Tight() {
		t.Error("not tight beyond half of the address's limit")
	}
	alone := New(Limits{Total: 100}).Open(Owner{}, nil)
	if alone.Add(50); alone.Tight() {
		t.Error("tight at half of the total")
	}
	if alone.Add(1); !alone.Tight() {
		t.Error("without other limits: not tight beyond half of the total")
	}
}

// TestSmall: accounts of addresses with little are not made to wait for
// evictions; all others are, and keep every limit.
func TestSmall(t *testing.T) {
	for _, c := range []struct {
		small int
		wait  bool
	}{{125, false}, {126, true}} { // four addresses: a quarter of 1000 is 250
		var log []string
		b := New(Limits{Total: 1000, Address: 800, Key: 800})
		small := open(b, at("10.0.0.1/32"), &log, "small", c.small)
		open(b, at("10.0.0.2/32"), &log, "large", 700)
		open(b, at("10.0.0.3/32"), &log, "", 100)
		last := open(b, at("10.0.0.4/32"), &log, "last", 200)
		if small.Enforce(); (len(log) > 0) != c.wait {
			t.Errorf("%d bytes: evicted %q", c.small, log)
		}
		last.Enforce()
		want(t, log, "large")
	}
	for name, limits := range map[string]Limits{"key": {Key: 100}, "address": {Address: 100}} {
		var log []string
		b := New(limits)
		a := open(b, at("10.0.0.1/32"), &log, name, 101)
		if !a.Over() {
			t.Error("not over")
		}
		a.Enforce()
		want(t, log, name)
	}
}

// TestForget: a closed account is forgotten when it counts nothing, no earlier
// and no later, and its groups with it.
func TestForget(t *testing.T) {
	b := New(Limits{})
	first, second := b.Open(of("10.0.0.1/32", "k"), nil), b.Open(of("10.0.0.1/32", "l"), nil)
	first.Add(10)
	if first.Close(); b.Accounts() != 2 {
		t.Errorf("%d accounts; the closed one still counts bytes", b.Accounts())
	}
	if first.Add(-10); b.Accounts() != 1 {
		t.Errorf("%d accounts; want 1", b.Accounts())
	}
	second.Add(5)
	second.Add(-5)
	if b.Accounts() != 1 {
		t.Errorf("%d accounts; an open one may be empty", b.Accounts())
	}
	second.Close()
	if b.Accounts() != 0 || len(b.all.children) != 0 {
		t.Errorf("%d accounts, %d addresses; want 0", b.Accounts(), len(b.all.children))
	}
}

// TestForgetOnce: what an account does after it was forgotten, to be closed again
// or to count late bytes, takes no other account out of reach.
func TestForgetOnce(t *testing.T) {
	for name, late := range map[string]func(*Account){
		"closed again": (*Account).Close,
		"late bytes": func(a *Account) {
			a.Add(7)
			a.Add(-7)
		},
	} {
		var log []string
		b := New(Limits{Total: 100})
		gone := b.Open(at("10.0.0.1/32"), nil)
		gone.Close()
		next := open(b, at("10.0.0.1/32"), &log, "next", 101)
		late(gone)
		if b.Accounts() != 1 {
			t.Errorf("%s: %d accounts; want the one that is open", name, b.Accounts())
		}
		next.Enforce()
		want(t, log, "next")
	}
}

// TestForgetOneOfAKey: the other accounts of a key, and the other keys of an address,
// stay within reach.
func TestForgetOneOfAKey(t *testing.T) {
	for name, sibling := range map[string]Owner{"key": of("10.0.0.1/32", "k"), "address": of("10.0.0.1/32", "l")} {
		var log []string
		b := New(Limits{Total: 100})
		gone := b.Open(of("10.0.0.1/32", "k"), nil)
		stays := open(b, sibling, &log, "stays", 101)
		gone.Close()
		if b.Accounts() != 1 {
			t.Errorf("%s: %d accounts; want the one that is open", name, b.Accounts())
		}
		stays.Enforce()
		want(t, log, "stays")
	}
}

// TestNil: a nil budget counts, and limits nothing.
func TestNil(t *testing.T) {
	var b *Budget
	a := b.Open(Owner{}, func() bool { t.Error("evicted"); return true })
	a.Add(1 << 40)
	a.Enforce()
	if a.Used() != 1<<40 || a.Tight() || a.Over() {
		t.Errorf("%d, tight %t", a.Used(), a.Tight())
	}
}

func TestNetwork(t *testing.T) {
	for _, c := range []struct {
		addr net.Addr
		want string
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}, "192.0.2.1/32"},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1")}, "192.0.2.1/32"},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8:1:2:3::4"), Zone: "eth0"}, "2001:db8:1:2::/64"},
		{&net.TCPAddr{}, "invalid Prefix"},
		{&net.UnixAddr{Name: "x"}, "invalid Prefix"},
		{nil, "invalid Prefix"},
	} {
		if got := Network(c.addr).String(); got != c.want {
			t.Errorf("%v: %s; want %s", c.addr, got, c.want)
		}
	}
	if Shared(100) != (Limits{100, 50, 50}) {
		t.Error(Shared(100))
	}
}

// TestInvariants: after many adds, evictions and closes by many goroutines,
// the sums are those of the accounts, limits are kept, and nothing is left.
func TestInvariants(t *testing.T) {
	b := New(Limits{Total: 5000, Address: 2000, Key: 1000})
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			for range 300 {
				o := of(fmt.Sprintf("10.0.0.%d/32", rng.IntN(4)), fmt.Sprint(rng.IntN(3)))
				var (
					mu   sync.Mutex
					held int
				)
				var a *Account
				a = b.Open(o, func() bool {
					mu.Lock()
					n := held / 2
					held -= n
					mu.Unlock()
					a.Add(-n)
					return n == 0
				})
				for range 10 {
					n := rng.IntN(400)
					mu.Lock()
					held += n
					mu.Unlock()
					a.Add(n)
					a.Enforce()
				}
				mu.Lock()
				n := held
				held = 0
				mu.Unlock()
				a.Add(-n)
				a.Close()
			}
		})
	}
	group.Wait()
	b.enforce()
	if b.Used() != 0 || b.Accounts() != 0 || b.all.used != 0 || b.leaving != 0 || b.over.Load() {
		t.Errorf("%d bytes (%d, %d) in %d accounts, over %t; want nothing", b.Used(), b.all.used, b.leaving, b.Accounts(), b.over.Load())
	}
	if b.Evicted() == 0 {
		t.Error("nothing was evicted")
	}
}
