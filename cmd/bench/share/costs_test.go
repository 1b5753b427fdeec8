package share

import (
	"net/netip"
	"testing"
)

// TestSleepersSpread: no address opens more sleeping shares than a relay allows it.
func TestSleepersSpread(t *testing.T) {
	shares := map[netip.Addr]int{}
	for i := range 300 * sleepersPerAddress {
		addr := sleeperAddr(i)
		if !addr.IsLoopback() {
			t.Fatalf("share %d dials from %s, which is not of this machine", i, addr)
		}
		shares[addr]++
	}
	for addr, n := range shares {
		if n > sleepersPerAddress {
			t.Errorf("%d shares dial from %s, want at most %d", n, addr, sleepersPerAddress)
		}
	}
}
