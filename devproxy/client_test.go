package devproxy

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/share"
)

// TestClient: who counts as one client is a local connection, or the network
// that a visitor comes from.
func TestClient(t *testing.T) {
	local := func(id uint64) any {
		r, err := http.NewRequestWithContext(listen.ConnContext(t.Context(), listen.Scan(nil, listen.Conn{ID: id})), "GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		return client(&exchange{}, r)
	}
	visitor := func(addr string) any {
		from, _ := netip.ParseAddrPort(addr) // the zero value is an address that is not told
		return client(&exchange{visit: &visit{visitor: share.Visitor{Addr: from}}}, &http.Request{})
	}
	if local(1) == nil || local(1) != local(1) || local(1) == local(2) {
		t.Error("a connection is not one client")
	}
	if got := local(0); got != nil {
		t.Errorf("a request without a connection counts as %v", got)
	}
	for _, pair := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::2]:1", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"", "", true},
		{"", "192.0.2.1:1", false},
	} {
		if got := visitor(pair.a) == visitor(pair.b); got != pair.same {
			t.Errorf("%q and %q are one client: %t", pair.a, pair.b, got)
		}
	}
}
