package field

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func addrs(list ...string) func() ([]net.Addr, error) {
	return func() ([]net.Addr, error) {
		var result []net.Addr
		for _, text := range list {
			ip, network, err := net.ParseCIDR(text)
			if err != nil {
				return nil, err
			}
			result = append(result, &net.IPNet{IP: ip, Mask: network.Mask})
		}
		return result, nil
	}
}

func TestShown(t *testing.T) {
	m := &Machine{list: addrs("127.0.0.1/8", "192.168.1.10/24", "fe80::10/64", "fd00::10/64", "2001:db8:1::10/64", "198.51.100.10/24")}
	for addr, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:db8::1": "2001:db8::1", "::ffff:203.0.113.7": "203.0.113.7", "192.0.2.1": "192.0.2.1",
		"126.255.255.255": "126.255.255.255", "128.0.0.1": "128.0.0.1", "1.0.0.0": "1.0.0.0", "223.255.255.255": "223.255.255.255",
		"169.253.0.1": "169.253.0.1", "3fff::1": "3fff::1",
		// Other machines of the relay's own network.
		"10.0.0.5": "10.0.0.5", "192.168.1.11": "192.168.1.11", "172.16.0.1": "172.16.0.1", "100.64.0.1": "100.64.0.1", "fd00::11": "fd00::11", "fd00::11%eth0": "fd00::11",
		// What could be this machine.
		"127.0.0.1": "", "127.255.255.255": "", "::1": "", "::ffff:127.0.0.1": "", "::ffff:7f00:1%lo": "", "::127.0.0.1": "", "::": "", "0.0.0.0": "", "0.1.2.3": "",
		"169.254.0.1": "", "fe80::1": "", "fe80::1%eth0": "", "fec0::1": "", "ff02::1": "", "224.0.0.1": "", "240.0.0.1": "", "255.255.255.255": "", "64:ff9b::7f00:1": "",
		"192.168.1.10": "", "::ffff:192.168.1.10": "", "fd00::10": "", "2001:db8:1::10": "", "198.51.100.10": "",
	} {
		if want == "" {
			want = Unknown.String()
		}
		got := m.Shown(netip.MustParseAddr(addr))
		if got.String() != want {
			t.Errorf("%s is shown as %s, want %s", addr, got, want)
		}
		if m.Shown(got) != got {
			t.Errorf("%s is shown as %s the second time", addr, m.Shown(got))
		}
	}
	if got := m.Shown(netip.Addr{}); got != Unknown {
		t.Errorf("a visitor who is not told is shown as %s", got)
	}
	if Unknown != netip.MustParseAddr("192.0.2.1") {
		t.Error("the documented address changed")
	}
}

// TestUnreadableInterfaces: without a list, loopback is still not shown, and
// other addresses are.
func TestUnreadableInterfaces(t *testing.T) {
	m := &Machine{list: func() ([]net.Addr, error) { return nil, errors.New("no more descriptors") }}
	for addr, want := range map[string]string{"10.0.0.1": "10.0.0.1", "127.0.0.1": "192.0.2.1"} {
		if got := m.Shown(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s is shown as %s, want %s", addr, got, want)
		}
	}
}

func TestTheMachinesAddressesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, list := 0, addrs("10.0.0.1/8")
		m := &Machine{list: func() ([]net.Addr, error) { reads++; return list() }}
		shown := func(addr string, want string) {
			t.Helper()
			if got := m.Shown(netip.MustParseAddr(addr)); got.String() != want {
				t.Errorf("%s is shown as %s, want %s", addr, got, want)
			}
		}
		shown("10.0.0.1", "192.0.2.1")
		shown("10.0.0.2", "10.0.0.2")
		list = addrs("10.0.0.2/8")
		time.Sleep(ownFor)
		shown("10.0.0.2", "10.0.0.2")
		if reads != 1 {
			t.Errorf("read %d times", reads)
		}
		time.Sleep(time.Nanosecond)
		shown("10.0.0.2", "192.0.2.1")
		list = func() ([]net.Addr, error) { return nil, errors.New("no more descriptors") }
		time.Sleep(ownFor + 1)
		shown("10.0.0.2", "192.0.2.1")
		if reads != 3 {
			t.Errorf("read %d times", reads)
		}
	})
}

// TestTwoMachines: what one has read is not another's, and a nil one knows this
// machine as well.
func TestTwoMachines(t *testing.T) {
	one, other := &Machine{list: addrs("10.0.0.1/8")}, &Machine{list: addrs("10.0.0.2/8")}
	for addr, want := range map[string][2]bool{"10.0.0.1": {true, false}, "10.0.0.2": {false, true}} {
		ip := netip.MustParseAddr(addr)
		if got := [2]bool{one.Shown(ip) == Unknown, other.Shown(ip) == Unknown}; got != want {
			t.Errorf("%s is this machine's: %v, want %v", addr, got, want)
		}
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		ip := netip.MustParsePrefix(a.String()).Addr()
		if (*Machine)(nil).Shown(ip) != Unknown || new(Machine).Shown(ip) != Unknown {
			t.Errorf("%s is shown", ip)
		}
	}
}
