package check

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * 24 * time.Hour

// hosts checks names, addresses and certificates, and returns the hosts that visitors
// reach.
func (r *run) hosts(ctx context.Context) (reachable []host) {
	for _, h := range r.sharedHosts() {
		ctx, cancel := context.WithTimeout(ctx, 2*stepTimeout)
		r.about = h.url.Hostname()
		if r.resolves(ctx, h) && r.certified(ctx, h) {
			reachable = append(reachable, h)
		}
		cancel()
	}
	return reachable
}

// resolves checks that the name has addresses, and that each accepts connections.
func (r *run) resolves(ctx context.Context, h host) bool {
	name, port := h.url.Hostname(), cmp.Or(h.url.Port(), "443")
	if proxy := r.visitor.throughProxy(h.url); proxy != "" {
		r.unknown("address", "", "the proxy %s resolves the name and connects for this machine", proxy)
		return true
	}
	if isLocal(name) {
		r.fine("address", "this machine, as every name below localhost; the link works here only")
		return true
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if failed, ok := errors.AsType[*net.DNSError](err); ok && failed.IsNotFound || err == nil && len(addrs) == 0 {
		r.fault("address", "add DNS records A and AAAA for it, or for the wildcard above it, with the relay's addresses", "DNS: the name has no address")
		return false
	}
	if err != nil {
		r.fault("address", "devproxy share --check, when this machine's network works", "DNS: this machine's resolver does not answer: %s", reason(err))
		return false
	}
	return r.accepts(ctx, port, addrs)
}

// accepts connects to each address of a name. One that does not accept costs the visitors
// that try it first.
func (r *run) accepts(ctx context.Context, port string, addrs []netip.Addr) bool {
	var good []string
	four, six := false, false
	for _, addr := range addrs[:min(len(addrs), maxAddrs)] {
		addr = addr.Unmap()
		ctx, cancel := context.WithTimeout(ctx, stepTimeout/2)
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), port))
		cancel()
		if err == nil {
			conn.Close()
			good, four, six = append(good, addr.String()), four || addr.Is4(), six || addr.Is6()
			continue
		}
		if neterror.Unreachable(err) || neterror.Absent(err) {
			r.unknown("address", "", "%s: this machine has no route there; visitors may", addr)
			continue
		}
		record := "A"
		if addr.Is6() {
			record = "AAAA"
		}
		r.warning("address", "start the relay on that address too, or remove the DNS record "+record+" "+addr.String(), "relay: %s port %s: %s", addr, port, reason(err))
	}
	switch {
	case len(good) == 0:
		r.fault("address", "start the relay, and open port "+port+" in its firewall", "relay: none of the name's addresses accepts connections on port %s", port)
		return false
	case four && six:
		r.fine("address", "%s, IPv4 and IPv6", strings.Join(good, ", "))
	case six:
		r.warning("address", "add a DNS record A with the relay's IPv4 address", "%s: visitors without IPv6 can't open the link", strings.Join(good, ", "))
	default:
		r.fine("address", "%s, IPv4 only", strings.Join(good, ", "))
	}
	return true
}

// certified makes a handshake and looks at the certificate.
func (r *run) certified(ctx context.Context, h host) bool {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	res, err := r.visitor.do(ctx, http.MethodGet, h.at("request"), nil, true)
	if text, fix, ok := certificateFault(err, time.Now()); err != nil && ok {
		r.fault("certificate", fix, "relay: %s", text)
		return false
	}
	if err != nil {
		r.fault("connection", "start the relay, and open port "+cmp.Or(h.url.Port(), "443")+" in its firewall", "relay: %s", reason(err))
		return false
	}
	res.Body.Close()
	if res.TLS == nil || len(res.TLS.PeerCertificates) == 0 {
		return true // plain HTTP: a provider of another kind
	}
	leaf := res.TLS.PeerCertificates[0]
	detail := fmt.Sprintf("%s, a certificate until %s, in %s", tls.VersionName(res.TLS.Version), day(leaf.NotAfter), rounded(time.Since(started)))
	if left := time.Until(leaf.NotAfter); left < soon {
		r.warning("certificate", "look at the relay's log, which says why the certificate is not renewed", "%s", detail)
		return true
	}
	r.fine("certificate", "%s", detail)
	return true
}
