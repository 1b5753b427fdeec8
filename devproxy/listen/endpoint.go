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
// and its fallback.
func openEndpoint(ctx context.Context, asked string, port, next uint16) (endpoint, error) {
	if asked == "" {
		sockets, fallback, err := bindDefault(ctx, port, next)
		return endpoint{sockets: sockets, fallback: fallback}, err
	}
	a, err := parseAddress(asked)
	if err != nil {
		return endpoint{}, err
	}
	sockets, err := bind(ctx, a)
	var failed *BindError
	if errors.As(err, &failed) {
		failed.explain()
	}
	return endpoint{asked: asked, sockets: sockets}, err
}

// change gives the endpoint for what is asked for now: e with its sockets
// where they will do, else a new one beside it.
func (e endpoint) change(ctx context.Context, asked string, port, next uint16) (endpoint, error) {
	if asked == e.asked {
		return e, nil
	}
	// Our own socket would make the same port look taken.
	wanted, err := address{ips: bothLoopbacks(), port: port}, error(nil)
	if asked != "" {
		wanted, err = parseAddress(asked)
	}
	if err == nil && e.is(wanted) {
		return endpoint{asked: asked, sockets: e.sockets}, nil
	}
	return openEndpoint(ctx, asked, port, next)
}

// is reports whether e is bound to a's port on a's addresses, but for those
// that the machine lacks.
func (e endpoint) is(a address) bool {
	addrs := e.addrs()
	for _, at := range addrs {
		if at.Port() != a.port || !slices.Contains(a.ips, at.Addr()) {
			return false
		}
	}
	return len(addrs) == len(a.ips) || len(addrs) > 0 && slices.Equal(a.ips, bothLoopbacks())
}

func (e endpoint) addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(e.sockets))
	for i, socket := range e.sockets {
		addrs[i] = boundTo(socket)
	}
	return addrs
}

// shares reports whether both have the same sockets.
func (e endpoint) shares(other endpoint) bool { return slices.Equal(e.sockets, other.sockets) }

// closeUnless closes e's sockets unless other goes on with them.
func (e endpoint) closeUnless(other endpoint) {
	if !e.shares(other) {
		closeAll(e.sockets)
	}
}
