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
	// Next is who has the first port to fall back to, 8443, when Got is another
	// one; else nil.
	Next *Holder
	// Fix is the one shell command that gives the wanted port for good, or
	// shows who holds it.
	Fix string
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
	if f.Reason == Taken {
		why = fmt.Sprintf("%s is listening on %d", f.Holder.Text, f.Wanted)
	}
	switch {
	case f.Next != nil && f.Reason == Taken:
		why += fmt.Sprintf(", and %s on %d", f.Next.Text, fallbackHTTPS)
	case f.Next != nil:
		why += fmt.Sprintf(", and %s is listening on %d", f.Next.Text, fallbackHTTPS)
	}
	return got + ": " + why
}

// bindDefault tries wanted on both loopback addresses, then from next upwards;
// next 0 means that there is nothing to fall back to. It uses the sockets in have.
func bindDefault(ctx context.Context, wanted, next uint16, have []net.Listener) ([]net.Listener, *Fallback, error) {
	sockets, err := bind(ctx, address{ips: bothLoopbacks(), port: wanted}, have)
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
		sockets, err = bind(ctx, address{ips: bothLoopbacks(), port: port}, have)
		if err == nil {
			fallback.Got = int(port)
			if port != next {
				holder := findHolder(next)
				fallback.Next = &holder
			}
			return sockets, fallback, nil
		}
	}
	return nil, nil, fmt.Errorf("no port from %d to %d is free, and %w", next, next+fallbackTries-1, first)
}
