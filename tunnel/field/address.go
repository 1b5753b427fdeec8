package field

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Unknown is the address that an app gets for a visitor of a share that must not look
// local, or whose address is unknown: 192.0.2.1, from the block for documentation
// (RFC 5737), which belongs to no machine.
//
// It is an address, because apps do not treat its absence as unknown. Rails' remote_ip,
// Rack's Request#ip and Express' req.ip fall back to the peer of the connection when
// X-Forwarded-For is absent, and Rails also when it is "unknown" (RFC 7239 section 6.2) or
// any other text that is not an address. The peer is devproxy, so the result would be
// 127.0.0.1, for which Rails' web-console opens. None of the lists of proxies to skip has
// Unknown: Rails' TRUSTED_PROXIES, Rack's trusted proxies, web-console's permissions,
// Express' loopback, linklocal and uniquelocal, Symfony's and Laravel's PRIVATE_SUBNETS,
// Tomcat's internalProxies.
//
// It cannot help an app that uses only the connection, such as Django's INTERNAL_IPS or
// Werkzeug's debugger without ProxyFix: that peer is 127.0.0.1 for every request. So a share
// also hides the consoles themselves.
var Unknown = netip.MustParseAddr("192.0.2.1")

// Machine has the addresses of this machine. The zero value is ready to use and safe for
// concurrent use. Nil works too, but reads the addresses each time.
type Machine struct {
	last atomic.Pointer[ownAddrs]
	list func() ([]net.Addr, error) // net.InterfaceAddrs when nil; set by tests
}

// Shown is the address that an app gets for a visitor at addr: addr itself, without a zone
// and as IPv4 where it is mapped; Unknown for the zero Addr, for loopback, link-local,
// unspecified, multicast and reserved addresses, and for an address of this machine. A
// private address of another machine stays, since a relay in the same network sees those.
// Shown(Shown(a)) is Shown(a).
func (m *Machine) Shown(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || reserved(addr) || m.own(addr) {
		return Unknown
	}
	return addr
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")   // RFC 791 section 3.2
	future      = netip.MustParsePrefix("240.0.0.0/4") // RFC 1112 section 4, broadcast included
	global6     = netip.MustParsePrefix("2000::/3")    // RFC 4291 section 2.4
)

// reserved reports whether addr cannot be another machine's. Of IPv6, only global unicast
// and unique local addresses can be; "::127.0.0.1", which Ruby's IPAddr reads as 127.0.0.1,
// cannot.
func reserved(addr netip.Addr) bool {
	if addr.Is6() {
		return !global6.Contains(addr) && !addr.IsPrivate()
	}
	return addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || thisNetwork.Contains(addr) || future.Contains(addr)
}

// ownFor is how long a list of this machine's addresses is used.
const ownFor = 10 * time.Second

// ownAddrs are this machine's addresses, as of a time.
type ownAddrs struct {
	at    time.Time
	addrs map[netip.Addr]bool
}

// own reports whether addr is this machine's. If the list cannot be read, the last one is
// used.
func (m *Machine) own(addr netip.Addr) bool {
	if m == nil {
		return new(Machine).own(addr)
	}
	last, now := m.last.Load(), time.Now()
	if last == nil || now.Sub(last.at) > ownFor {
		last = m.read(last, now)
		m.last.Store(last)
	}
	return last.addrs[addr]
}

// read returns the current list; last if it cannot be read.
func (m *Machine) read(last *ownAddrs, now time.Time) *ownAddrs {
	list := m.list
	if list == nil {
		list = net.InterfaceAddrs
	}
	next := &ownAddrs{at: now, addrs: map[netip.Addr]bool{}}
	all, err := list()
	if err != nil && last != nil {
		next.addrs = last.addrs
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			next.addrs[prefix.Addr()] = true
		}
	}
	return next
}
