package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/spf13/pflag"

	"github.com/devproxy/devproxy/tunnel/neterror"
	"github.com/devproxy/devproxy/tunnel/relay"
	"github.com/devproxy/devproxy/tunnel/relay/acme"
	"github.com/devproxy/devproxy/tunnel/relay/handover"
	"github.com/devproxy/devproxy/tunnel/relay/zone"
)

// zoneOptions are the flags of a relay that answers the DNS queries of its own domain
// and gets its certificates by that.
type zoneOptions struct {
	dns, addresses      []string
	static, staging     bool
	authority, email    string
	dnsAt               []netip.AddrPort
	publicAddresses     []netip.Addr
	rehearsal, identity string // of the authority
}

// dnsPort is the port of DNS queries, which a parent's records cannot change.
const dnsPort = 53

// addFlags adds the flags to relay's.
func (o *zoneOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.addresses, "address", nil, "public `IP` address of this server, if it is behind NAT; can be repeated")
	flags.StringArrayVar(&o.dns, "dns", nil, "`ADDRESS` for DNS queries, on port 53 unless it has another; can be repeated (default: the address that this machine reaches the internet from)")
	flags.BoolVar(&o.static, "static", false, "the addresses of the domain are records of another DNS server, and only _acme-challenge.DOMAIN leads to this one")
	flags.StringVar(&o.email, "acme-email", "", "address that the certificate authority writes to about problems")
	flags.StringVar(&o.authority, "acme-ca", "", "`URL` of the certificate authority's ACME directory (default: Let's Encrypt)")
	flags.BoolVar(&o.staging, "acme-staging", false, "use Let's Encrypt's authority for tests: browsers don't trust its certificates, and its limits are high")
}

// given returns a flag that was given; empty for none.
func (o *zoneOptions) given() string {
	switch {
	case len(o.dns) > 0:
		return "--dns"
	case len(o.addresses) > 0:
		return "--address"
	case o.static:
		return "--static"
	case o.authority != "":
		return "--acme-ca"
	case o.email != "":
		return "--acme-email"
	case o.staging:
		return "--acme-staging"
	}
	return ""
}

// check fills in the defaults and refuses mistakes.
func (o *zoneOptions) check() error {
	if err := o.checkAuthority(); err != nil {
		return err
	}
	outgoing := outgoingAddresses()
	for _, text := range o.addresses {
		address, err := netip.ParseAddr(text)
		if err != nil || address.IsUnspecified() || address.Zone() != "" {
			return usagef("--address 203.0.113.7", "--address %q is not an IP address of a server", text)
		}
		o.publicAddresses = append(o.publicAddresses, address.Unmap())
	}
	for _, address := range outgoing {
		if len(o.addresses) == 0 && isPublic(address) {
			o.publicAddresses = append(o.publicAddresses, address)
		}
	}
	if len(o.publicAddresses) == 0 {
		return usagef("give the one that leads here: --address 203.0.113.7; or give a certificate: --cert FILE --key FILE",
			"this machine has no public address of its own, so the relay does not know which one to put into the DNS")
	}
	for _, text := range o.dns {
		at, err := netip.ParseAddrPort(text)
		if err != nil {
			var address netip.Addr
			address, err = netip.ParseAddr(strings.Trim(text, "[]"))
			at = netip.AddrPortFrom(address, dnsPort)
		}
		if err != nil {
			return usagef("--dns 203.0.113.7, or --dns 203.0.113.7:5353", "--dns %q is not an IP address", text)
		}
		o.dnsAt = append(o.dnsAt, at)
	}
	for _, address := range outgoing {
		if len(o.dns) == 0 {
			o.dnsAt = append(o.dnsAt, netip.AddrPortFrom(address, dnsPort))
		}
	}
	if len(o.dnsAt) == 0 {
		return usagef("--dns ADDRESS, with one of: ip address", "this machine does not reach the internet, so the relay does not know where to answer DNS queries")
	}
	return nil
}

