package devproxy

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel"
)

// sharedBlocks are blocks of a share, of which the second needs consent.
func sharedBlocks() []*plan.Port {
	return []*plan.Port{
		{Network: plan.TCP, Name: "postgres", Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
		{Network: plan.TCP, Name: "far", Public: true, Withheld: true},
		{Network: plan.UDP, Name: "game", Public: true},
	}
}

// portLink is a link of these blocks, with a grant.
func portLink(t *testing.T, grant tunnel.Grant) *link {
	t.Helper()
	store := credentials.Store{Home: t.TempDir(), Getenv: func(string) string { return "" }}
	key, err := store.OpenKey(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{key: key, relays: []credentials.Login{{Relay: "t.example.com"}}, grant: grant}
	l.plan = &plan.Share{Project: "shop", Domain: "shop.localhost", Hosts: []string{"shop.localhost"}, Ports: sharedBlocks()}
	l.table.current.Store(&Shared{})
	return l
}

// TestClaimedPorts: a claim has the blocks that need no consent, and each gets its own
// address.
func TestClaimedPorts(t *testing.T) {
	l := portLink(t, tunnel.Grant{Domain: "t.example.com", Ports: []int{20017, 20018}})
	if got, want := l.claim().Ports, []tunnel.Port{{Network: "tcp", Name: "postgres"}, {Network: "udp", Name: "game"}}; !slices.Equal(got, want) {
		t.Errorf("the claim has %v", got)
	}
	want := []control.SharedPort{
		{Network: "tcp", Name: "postgres", Address: "t.example.com:20017", Allow: []string{"203.0.113.0/24"}},
		{Network: "tcp", Name: "far", Public: true, Error: "it needs consent", Fix: "devproxy allow"},
		{Network: "udp", Name: "game", Address: "t.example.com:20018", Public: true},
	}
	if got := l.portStatus(); !reflect.DeepEqual(got, want) {
		t.Errorf("the blocks are %+v", got)
	}
	if got := l.grantedPorts(); len(got) != 2 || got[0].Name != "postgres" || got[1].Name != "game" {
		t.Errorf("visitors reach %v", got)
	}
}

// TestPortsThatAreNotGranted: each says why.
func TestPortsThatAreNotGranted(t *testing.T) {
	for _, test := range []struct {
		grant tunnel.Grant
		want  []string // of postgres and game
	}{
		{tunnel.Grant{}, []string{"the relay runs an older version, which carries only HTTP", "the relay runs an older version, which carries only HTTP"}},
		{tunnel.Grant{Ports: []int{0, 20018}}, []string{"the relay has no tcp ports", ""}},
		{tunnel.Grant{Ports: []int{0, 0}, PortsRefused: "tcp postgres: all are reserved; later; udp game: none"}, []string{"all are reserved; later", "none"}},
		{tunnel.Grant{Ports: []int{0, 0}, PortsRefused: "udp game: \x1b[2J" + strings.Repeat("x", 1000)}, []string{"the relay has no tcp ports", hcl.Legible("\x1b[2J" + strings.Repeat("x", maxReason-4))}},
	} {
		l := portLink(t, test.grant)
		got := l.portStatus()
		for i, at := range []int{0, 2} {
			if got[at].Error != test.want[i] || (got[at].Error == "") == (got[at].Address == "") {
				t.Errorf("%+v: %s has %+v", test.grant, got[at], got[at])
			}
		}
		if n := len(l.grantedPorts()); n != len(slices.DeleteFunc(slices.Clone(test.grant.Ports), func(n int) bool { return n == 0 })) {
			t.Errorf("%+v: visitors reach %d blocks", test.grant, n)
		}
	}
}

// TestProvidersCarryNoPorts: the error names the blocks.
func TestProvidersCarryNoPorts(t *testing.T) {
	err := checkPorts(&plan.Share{Ports: sharedBlocks()}, "cloudflare")
	text, fix := Explain(err)
	if text != "cloudflare carries only HTTP, and this share has tcp postgres, tcp far, udp game" || fix == "" {
		t.Errorf("%q, %q", text, fix)
	}
	if err := checkPorts(&plan.Share{}, "cloudflare"); err != nil {
		t.Errorf("without blocks: %v", err)
	}
}

// TestNamedHostsShareNoPorts: sharing one host does not publish a database with it.
func TestNamedHostsShareNoPorts(t *testing.T) {
	p := &plan.Share{Domain: "shop.localhost", Hosts: []string{"shop.localhost", "admin.shop.localhost"}, Ports: sharedBlocks()}
	only, err := onlyHosts(p, []string{"admin"})
	if err != nil || len(only.Ports) > 0 || len(p.Ports) != 3 {
		t.Errorf("%v, %v", only, err)
	}
}
