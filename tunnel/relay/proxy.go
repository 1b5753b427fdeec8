package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

const (
	// proxyHeaderTimeout bounds the arrival of a PROXY protocol header: a balancer
	// sends it as soon as it has connected.
	proxyHeaderTimeout = 5 * time.Second
	// maxProxies bounds the entries of X-Forwarded-For that are looked at.
	maxProxies = 32
)

// proxies are the addresses of servers in front of the relay.
type proxies []netip.Prefix

// newProxies are prefixes as the addresses that they are compared with are
// written.
func newProxies(prefixes []netip.Prefix) proxies {
	var all proxies
	for _, prefix := range prefixes {
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		all = append(all, prefix.Masked())
	}
	return all
}

// has reports whether addr is one of them. addr is unmapped and without a zone.
func (p proxies) has(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// readProxyHeader takes the PROXY protocol header from the front of a connection
// of a listed balancer, in version 1 or 2, and makes the connection the one of the
// address in it. On a connection from anywhere else a header is not looked for.
// Required is false where balancers may also connect without one. The error is
// io.EOF when the balancer has said nothing.
func (r *Relay) readProxyHeader(c *conn, required bool) error {
	if !r.balancers.has(c.addr.Addr()) {
		return nil
	}
	defer context.AfterFunc(r.life, func() { c.Conn.Close() })()
	if err := c.SetReadDeadline(time.Now().Add(proxyHeaderTimeout)); err != nil {
		return err
	}
	c.ahead = bufio.NewReader(c.Conn)
	header, err := proxyproto.Read(c.ahead)
	switch {
	case errors.Is(err, proxyproto.ErrNoProxyProtocol) && c.ahead.Buffered() == 0:
		return io.EOF
	case errors.Is(err, proxyproto.ErrNoProxyProtocol) && !required:
		err = nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the PROXY protocol header that %s must send, since --proxy-protocol lists it: %w", c.addr.Addr(), err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if header == nil || header.Version == 2 && header.Command.IsLocal() {
		return nil // the balancer's own, such as a health check
	}
	if !r.door.readdress(c, sourceOf(header)) {
		return errTooManyOfAddress
	}
	return nil
}

// errTooManyOfAddress is a connection beyond the limit of the address that a
// header names.
var errTooManyOfAddress = errors.New("too many connections")

// sourceOf is the address that a header names; zero when it names none. Then
// nobody knows who it is: it is not the balancer.
func sourceOf(header *proxyproto.Header) netip.AddrPort {
	source, _, ok := header.TCPAddrs()
	if !ok {
		return netip.AddrPort{}
	}
	return addrOf(source)
}

// visitorOf is who sent a request: the connection's other end, or in a request of
// a trusted proxy the address that it tells in X-Forwarded-For.
func (r *Relay) visitorOf(c *conn, fields http.Header) (netip.AddrPort, *origin) {
	if !r.trusted.has(c.addr.Addr()) {
		return c.addr, c.from
	}
	addr := forwardedFor(fields["X-Forwarded-For"], r.trusted)
	return netip.AddrPortFrom(addr, 0), r.door.origin(addr)
}

// forwardedFor is the last address in X-Forwarded-For that is not a trusted
// proxy's. What is in front of it, anybody can have written. It is zero when no
// such address is told.
func forwardedFor(lines []string, trusted proxies) netip.Addr {
	list := strings.Join(lines, ",")
	for range maxProxies {
		rest, entry := "", list
		at := strings.LastIndexByte(list, ',')
		if at >= 0 {
			rest, entry = list[:at], list[at+1:]
		}
		addr, ok := parseNode(strings.Trim(entry, " \t"))
		if !ok || !trusted.has(addr) {
			return addr
		}
		if at < 0 {
			return addr // the first of the proxies asked by itself
		}
		list = rest
	}
	return netip.Addr{}
}

// parseNode reads an address with a port or without: proxies write both.
func parseNode(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		var at netip.AddrPort
		at, err = netip.ParseAddrPort(text)
		addr = at.Addr()
	}
	return addr.Unmap().WithZone(""), err == nil
}

// RemoteAddr implements net.Conn: the address that a balancer tells counts.
func (c *conn) RemoteAddr() net.Addr {
	if c.told {
		return net.TCPAddrFromAddrPort(c.addr)
	}
	return c.Conn.RemoteAddr()
}

// Read implements net.Conn. It begins with what was read behind a header.
func (c *conn) Read(p []byte) (int, error) {
	if c.ahead != nil {
		if c.ahead.Buffered() > 0 {
			return c.ahead.Read(p)
		}
		c.ahead = nil
	}
	return c.Conn.Read(p)
}
