package relay

import (
	"net/netip"
	"strings"

	"github.com/devproxy/devproxy/tunnel"
)

// authority is what a request was sent to.
type authority struct {
	name string // lower case, without final dot or port
	full string // with the port, unless it is the scheme's default
}

// readAuthority reads the Host of a request (RFC 9110 section 7.2); false when
// it cannot be a name of ours.
func readAuthority(host, scheme string) (authority, bool) {
	name, port, hasPort := strings.Cut(lowerASCII(host), ":")
	name = strings.TrimSuffix(name, ".")
	full := name
	if hasPort && port != "" && port != defaultPort(scheme) {
		full += ":" + port
	}
	a := authority{name, full}
	_, err := tunnel.ParseVisitor(a.head(scheme, netip.AddrPort{}))
	return a, err == nil
}

// head is the head of a stream for a request to a.
func (a authority) head(scheme string, from netip.AddrPort) []byte {
	return tunnel.Visitor{Addr: from, Scheme: scheme, Host: a.full}.AppendTo(nil)
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// below is whether name lies below domain.
func below(name, domain string) bool { return strings.HasSuffix(name, "."+domain) }

// lowerASCII leaves other letters alone: strings.ToLower would turn the Kelvin
// sign into a k, and so one name into another.
func lowerASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}
