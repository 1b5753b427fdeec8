package hcl

import (
	"net/netip"
	"testing"
)

// TestPorts loads blocks of both kinds, in the order of their references.
func TestPorts(t *testing.T) {
	file := decodeRight(t, `
host "a.localhost" {
  upstream = 1
  response_headers = { X = "${tcp.postgres.address} ${udp.dns.port}" }
}
tcp "postgres" {
  listen   = "localhost:15432"
  upstream = 5432
}
udp "dns" { upstream = service.dns }
tcp "six" {
  listen   = "[::1]:15433"
  upstream = "db.example.com:5432"
}
service "dns" { upstream = tcp.postgres.port + 1 }
`)
	if got := *file.Hosts[0].ResponseHeaders["X"]; got != "127.0.0.1:15432 20000" {
		t.Errorf("the addresses in expressions are %q", got)
	}
	type port struct {
		name, listen, upstream string
		address                netip.Addr
		chosen                 bool
	}
	want := []port{
		{"tcp.postgres", "127.0.0.1:15432", "5432", netip.Addr{}, false},
		{"tcp.six", "[::1]:15433", `"db.example.com:5432"`, netip.IPv6Loopback(), false},
		{"udp.dns", "127.0.0.1:20000", "service.dns", netip.Addr{}, true},
	}
	for i, p := range file.Ports {
		got := port{p.String(), p.Listen(), p.Upstream.Text, p.Address, p.Chosen}
		if i >= len(want) || got != want[i] {
			t.Errorf("port %d is %+v", i, got)
		}
	}
	if len(file.Ports) != len(want) {
		t.Errorf("%d ports", len(file.Ports))
	}
}
