package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/devproxy/devproxy/tunnel/neterror"
)

// The default ports, and where HTTPS goes without them. HTTP has no fallback: 8080
// is a common port of dev servers.
const (
	defaultHTTPS  = 443
	defaultHTTP   = 80
	fallbackHTTPS = 8443
)

const (
	// freePortTries bounds the search for a port that is free on both loopback
	// addresses: for each try the system picks one, and a second failure in a
	// row is already rare.
	freePortTries = 20

	// fallbackTries bounds the search for a free port from 8443 upwards. A
	// machine on which that many are taken has another problem.
	fallbackTries = 100
)

// endpoint is the sockets of one protocol, all on the same port.
type endpoint struct {
	own      bool   // of this process alone
	asked    string // as in Config
	sockets  []net.Listener
	fallback *Fallback
}

// change returns the endpoint for the new configuration. It keeps those of e's
// sockets that fit, and closes none. It binds the address asked; an empty one means the
// sockets passed, and without any the default port with its fallback.
func (e endpoint) change(ctx context.Context, cfg Config, asked string, port uint16, passed []*os.File) (endpoint, error) {
	switch {
	case e.own && asked == e.asked:
		return e, nil
	case asked == "" && len(passed) > 0:
		sockets, err := duplicates(passed)
		return endpoint{own: true, sockets: sockets}, err
	case asked == "":
		sockets, fallback, err := bindDefault(ctx, cfg, port, e.sockets)
		return endpoint{own: true, sockets: sockets, fallback: fallback}, err
	}
	a, err := parseAddress(asked)
	if err != nil {
		return endpoint{}, err
	}
	sockets, err := bind(ctx, a, e.sockets, cfg.Announce)
	if failed, ok := errors.AsType[*BindError](err); ok {
		failed.explain()
	}
	return endpoint{own: true, asked: asked, sockets: sockets}, err
}

// address is a port on one or both loopback addresses.
type address struct {
	ips  []netip.Addr
	port uint16 // 0 picks a free one
}

// onLoopback is a port without a host.
func onLoopback(port uint16) address {
	return address{ips: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, port: port}
}

// at is the address of one of its sockets.
func (a address) at(i int) netip.AddrPort { return netip.AddrPortFrom(a.ips[i], a.port) }

// parseAddress reads "8443", ":8443", "localhost:8443", "127.0.0.1:8443" or
// "[::1]:8443". An address that others on the network could reach is refused.
func parseAddress(s string) (address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = "", s // a bare number
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("listen address %q is not PORT, :PORT or ADDRESS:PORT with a port from 0 to 65535", s)
	}
	if host == "" || host == "localhost" {
		return onLoopback(uint16(number)), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return address{}, fmt.Errorf("listen address %q: %q is not an IP address; write :%s for this machine", s, host, port)
	}
	if !ip.IsLoopback() {
		return address{}, fmt.Errorf("listen address %q can be reached by others, and devproxy serves this machine only; write :%s", s, port)
	}
	return address{ips: []netip.Addr{ip}, port: uint16(number)}, nil
}

// bind listens on every address of a, all on the same port, or on none. A
// machine may lack IPv6 as long as one address remains. An address that a socket in
// have is bound to is not bound again. announce may be nil; see Config.
func bind(ctx context.Context, a address, have []net.Listener, announce func(string)) ([]net.Listener, error) {
	if announce == nil {
		announce = func(string) {}
	}
	announce = onceOnly(announce)
	sockets, err := bindAll(ctx, a, have, announce)
	for tries := 1; a.port == 0 && tries < freePortTries && errors.Is(err, errTaken); tries++ {
		sockets, err = bindAll(ctx, a, have, announce)
	}
	return sockets, err
}

// bindAll is one try. With port 0 the first address decides the port. A failure
// is a *BindError, not yet explained.
func bindAll(ctx context.Context, a address, have []net.Listener, announce func(string)) ([]net.Listener, error) {
	var sockets []net.Listener
	port := a.port
	var absent error
	for _, ip := range a.ips {
		at := netip.AddrPortFrom(ip, port)
		socket, err := bindOne(ctx, at, have, announce)
		failed := &BindError{Addr: at, Err: err, Reason: reasonOf(err)}
		if neterror.Absent(err) {
			absent = failed
			continue
		}
		if err != nil {
			closeAll(without(sockets, have))
			return nil, failed
		}
		port = boundTo(socket).Port()
		sockets = append(sockets, socket)
	}
	if len(sockets) == 0 {
		return nil, absent
	}
	return sockets, nil
}

func bindOne(ctx context.Context, at netip.AddrPort, have []net.Listener, announce func(string)) (net.Listener, error) {
	if i := slices.IndexFunc(have, func(socket net.Listener) bool { return boundTo(socket) == at }); i >= 0 {
		return have[i], nil
	}
	if err := probe(ctx, at); err != nil {
		return nil, err
	}
	socket, err := listenOn(ctx, at)
	if neterror.Forbidden(err) {
		if wildcard := bindWildcard(ctx, at, announce); wildcard != nil {
			return wildcard, nil
		}
	}
	return socket, err
}

func listenOn(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, network, at.String())
}