func (o *zoneOptions) checkAuthority() error {
	if o.staging && o.authority != "" {
		return usagef("leave out one of the two", "--acme-staging is an authority, and so is --acme-ca")
	}
	if o.email != "" {
		if address, err := mail.ParseAddress(o.email); err != nil || address.Address != o.email {
			return usagef("--acme-email you@example.com", "--acme-email %q is not an email address", o.email)
		}
	}
	switch {
	case o.staging:
		o.authority = acme.LetsEncryptStaging
	case o.authority == "":
		o.authority, o.rehearsal = acme.LetsEncrypt, acme.LetsEncryptStaging
	}
	at, err := url.Parse(o.authority)
	if err != nil || at.Scheme != "https" || at.Host == "" {
		return usagef("--acme-ca https://acme.example.com/directory", "--acme-ca %q is not an HTTPS URL", o.authority)
	}
	if host := at.Hostname(); strings.HasSuffix(host, ".letsencrypt.org") {
		o.identity = "letsencrypt.org"
	}
	return nil
}

// outgoingAddresses returns the addresses that this machine reaches the internet from,
// IPv4 first. It sends nothing.
func outgoingAddresses() (addresses []netip.Addr) {
	for _, target := range []string{"192.0.2.1:53", "[2001:db8::1]:53"} { // for documentation only (RFC 5737, RFC 3849)
		c, err := net.Dial("udp", target)
		if err != nil {
			continue // no such protocol here
		}
		if at, ok := c.LocalAddr().(*net.UDPAddr); ok && !at.IP.IsLoopback() {
			addresses = append(addresses, at.AddrPort().Addr().Unmap().WithZone(""))
		}
		c.Close()
	}
	return addresses
}

// isPublic reports whether others can reach an address from the internet.
func isPublic(address netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	return address.IsGlobalUnicast() && !address.IsPrivate() && !shared.Contains(address)
}

// relayZone is the DNS server and the certificates of a relay's own domain.
type relayZone struct {
	run     *relayRun
	server  *zone.Server
	sockets zone.Sockets
	manager *acme.Manager
	serving atomic.Bool // the relay accepts visitors

	mu   sync.Mutex
	stop func() // ends what start started; nil while nothing runs
}

// openZone makes the zone and reads its certificates. The state belongs to this process
// now.
func (run *relayRun) openZone(o *relay.Options) error {
	cfg := run.cfg.zone
	records, err := zone.New(zone.Options{Domain: run.cfg.domain, Addresses: cfg.publicAddresses, Issuer: cfg.identity})
	if err != nil {
		return err
	}
	z := &relayZone{run: run, server: zone.NewServer(records, run.log)}
	z.sockets.Packets = slices.Collect(maps.Values(run.sockets.Packets))
	for name, ln := range run.sockets.Listeners {
		if strings.HasPrefix(name, handover.StreamPrefix) {
			z.sockets.Listeners = append(z.sockets.Listeners, ln)
		}
	}
	noZones := ""
	if cfg.static {
		noZones = `its domain stays with another DNS server (--static); remove cookies = "shared"`
	}
	z.manager, err = acme.New(acme.Options{
		Domain: run.cfg.domain, Authority: cfg.authority, Rehearsal: cfg.rehearsal, Email: cfg.email,
		Folder: certificatesFolder(run.cfg.state), Texts: records, Log: run.log, NoZones: noZones,
		Prove: proveAgain(o.Domains, run.cfg.domain), PlainHTTP: run.cfg.http != "", Addresses: cfg.publicAddresses, Issuer: cfg.identity,
	})
	if err != nil {
		return failf("make sure that the folder of --state is yours, and has space", "%w", err)
	}
	slog.SetDefault(run.log) // for what certmagic says about lock files on standard error
	run.zone = z
	o.Certificate, o.Certificates = z.manager.GetCertificate, z.manager.InUse
	o.Covers, o.CoverZone = z.manager.Covers, z.manager.CoverZone
	if o.Domains != nil {
		o.CoverDomain, o.Challenges = z.manager.CoverDomain, z.manager.Challenges()
	}
	o.Ready = z.serving.Load
	o.Collectors = append(o.Collectors, z.server, z.manager)
	return nil
}

// certificatesFolder returns the folder for certificates next to the file for names
// and keys.
func certificatesFolder(state string) string {
	return strings.TrimSuffix(state, ".db") + "-certificates"
}

