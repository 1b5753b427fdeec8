package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
)

// relaySockets are what a relay listens on; nil where it does not.
type relaySockets struct {
	https, http, admin net.Listener
	// late is where a process that this one replaces sends its last requests.
	late net.Listener
}

// bindRelay opens the sockets that cfg asks for.
func bindRelay(ctx context.Context, cfg relayConfig) (*relaySockets, error) {
	var s relaySockets
	for _, one := range []struct {
		flag, address string
		to            *net.Listener
	}{{"--listen", cfg.listen, &s.https}, {"--http", cfg.http, &s.http}, {"--admin", cfg.admin, &s.admin}} {
		if one.address == "" {
			continue
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", one.address)
		if err != nil {
			s.close()
			return nil, relayBindFailure(one.flag, one.address, err)
		}
		*one.to = ln
	}
	return &s, nil
}

// close closes what is open; sockets that nothing was accepted on lose nothing.
func (s *relaySockets) close() {
	for _, ln := range []net.Listener{s.https, s.http, s.admin, s.late} {
		if ln != nil {
			ln.Close()
		}
	}
}

// relayBindFailure is exit code 4 with what helps.
func relayBindFailure(flag, address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	var system *os.SyscallError
	if errors.As(err, &system) {
		err = system.Err
	}
	e := &exitError{code: exitPort, err: errors.New("cannot listen on " + address + ": " + err.Error())}
	switch {
	case isTaken(err):
		e.fix = "see who holds it: sudo ss -ltnp 'sport = :" + port + "'; or use another address: " + flag + " :8443"
	case isForbidden(err):
		e.fix = "allow it: sudo setcap cap_net_bind_service=+ep $(command -v devproxy); or use another address: " + flag + " :8443"
	default:
		e.fix = "use an address of this machine: " + flag + " :" + port
	}
	if flag == "--http" {
		e.fix += "; or leave the redirect out: --http none"
	}
	return e
}

// addressOf is where ln listens, empty for nil.
func addressOf(ln net.Listener) string {
	if ln == nil {
		return ""
	}
	return ln.Addr().String()
}

// portOf is the port of ln.
func portOf(ln net.Listener) uint16 {
	_, text, _ := net.SplitHostPort(addressOf(ln))
	port, _ := strconv.ParseUint(text, 10, 16)
	return uint16(port)
}
