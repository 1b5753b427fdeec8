package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
)

// endpoint is the sockets of one protocol, all on the same port.
type endpoint struct {
	asked    string // as in Config
	sockets  []net.Listener
	fallback *Fallback
}

// openEndpoint binds what was asked for; nothing asked for is the default port
// and its fallback. Of the sockets in have, those that will do are used.
func openEndpoint(ctx context.Context, asked string, port, next uint16, have []net.Listener) (endpoint, error) {
	if asked == "" {
		sockets, fallback, err := bindDefault(ctx, port, next, have)
		return endpoint{sockets: sockets, fallback: fallback}, err
	}
	a, err := parseAddress(asked)
	if err != nil {
		return endpoint{}, err
	}
	sockets, err := bind(ctx, a, have)
	var failed *BindError
	if errors.As(err, &failed) {
		failed.explain()
	}
	return endpoint{asked: asked, sockets: sockets}, err
}

// change gives the endpoint for what is asked for now. It keeps those of e's
// sockets that will do, and closes none.
func (e endpoint) change(ctx context.Context, asked string, port, next uint16) (endpoint, error) {
	if asked == e.asked {
		return e, nil
	}
	return openEndpoint(ctx, asked, port, next, e.sockets)
}

func (e endpoint) addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(e.sockets))
	for i, socket := range e.sockets {
		addrs[i] = boundTo(socket)
	}
	return addrs
}

// without are the sockets that are not in others.
func without(sockets, others []net.Listener) []net.Listener {
	return slices.DeleteFunc(slices.Clone(sockets), func(socket net.Listener) bool { return slices.Contains(others, socket) })
}