// listenDNS opens the sockets for DNS queries.
func (run *relayRun) listenDNS(ctx context.Context) error {
	run.sockets.Packets = map[string]net.PacketConn{}
	for i, at := range run.cfg.zone.dnsAt {
		streams, packets, err := openDNS(ctx, at)
		if err != nil {
			return dnsBindError(at, err)
		}
		run.sockets.Listeners[handover.StreamPrefix+strconv.Itoa(i)] = streams
		run.sockets.Packets[handover.PacketPrefix+strconv.Itoa(i)] = packets
	}
	return nil
}

// openDNS opens a TCP and a UDP socket for DNS queries. Port 0 is any port, the same for
// both.
func openDNS(ctx context.Context, at netip.AddrPort) (streams net.Listener, packets net.PacketConn, err error) {
	streams, err = new(net.ListenConfig).Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, nil, err
	}
	packets, err = new(net.ListenConfig).ListenPacket(ctx, "udp", streams.Addr().String())
	if err != nil {
		streams.Close()
		return nil, nil, err
	}
	return streams, packets, nil
}

// dnsBindError adds the exit code and the fix.
func dnsBindError(at netip.AddrPort, err error) error {
	if system, ok := errors.AsType[*os.SyscallError](err); ok {
		err = system.Err
	}
	fix := "use an address of this machine: --dns ADDRESS, with one of: ip address"
	switch {
	case neterror.Taken(err):
		fix = fmt.Sprintf("to see what uses it: sudo ss -lnp 'sport = :%d'; or use another address: --dns ADDRESS", at.Port())
	case neterror.Forbidden(err):
		fix = "allow it: sudo setcap cap_net_bind_service=+ep $(command -v devproxy)"
	}
	return &exitError{code: exitPort, err: failf(fix, "cannot answer DNS queries on %s: %w", at, err)}
}

// start answers queries, and orders and renews certificates, until end.
func (z *relayZone) start() {
	z.mu.Lock()
	defer z.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := z.server.Serve(ctx, z.sockets); err != nil {
			z.run.failed <- err
		}
	})
	group.Go(func() { z.manager.Run(ctx) })
	z.stop = func() {
		cancel()
		group.Wait()
	}
}

// end ends what start started. The certificates stay in memory, and the sockets open.
func (z *relayZone) end() {
	if z == nil {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.stop != nil {
		z.stop()
		z.stop = nil
	}
}

// awaitCertificates returns when the relay's own certificates are there. stopped
// reports whether a signal ended the wait; then err is why there are none, if an order
// has failed.
func (run *relayRun) awaitCertificates(ctx context.Context, signals <-chan os.Signal) (stopped bool, err error) {
	if run.zone == nil {
		return false, nil
	}
	manager := run.zone.manager
	domain := run.cfg.domain
	if !manager.Covers(domain) || !manager.Covers("x."+domain) {
		run.log.Info("waiting for certificates", "names", []string{domain, "*." + domain}, "authority", run.cfg.zone.authority)
		if !run.cfg.json {
			fmt.Fprintf(run.Err, "waiting for the certificates of %s and *.%s from %s\n", domain, domain, run.cfg.zone.authority)
		}
	}
	for {
		select {
		case err := <-manager.First():
			return false, run.certificateError("no certificate for "+domain, err)
		case err := <-run.failed:
			return false, err
		case <-ctx.Done():
			return true, run.certificateError("stopped without a certificate for "+domain, manager.LastError())
		case sig := <-signals:
			if sig != hangup || isHangup(run.streams) { // there is nothing to hand over yet
				return true, run.certificateError("stopped without a certificate for "+domain, manager.LastError())
			}
		}
	}
}

// certificateError adds the fix to the reason why no certificate was issued.
func (run *relayRun) certificateError(what string, err error) error {
	if err == nil {
		return nil
	}
	fix := "devproxy relay init " + run.cfg.domain + " --check"
	if failure, ok := errors.AsType[*acme.Failure](err); ok {
		fix = cmp.Or(failure.Fix(), fix)
	}
	return failf(fix, "%s: %w", what, err)
}

// singleState is what only one process may have.
type singleState struct{ run *relayRun }

// Suspend implements handover.State. DNS queries wait in the sockets until the
// successor reads them: only it knows the challenges of its orders.
func (s singleState) Suspend() error {
	s.run.zone.end()
	return s.run.state.Suspend()
}

// Resume implements handover.State.
func (s singleState) Resume() error {
	err := s.run.state.Resume()
	if s.run.zone != nil {
		s.run.zone.start()
	}
	return err
}
