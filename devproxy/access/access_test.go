package access

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

func TestNetworks(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "::ffff:203.0.113.7": "203.0.113.7/32",
		"2001:db8:0:1::5": "2001:db8:0:1::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := budget.NetworkOf(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	for addr, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "::ffff:203.0.113.7": "203.0.113.7/32", "2001:db8:1:2::5": "2001:db8:1::/48",
	} {
		if got := Site(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("the site of %s: %s, want %s", addr, got, want)
		}
	}
	if budget.NetworkOf(netip.Addr{}) != (netip.Prefix{}) || Site(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("nobody has a network")
	}
}

// TestForgets: the table is bounded, and forgets the key that was quiet the longest.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable[int](Limit{time.Hour, 1}, 10)
		for key := range 1000 {
			table.Take(key + 1)
			if wait := table.Take(0); wait == 0 && key > 0 { // never quiet
				t.Fatalf("who asks all the time was forgotten after %d others", key)
			}
		}
		if len(table.byKey) != 10 || table.recent.Len() != 10 {
			t.Errorf("%d keys are remembered", len(table.byKey))
		}
		if table.Take(0) == 0 {
			t.Error("who asks all the time was forgotten")
		}
		if table.Take(1) != 0 {
			t.Error("the key that was quiet the longest was not forgotten")
		}
	})
}

func TestTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable[string](Limit{time.Second, 2}, 10)
		for i, want := range []time.Duration{0, 0, time.Second, time.Second} {
			if wait := table.Take("a"); wait != want {
				t.Errorf("request %d waits %v, want %v", i+1, wait, want)
			}
		}
		if wait := table.Take("b"); wait != 0 {
			t.Errorf("another waits %v", wait)
		}
		time.Sleep(time.Second)
		if wait := table.Take("a"); wait != 0 {
			t.Errorf("a refused request took a token: %v", wait)
		}
	})
}

func TestAllowed(t *testing.T) {
	prefixes := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	tests := []struct {
		addr        string
		allow, deny []netip.Prefix
		want        bool
	}{
		{"203.0.113.7", nil, nil, true},
		{"", nil, nil, true},
		{"203.0.113.7", prefixes("203.0.113.0/24"), nil, true},
		{"::ffff:203.0.113.7", prefixes("203.0.113.0/24"), nil, true},
		{"198.51.100.1", prefixes("203.0.113.0/24"), nil, false},
		{"203.0.113.7", prefixes("203.0.113.0/24"), prefixes("203.0.113.7/32"), false},
		{"203.0.113.8", prefixes("203.0.113.0/24"), prefixes("203.0.113.7/32"), true},
		{"203.0.113.7", nil, prefixes("203.0.113.7/32"), false},
		{"fe80::1%eth0", prefixes("fe80::/10"), nil, true},
		{"", prefixes("0.0.0.0/0"), nil, false},
		{"", nil, prefixes("203.0.113.7/32"), false},
	}
	for _, test := range tests {
		addr, _ := netip.ParseAddr(test.addr)
		if got := Allowed(addr, test.allow, test.deny); got != test.want {
			t.Errorf("%q allow %v deny %v: %v", test.addr, test.allow, test.deny, got)
		}
	}
}
