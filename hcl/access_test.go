package hcl

import (
	"net/netip"
	"slices"
	"testing"
)

// TestSharedPorts loads the blocks of a share with who may connect to them.
func TestSharedPorts(t *testing.T) {
	file := decodeRight(t, `
host "a.localhost" { upstream = 1 }
tcp "postgres" {
  upstream = 5432
  allow    = ["203.0.113.0/24", "::ffff:198.51.100.1"]
}
tcp "open" {
  upstream = 5433
  public   = true
}
tcp "kept" {
  upstream = 5434
  public   = null
}
udp "game" {
  upstream = 7777
  public   = true
}
share {
  udp = [udp.game]
  tcp = [tcp.open, tcp.postgres]
}
`)
	var got []string
	for _, p := range file.Share.Ports {
		got = append(got, p.String())
	}
	if want := []string{"tcp.open", "tcp.postgres", "udp.game"}; !slices.Equal(got, want) {
		t.Errorf("the shared ports are %q", got)
	}
	limited := file.Share.Ports[1].Access
	want := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.1/32")}
	if limited.Public || !slices.Equal(limited.Allow, want) || !file.Share.Ports[0].Access.Public {
		t.Errorf("postgres may be reached from %v", limited)
	}
	if kept := file.Ports[2].Access; kept.Public || kept.Allow != nil {
		t.Errorf("a block that says nothing has %+v", kept)
	}
}
