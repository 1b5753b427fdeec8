package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/devproxy/devproxy/tunnel/agent"
	"github.com/devproxy/devproxy/tunnel/neterror"
)

// unreached replaces what agent.Dial says about relays.
func (s *sshServer) unreached(err error) error {
	e, ok := errors.AsType[*agent.Error](err)
	if !ok {
		return broken(s.word, err)
	}
	known := *e
	switch e.Reason {
	case agent.ReasonRefused:
		known.Fix = "check the port, and whether an SSH server runs there"
	case agent.ReasonBlocked:
		known.Fix = fmt.Sprintf("port %d seems blocked; try the provider pinggy, which uses port 443, or set HTTPS_PROXY if this network needs a proxy", s.port)
	case agent.ReasonProxyForbid:
		known.Fix = fmt.Sprintf("the proxy may allow port 443 alone, and this is port %d; try the provider pinggy", s.port)
	}
	return &known
}

// notConnected explains a handshake that failed. trusted is set when the server's key
// was accepted, so that the rest is about the user's.
func (o *sshOpener) notConnected(ctx context.Context, err error, trusted bool, keys *keyRing) error {
	s := o.server
	key, isKeyError := errors.AsType[*keyError](err)
	known, isKnown := errors.AsType[*agent.Error](err)
	text := err.Error()
	switch {
	case isKeyError:
		return key.agentError()
	case isKnown:
		return known
	case ctx.Err() != nil:
		return broken(s.word, fmt.Errorf("no SSH server answered within %v", o.times.handshake))
	case errors.Is(err, errQuestion), trusted && (strings.Contains(text, "unable to authenticate") || strings.Contains(text, "authentication failures")):
		reason, fix := keys.refused(s)
		if s.service {
			reason, fix = "it no longer admits users without a key", "use another provider"
		}
		return &agent.Error{Reason: agent.ReasonUnknownKey, Op: "authenticate at", Addr: s.login() + "@" + s.address(), Err: errors.New(reason), Fix: fix}
	}
	return broken(s.word, plainly(err))
}

// unforwarded returns the error of a server that does not forward the port.
func (s *sshServer) unforwarded(said string) error {
	reason := fmt.Sprintf("it does not forward %s", net.JoinHostPort(s.listen, fmt.Sprint(s.listenPort)))
	fix := "devproxy tries again, since an earlier tunnel may still be open there"
	if !s.service {
		fix += "; set ClientAliveInterval 15 in its sshd_config, so that it notices that; check AllowTcpForwarding there, and whether something else uses the port"
		if s.listenPort < 1024 {
			fix += "; ports below 1024 are root's on a plain sshd: use ?listen=8080"
		}
	}
	return shareError(agent.ReasonFailed, s.word, errors.New(reason+quoted(said)), fix)
}

// retryOtherFix is the fix for services that fail.
const retryOtherFix = "devproxy tries again; if it keeps failing, use another provider"

// unnamed returns the error of a server that forwards, but announces no public address.
func (s *sshServer) unnamed(said string) error {
	err := errors.New("the server forwards, but it announces no https:// address" + quoted(said))
	if s.service { // which usually announces one
		return shareError(agent.ReasonFailed, s.word, err, retryOtherFix)
	}
	return shareError(ReasonNoURL, s.word, err,
		fmt.Sprintf("put an HTTPS proxy in front of a port there, and name both: relay = %q", s.base()+"?listen=8080&url=https://demo.example.com"))
}

// refused returns the error of a server that says that it does not share.
func (s *sshServer) refused(said string) error {
	return shareError(agent.ReasonFailed, s.word, errors.New("the server refuses"+quoted(said)), retryOtherFix)
}

// quoted returns a server's words, for the end of a sentence.
func quoted(said string) string {
	if said == "" {
		return ""
	}
	return fmt.Sprintf("; it says %q", said)
}

// plainError is an error whose text contains the server's words.
type plainError struct{ error }

func (e plainError) Error() string { return printable(e.error.Error()) }
func (e plainError) Unwrap() error { return e.error }

// plainly returns err for a terminal.
func plainly(err error) error {
	if err == nil || errors.Is(err, io.EOF) || neterror.Broken(err) {
		return errors.New("the server closed the connection")
	}
	return plainError{err}
}
