package agent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// defaultPort is the port of relays.
const defaultPort = "443"

// target is a relay's host and port, as the user wrote them.
type target struct {
	host string // lower case, no final dot
	port string
}

// parseTarget reads Options.Relay.
func parseTarget(text string) (target, error) {
	refuse := func(reason string) (target, error) {
		return target{host: text}, &Error{Reason: ReasonRelay, Op: "use", Addr: strconv.Quote(text) + " as a relay", Err: errors.New(reason), Fix: "write a domain, with its port if that is not 443: t.example.com:8443"}
	}
	if strings.Contains(text, "/") {
		return refuse("this is a URL")
	}
	host, port := text, defaultPort
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || len(port) > 5 {
		return refuse("this is not a port")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, err := netip.ParseAddr(host)
	if isName := isName(host) && !strings.Contains(host, "*"); err != nil && !isName {
		return refuse("this is not a domain")
	}
	return target{host, port}, nil
}

// String returns the relay's name as people write it.
func (t target) String() string {
	if t.port == "" || t.port == defaultPort {
		return t.host
	}
	return t.address()
}

// Network makes a target a net.Addr.
func (t target) Network() string { return "devproxy" }

// address returns the address to dial.
func (t target) address() string { return net.JoinHostPort(t.host, t.port) }

// origin returns the https origin, for HTTP.
func (t target) origin() string {
	if t.port == defaultPort && strings.Contains(t.host, ":") {
		return fmt.Sprintf("https://[%s]", t.host)
	}
	return "https://" + t.String()
}

// isLocal reports whether a host's name means this machine (RFC 6761 section 6.3).
func isLocal(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
