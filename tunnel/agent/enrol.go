package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/devproxy/devproxy/tunnel"
)

// Enrol connects once and leaves: the relay knows the key then, if the claim
// has a token that is valid, or it knew it already. A running agent with the
// same key would be replaced. The error is an *Error, or ctx's.
func Enrol(ctx context.Context, opts Options) error {
	opts.Claim.Hosts = nil
	a := New(opts)
	defer a.Close()
	if a.fault != nil {
		return a.fault
	}
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	s.Close(nil)
	a.running.Wait()
	return nil
}

// Release has the relay forget that a plain name, a label, belongs to the key, so
// that any key may claim it. A running session of the key goes on. released is the
// whole name; the error is an *Error, of ReasonNameTaken when the name is not the
// key's, or ctx's.
func Release(ctx context.Context, opts Options, label string) (released string, err error) {
	opts.Claim = tunnel.Claim{Release: label}
	a := New(opts)
	defer a.Close()
	if a.fault != nil {
		return "", a.fault
	}
	s, err := a.open(ctx)
	if err == nil { // an older relay, which takes the claim for one of nothing
		s.Close(nil)
		a.running.Wait()
		target := a.dialer.target.String()
		return "", &Error{Reason: ReasonVersion, Op: "release a name at", Addr: target, Err: errors.New("it runs an older version, which cannot do that"), Fix: "have the relay's operator update it"}
	}
	var refused *tunnel.Refusal
	if errors.As(err, &refused) && refused.Code == tunnel.CodeReleased {
		name := refused.Message
		if !isName(name) {
			return "", a.dialer.target.refused(&tunnel.Refusal{Code: tunnel.CodeFailed, Message: fmt.Sprintf("it says that it released %.80q, which is no name", name)}, a.key)
		}
		return name, nil
	}
	return "", err
}
