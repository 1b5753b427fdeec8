package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
)

const (
	// freePortTries bounds the search for a port that is free on both loopback
	// addresses: each try has the system pick one, and a second failure in a
	// row is already rare.
	freePortTries = 20

	// fallbackTries bounds the search for a free port from 8443 upwards. A
	// machine on which that many are taken has another problem.
	fallbackTries = 100
)

// bind listens on every address of a, all on the same port, or on none. A
// machine without IPv6 is no error as long as one address remains. An address
// that a socket in have is bound to is not bound again.
func bind(ctx context.Context, a address, have []net.Listener) ([]net.Listener, error) {
	sockets, err := bindAll(ctx, a, have)
	for tries := 1; a.port == 0 && tries < freePortTries && errors.Is(err, errTaken); tries++ {
		sockets, err = bindAll(ctx, a, have)
	}
	return sockets, err
}

// bindAll is one try. With port 0 the first address decides the port. A failure
// is a *BindError, not yet explained.
func bindAll(ctx context.Context, a address, have []net.Listener) ([]net.Listener, error) {
	var sockets []net.Listener
	port := a.port
	var absent error
	for _, ip := range a.ips {
		at := netip.AddrPortFrom(ip, port)
		socket, err := bindOne(ctx, at, have)
		if isAbsent(err) {
			absent = &BindError{Addr: at, Err: err, Reason: reasonOf(err)}
			continue
		}
		if err != nil {
			closeAll(without(sockets, have))
			return nil, &BindError{Addr: at, Err: err, Reason: reasonOf(err)}
		}
		port = boundTo(socket).Port()
		sockets = append(sockets, socket)
	}
	if len(sockets) == 0 {
		return nil, absent
	}
	return sockets, nil
}

func bindOne(ctx context.Context, at netip.AddrPort, have []net.Listener) (net.Listener, error) {
	if i := slices.IndexFunc(have, func(socket net.Listener) bool { return boundTo(socket) == at }); i >= 0 {
		return have[i], nil
	}
	if err := probe(ctx, at); err != nil {
		return nil, err
	}
	network := "tcp4"
	if at.Addr().Is6() {
		network = "tcp6"
	}
	var lc net.ListenConfig
	return lc.Listen(ctx, network, at.String())
}

func closeAll(sockets []net.Listener) {
	for _, socket := range sockets {
		socket.Close()
	}
}

// boundTo is the address a TCP listener of ours is bound to.
func boundTo(socket net.Listener) netip.AddrPort {
	tcp, ok := socket.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
