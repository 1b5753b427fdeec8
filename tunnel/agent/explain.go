package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// unreached explains why there is no connection to the relay.
func (t target) unreached(err error) error {
	fix := func(reason Reason) string {
		switch reason {
		case ReasonNoName, ReasonDNS:
			return "check the name, and this machine's DNS: nslookup " + t.host
		case ReasonRefused:
			if isLocal(t.host) {
				return "start one in another terminal: devproxy relay --dev --listen 127.0.0.1:" + t.port
			}
			return "check the port, and whether the relay runs"
		case ReasonBlocked:
			return fmt.Sprintf("port %s seems blocked; set HTTPS_PROXY if this network needs a proxy", t.port)
		}
		return "check this machine's network"
	}
	return unreached(t.host, t.address(), err, fix)
}

// unreached explains a dial that failed.
func unreached(host, address string, err error, fix func(Reason) string) *Error {
	reason, op, addr, cause := ReasonUnreachable, "connect to", address, err
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		reason, op, addr, cause = ReasonDNS, "look up", host, errors.New(dns.Err)
		if dns.IsNotFound {
			reason, cause = ReasonNoName, errors.New("there is no such name")
		}
	case isTimeout(err):
		reason, cause = ReasonBlocked, fmt.Errorf("no answer within %v", connectTimeout)
	case errors.Is(err, errRefused):
		reason, cause = ReasonRefused, errors.New("nothing listens there")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		cause = errors.New("there is no way from this network")
	}
	return &Error{Reason: reason, Op: op, Addr: addr, Err: reworded{cause, err}, Fix: fix(reason)}
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &slow) && slow.Timeout()
}

// reworded says of an error what people understand, and keeps it.
type reworded struct{ text, cause error }

func (r reworded) Error() string { return r.text.Error() }
func (r reworded) Unwrap() error { return r.cause }

// notRelay is something that answers, and is no relay.
func (t target) notRelay(err error) *Error {
	return &Error{
		Reason: ReasonNotRelay, Op: "share through", Addr: t.String(), Err: fmt.Errorf("what answers there is no devproxy relay: %w", err),
		Fix: "check the name; on a server of your own: devproxy relay --domain " + t.host +
			"\na proxy in front of a relay must pass TLS through, as agents cannot come where TLS ends on the way",
	}
}

// plainly is err, unless it only says that a connection ended.
func plainly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return reworded{errors.New("the other end closed the connection"), err}
	}
	return err
}
