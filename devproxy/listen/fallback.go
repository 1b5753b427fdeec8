package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// The ports of a Config that asks for none, and where HTTPS goes without them.
// HTTP has no fallback: 8080 is everyone's dev server.
const (
	defaultHTTPS  = 443
	defaultHTTP   = 80
	fallbackHTTPS = 8443
)

// Reason is why a port could not be bound.
type Reason int

// The reasons with a fix of their own.
const (
	Permission Reason = iota + 1 // the system lets only privileged processes have it
	Taken                        // another socket has it
)

// Fallback says that a default port could not be had, and what came instead.
type Fallback struct {
	Wanted int // 443 or 80
	Got    int // the port bound instead; 0 for none
	Reason Reason
	// Holder is who has the wanted port, for Taken; else nil.
	Holder *Holder
	// Fix is the one shell command that gives the wanted port for good, or
	// shows who holds it.
	Fix string
}

// String is "8443, because port 443 needs permission here" or "8443, because
// caddy (pid 812, root) holds 443"; for HTTP it begins "no port 80".
func (f Fallback) String() string {
	got := strconv.Itoa(f.Got)
	if f.Got == 0 {
		got = "no port " + strconv.Itoa(f.Wanted)
	}
	if f.Reason == Permission {
		return fmt.Sprintf("%s, because port %d needs permission here", got, f.Wanted)
	}
	return fmt.Sprintf("%s, because %s holds %d", got, f.Holder.Text, f.Wanted)
}

// bindDefault tries wanted on both loopback addresses, then from next upwards;
// next 0 means that there is nothing to fall back to.
func bindDefault(ctx context.Context, wanted, next uint16) ([]net.Listener, *Fallback, error) {
	sockets, err := bind(ctx, address{ips: bothLoopbacks(), port: wanted})
	if err == nil {
		return sockets, nil, nil
	}
	var first *BindError
	if !errors.As(err, &first) || first.Reason == 0 {
		return nil, nil, err
	}
	first.explain()
	fallback := &Fallback{Wanted: int(wanted), Reason: first.Reason, Holder: first.Holder, Fix: first.Fix}
	if next == 0 {
		return nil, fallback, nil
	}
	for port := next; port < next+fallbackTries; port++ {
		sockets, err = bind(ctx, address{ips: bothLoopbacks(), port: port})
		if err == nil {
			fallback.Got = int(port)
			return sockets, fallback, nil
		}
	}
	return nil, nil, fmt.Errorf("no port from %d to %d is free, and %w", next, next+fallbackTries-1, first)
}
