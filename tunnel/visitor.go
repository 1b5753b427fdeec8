package tunnel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// Visitor is the client that opened a share's link, as the head of a stream
// describes it. Only the relay knows that, so the agent takes it from nothing else.
type Visitor struct {
	// Addr is the visitor's address and port; zero when it is not known.
	Addr netip.AddrPort
	// Scheme is "https" or "http" for a request. It is TCP for a connection to a shared
	// port, whose bytes are the stream's, and UDP for the datagrams of one client.
	Scheme string
	// Host is the public authority of a request, in lower case, without a
	// default port: "shop-….t.example.com", "….share.localhost:8444". For TCP and UDP it
	// is the port's name, as claimed: "postgres".
	Host string
}

// The wire form of a Visitor, integers in network byte order:
//
//	offset  size  field
//	0       1     version, 1
//	1       1     scheme: 1 https, 2 http, 3 tcp, 4 udp
//	2       1     n, the bytes of the address: 4, 16, or 0 for not known
//	3       n     the address; of 16 bytes never one that is IPv4-mapped
//	3+n     2     its port; absent when n is 0
//	…       2     h, the bytes of the host, 1 to 259
//	…       h     the host: a name of a-z 0-9 "-" "_" ".", labels of 1 to 63
//	              bytes without "-" at an end, 253 in all; then, unless it is the
//	              scheme's default, ":" and the port in decimal. Of tcp and udp, the
//	              name of a Port instead
//
// Nothing follows. So every Visitor has one form, and a reader refuses all others.
const (
	visitorVersion = 1
	maxAuthority   = maxName + len(":65535")
)

// scheme is one of the schemes of a Visitor. isHost checks its hosts.
type scheme struct {
	name   string
	isHost func(string) bool
}

// schemes are the schemes by their byte on the wire.
var schemes = [...]scheme{
	1: {"https", func(s string) bool { return isAuthority(s, "443") }},
	2: {"http", func(s string) bool { return isAuthority(s, "80") }},
	3: {TCP, isPortName},
	4: {UDP, isPortName},
}

// AppendTo appends v in its wire form. A v that has none, such as one without
// a host, is written so that ParseVisitor refuses it.
func (v Visitor) AppendTo(b []byte) []byte {
	number := slices.IndexFunc(schemes[:], func(s scheme) bool { return s.name == v.Scheme })
	b = append(b, visitorVersion, byte(max(number, 0)))
	addr := v.Addr.Addr().Unmap().AsSlice() // nil when it is not known
	b = append(append(b, byte(len(addr))), addr...)
	if addr != nil {
		b = binary.BigEndian.AppendUint16(b, v.Addr.Port())
	}
	host := v.Host
	if len(host) > maxAuthority {
		host = ""
	}
	return appendString16(b, host)
}

// ParseVisitor reads the head of a stream. It accepts what AppendTo writes and
// nothing else.
func ParseVisitor(head []byte) (Visitor, error) {
	in := cryptobyte.String(head)
	var version, number uint8
	var ip, host cryptobyte.String
	var port uint16
	if in.ReadUint8(&version) && version != visitorVersion {
		return Visitor{}, headErrorf("its version is %d, and only %d is known here", version, visitorVersion)
	}
	complete := in.ReadUint8(&number) && in.ReadUint8LengthPrefixed(&ip) &&
		(len(ip) == 0 || in.ReadUint16(&port)) && in.ReadUint16LengthPrefixed(&host)
	addr, isAddr := netip.AddrFromSlice(ip)
	switch {
	case !complete:
		return Visitor{}, headErrorf("it ends after %d bytes, inside a field", len(head))
	case len(in) > 0:
		return Visitor{}, headErrorf("%d bytes follow the host", len(in))
	case number == 0 || int(number) >= len(schemes):
		return Visitor{}, headErrorf("its scheme is not https, http, tcp or udp")
	case len(ip) > 0 && (!isAddr || addr.Is4In6()):
		return Visitor{}, headErrorf("its address is neither an IPv4 nor an IPv6 address")
	case !schemes[number].isHost(string(host)):
		return Visitor{}, headErrorf("%.80q is not a public host or the name of a port", host)
	}
	v := Visitor{Scheme: schemes[number].name, Host: string(host)}
	if isAddr {
		v.Addr = netip.AddrPortFrom(addr, port)
	}
	return v, nil
}

// headErrorf adds what to do: only programs write heads, so a head that cannot be
// read means that the two ends have different versions.
func headErrorf(format string, args ...any) error {
	return fmt.Errorf("cannot read the head of a visitor's stream: %s; run the same version of devproxy at both ends", fmt.Sprintf(format, args...))
}

// isAuthority reports whether s is a host in the one form that Visitor documents.
func isAuthority(s, defaultPort string) bool {
	name, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port || port == defaultPort {
			return false
		}
	}
	if len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}