// onceOnly passes on the first text.
func onceOnly(announce func(string)) func(string) {
	var once sync.Once
	return func(text string) { once.Do(func() { announce(text) }) }
}

func closeAll(sockets []net.Listener) {
	for _, socket := range sockets {
		socket.Close()
	}
}

// without are the sockets that are not in others.
func without(sockets, others []net.Listener) []net.Listener {
	return slices.DeleteFunc(slices.Clone(sockets), func(socket net.Listener) bool { return slices.Contains(others, socket) })
}

// boundTo is the address that a TCP listener serves: the one that it is bound to, or the
// loopback address for a wildcard address (see bindWildcard).
func boundTo(socket net.Listener) netip.AddrPort {
	at := addrPort(socket.Addr())
	switch at.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	return at
}

// addrPort is the zero AddrPort for addresses that are not TCP.
func addrPort(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Fallback says that a default port was not available, and which port is used
// instead.
type Fallback struct {
	Wanted int // 443 or 80
	Got    int // the port bound instead; 0 for none
	Reason Reason
	// Holder has the wanted port, for Taken; else nil.
	Holder *Holder
	// Next has the first port to fall back to, 8443, when Got is another one;
	// else nil.
	Next *Holder
	// Fix is the shell command that makes the wanted port available for good, or
	// shows which process has it; empty if there is none.
	Fix string
	// Obstacle is why no command can make it available, and what to do, for Permission
	// without a Fix.
	Obstacle string
}

// because adds the reason of a failure.
func (f *Fallback) because(failed *BindError) {
	f.Reason, f.Holder, f.Fix, f.Obstacle = failed.Reason, failed.Holder, failed.Fix, failed.Obstacle
}

// String is "Using port 8443: this machine does not allow 443" or "Using port
// 8444: caddy (pid 812, root) is listening on 443, and node (pid 7) on 8443"; for
// HTTP it begins "Using no port 80".
func (f Fallback) String() string {
	got := "Using port " + strconv.Itoa(f.Got)
	if f.Got == 0 {
		got = "Using no port " + strconv.Itoa(f.Wanted)
	}
	why := fmt.Sprintf("this machine does not allow %d", f.Wanted)
	switch f.Reason {
	case Permission:
		if f.Obstacle != "" {
			why += ", and " + f.Obstacle
		}
	case Taken:
		why = fmt.Sprintf("%s is listening on %d", f.Holder.Text, f.Wanted)
	case Shared:
		why = "your other projects use it"
	}
	switch {
	case f.Next != nil && f.Reason == Taken:
		why += fmt.Sprintf(", and %s on %d", f.Next.Text, fallbackHTTPS)
	case f.Next != nil:
		why += fmt.Sprintf(", and %s is listening on %d", f.Next.Text, fallbackHTTPS)
	}
	return got + ": " + why
}

// bindDefault tries wanted on both loopback addresses, then for HTTPS from 8443 upwards.
// It reuses the sockets in have.
func bindDefault(ctx context.Context, cfg Config, wanted uint16, have []net.Listener) ([]net.Listener, *Fallback, error) {
	sockets, err := bind(ctx, onLoopback(wanted), have, cfg.Announce)
	if err == nil {
		return sockets, nil, nil
	}
	first, ok := errors.AsType[*BindError](err)
	if !ok || first.Reason == 0 {
		return nil, nil, err
	}
	first.explain()
	fallback := &Fallback{Wanted: int(wanted)}
	fallback.because(first)
	if wanted != defaultHTTPS {
		return nil, fallback, nil
	}
	for port := uint16(fallbackHTTPS); port < fallbackHTTPS+fallbackTries; port++ {
		sockets, err = bind(ctx, onLoopback(port), have, cfg.Announce)
		if err == nil {
			fallback.Got = int(port)
			if port != fallbackHTTPS {
				holder := findHolder(fallbackHTTPS)
				fallback.Next = &holder
			}
			return sockets, fallback, nil
		}
	}
	return nil, nil, fmt.Errorf("no port from %d to %d is free, and %w", fallbackHTTPS, fallbackHTTPS+fallbackTries-1, first)
}

// Bind listens on loopback addresses that have the same port, on all or on none; where this
// machine lacks one of two families, on the other. The error is a *BindError with what
// helps. On a system that needs a wildcard address for a privileged port, connections of
// other machines are accepted too: the caller must close those that front.Local does not
// report.
func Bind(ctx context.Context, addrs []netip.AddrPort) ([]net.Listener, error) {
	a := address{port: addrs[0].Port()}
	for _, addr := range addrs {
		a.ips = append(a.ips, addr.Addr())
	}
	sockets, err := bind(ctx, a, nil, nil)
	if failed, is := errors.AsType[*BindError](err); is {
		failed.explain()
	}
	return sockets, err
}

// Try binds the address that a Proxyfile or a flag asks for, on every loopback address
// it has, and closes it at once. The error is a *BindError with what helps, or about the
// address.
func Try(ctx context.Context, asked string) error {
	opened, err := endpoint{}.change(ctx, Config{}, asked, 0, nil)
	closeAll(opened.sockets)
	return err
}
