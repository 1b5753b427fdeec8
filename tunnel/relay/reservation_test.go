package relay

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

func portClaimOf(owner byte, network int, name string) PortClaim {
	return PortClaim{Owner: Key{owner}, From: prefixOf(network), Port: tunnel.Port{Network: tunnel.TCP, Name: name}, Range: PortRange{20000, 20099}}
}

// reserve claims a port in a table; 0 is a refusal, which must contain why.
func reserve(t *testing.T, table *nameTable, c PortClaim, now time.Time, why string) uint16 {
	t.Helper()
	number, _, _, err := table.claimPort(c, now)
	quota, refused := errors.AsType[*QuotaError](err)
	if why == "" && err != nil || why != "" && (!refused || !strings.Contains(quota.Error(), why)) {
		t.Errorf("%v: %v; want an error with %q", c.Port, err, why)
	}
	return number
}

// TestReservations: which key a port belongs to, and for how long.
func TestReservations(t *testing.T) {
	table, now := newNameTable(), time.Now()
	first := reserve(t, table, portClaimOf(1, 1, "postgres"), now, "")
	if again := reserve(t, table, portClaimOf(1, 2, "postgres"), now, ""); again != first || !portClaimOf(1, 1, "").Range.Has(first) {
		t.Errorf("the port was %d and is %d", first, again)
	}
	other := newNameTable() // of a relay that has lost its registry
	if again := reserve(t, other, portClaimOf(1, 1, "postgres"), now, ""); again != first {
		t.Errorf("the port was %d and is %d for a new registry", first, again)
	}
	udp := portClaimOf(1, 1, "postgres")
	udp.Port.Network = tunnel.UDP
	reserve(t, table, udp, now, "")
	if len(table.records) != 2 {
		t.Errorf("the table has %v", table.records)
	}
	// A range that has the port of another key alone is full.
	taken := portClaimOf(2, 2, "postgres")
	taken.Range = PortRange{first, first}
	reserve(t, table, taken, now, "all 1 TCP ports of this relay are reserved")
	reserve(t, table, taken, now.Add(plainLapse-time.Hour), "are reserved")
	if got := reserve(t, table, taken, now.Add(plainLapse), ""); got != first {
		t.Errorf("after the reservation lapsed: %d", got)
	}
	// Renewing keeps it, and the sweep forgets what lapsed.
	later := now.Add(2 * plainLapse)
	table.renew(Key{2}, []string{portEntry(tunnel.TCP, first)}, later.Add(-plainLapse/2))
	table.sweep(later)
	if r := table.records[portEntry(tunnel.TCP, first)]; len(table.records) != 1 || r.Owner != (Key{2}) {
		t.Errorf("the table has %v", table.records)
	}
}

// TestPortMoves: a port that another program has, or that is not in the range any more, is
// replaced and does not stay reserved.
func TestPortMoves(t *testing.T) {
	table, now := newNameTable(), time.Now()
	c := portClaimOf(1, 1, "postgres")
	first := reserve(t, table, c, now, "")
	c.Without = []uint16{first}
	second := reserve(t, table, c, now, "")
	if second == first || len(table.records) != 1 {
		t.Errorf("%d is replaced by %d: %v", first, second, table.records)
	}
	c.Range, c.Without = PortRange{30000, 30001}, nil
	if third := reserve(t, table, c, now, ""); !c.Range.Has(third) || len(table.records) != 1 {
		t.Errorf("%d is replaced by %d: %v", second, third, table.records)
	}
	c.Without = []uint16{30000, 30001}
	reserve(t, table, c, now, "are reserved")
	if len(table.records) != 1 {
		t.Errorf("a refused claim has left %v", table.records)
	}
}

// TestPortQuotas: neither a key nor a network gets all ports.
func TestPortQuotas(t *testing.T) {
	table, now := newNameTable(), time.Now()
	for i := range portsPerKey {
		reserve(t, table, portClaimOf(1, 1, fmt.Sprint("p", i)), now, "")
	}
	reserve(t, table, portClaimOf(1, 1, "more"), now, fmt.Sprintf("your key has reached this relay's limit of %d ports", portsPerKey))
	// Later, the port that was unused for longest makes room.
	spare := now.Add(portSpare)
	for i := range portsPerKey {
		if i != 5 {
			table.renew(Key{1}, []string{mustEntry(t, table, fmt.Sprint("p", i), now)}, spare)
		}
	}
	reserve(t, table, portClaimOf(1, 1, "more"), spare, "")
	if _, known := table.portOf(Key{1}, tunnel.Port{Network: tunnel.TCP, Name: "p5"}, spare); known || len(table.records) != portsPerKey {
		t.Errorf("p5 is still reserved, with %d ports", len(table.records))
	}
	// A range of 100 ports gives one network 50.
	for i := range 50 - portsPerKey {
		reserve(t, table, portClaimOf(byte(2+i), 1, "p"), spare, "")
	}
	reserve(t, table, portClaimOf(200, 1, "p"), spare, "your network has reached this relay's limit of 50 ports")
	reserve(t, table, portClaimOf(200, 2, "p"), spare, "")
	// Names have their own limits.
	if _, err := table.claim(NameClaim{Owner: Key{1}, From: prefixOf(1), Names: []string{"shop." + domain}, Quota: Quota{PlainPerKey: 1, PlainPerNetwork: 1, PerKey: 1, PerNetwork: 1}}, spare); err != nil {
		t.Errorf("ports count as names: %v", err)
	}
	small := portClaimOf(250, 3, "p")
	small.Range = PortRange{1, 9}
	for i := range tunnel.MaxPorts {
		small.Port.Name = fmt.Sprint("p", i)
		reserve(t, table, small, now, "") // in a small range, a share gets what it may have
	}
}

func mustEntry(t *testing.T, table *nameTable, name string, now time.Time) string {
	t.Helper()
	entry, known := table.portOf(Key{1}, tunnel.Port{Network: tunnel.TCP, Name: name}, now)
	if !known {
		t.Fatalf("%s is not reserved", name)
	}
	return entry
}

func TestParsePortRange(t *testing.T) {
	for text, want := range map[string]PortRange{
		"20000-20999": {20000, 20999}, "1024": {1024, 1024}, "1024-65535": {1024, 65535},
		"": {}, "0-2000": {}, "80": {}, "1023-2000": {}, "2000-1999": {}, "2000-65536": {}, "a-b": {}, "1-2-3": {}, "-5": {}, "5-": {},
	} {
		got, err := ParsePortRange(text)
		if got != want || (err == nil) != (want != PortRange{}) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	if got := (PortRange{}); got.Has(0) || got.size() != 0 || got.String() != "none" {
		t.Errorf("no range is %v", got)
	}
	if got := (PortRange{20000, 20999}); got.size() != 1000 || got.String() != "20000-20999" || got.Has(21000) {
		t.Errorf("the range is %v with %d ports", got, got.size())
	}
}
