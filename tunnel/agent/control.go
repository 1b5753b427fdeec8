package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// maxReply bounds the relay's answer on a control stream, in bytes: a grant of
// tunnel.MaxHosts names of 253 bytes each is below it.
const maxReply = 64 << 10

// Claim changes the shared hosts: now, or with the next session, and
// whenever a new one is opened. When it fails with an *Error, or because ctx
// ended, the same hosts are shared as before.
func (a *Agent) Claim(ctx context.Context, claim tunnel.Claim) (tunnel.Grant, error) {
	var grant tunnel.Grant
	err := a.send(ctx, tunnel.Request{Op: "claim", Claim: &claim}, func(g tunnel.Grant) {
		grant = g
		a.claim, a.state.Grant, a.state.Domain = claim, g, nil
		a.claimed++
	})
	return grant, err
}

// End has the relay end the link for good: visitors see that from now on. The
// session stays, and Run continues until it is ended too.
func (a *Agent) End(ctx context.Context) error {
	return a.send(ctx, tunnel.Request{Op: "end"}, func(tunnel.Grant) {})
}

// ExpectCallback has the callback host lead to this share for requests with state. Call it
// before a visitor learns the state.
func (a *Agent) ExpectCallback(ctx context.Context, state string) error {
	return a.send(ctx, tunnel.Request{Op: "state", State: tunnel.StateHash(state)}, func(tunnel.Grant) {})
}

// send sends a request to the relay on the current session. When that session ends or
// is replaced meanwhile, it sends the request again on the next. done is called with
// the agent's mutex held, for every session that has granted the request.
func (a *Agent) send(ctx context.Context, r tunnel.Request, done func(tunnel.Grant)) error {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return a.noSession(ctx)
	}
	for {
		s, err := a.await(ctx)
		if err != nil {
			return err
		}
		grant, err := a.request(ctx, s, r)
		if err == nil && a.granted(s, r, grant, done) {
			return nil
		}
		if err != nil && (ctx.Err() != nil || !isOver(s)) {
			return err
		}
		a.retire(s)
	}
}

// granted notes the grant, and reports whether it applies to the current
// session. A session that is being opened compares the claim itself.
func (a *Agent) granted(s *tunnel.Session, r tunnel.Request, grant tunnel.Grant, done func(tunnel.Grant)) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	done(grant)
	return r.Claim == nil || a.session == s || a.session == nil
}

// isOver reports whether a session takes no more streams.
func isOver(s *tunnel.Session) bool {
	select {
	case <-s.Done():
	case <-s.Draining():
	default:
		return false
	}
	return true
}

// await waits for a session, and returns it.
func (a *Agent) await(ctx context.Context) (*tunnel.Session, error) {
	for {
		a.mu.Lock()
		s, changed := a.session, a.changed
		a.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, a.noSession(ctx)
		case <-a.life.Done():
			return nil, &Error{Reason: ReasonBroken, Op: opRequest, Addr: a.dialer.target.String(), Err: errors.New("the share has ended")}
		}
	}
}

// opRequest is the Op of errors of requests.
const opRequest = "send a request to"

// noSession returns why no request could be sent before ctx ended.
func (a *Agent) noSession(ctx context.Context) error {
	e := &Error{Reason: ReasonBroken, Op: opRequest, Addr: a.dialer.target.String(), Err: context.Cause(ctx), Fix: "try again once the relay can be reached"}
	if last := a.State().Err; last != nil {
		e.Err, e.Fix = last, last.Fix
	}
	return e
}

// request sends a request on a new stream of a session. The errors of the stream
// itself are of ReasonBroken.
func (a *Agent) request(ctx context.Context, s *tunnel.Session, r tunnel.Request) (tunnel.Grant, error) {
	target := a.dialer.target
	failed := func(message string) (tunnel.Grant, error) {
		return tunnel.Grant{}, target.refused(&tunnel.Refusal{Code: tunnel.CodeFailed, Message: message}, a.key)
	}
	reply, err := exchange(ctx, s, r)
	switch {
	case err != nil:
		return tunnel.Grant{}, target.broken(opRequest, err)
	case reply.Code != 0 || reply.Error != "":
		return tunnel.Grant{}, target.refused(&tunnel.Refusal{Code: max(reply.Code, tunnel.CodeFailed), Message: reply.Error}, a.key)
	case r.Claim == nil:
		return tunnel.Grant{}, nil
	case reply.Grant == nil:
		return failed("its answer grants nothing")
	}
	if err := checkGrant(*reply.Grant, *r.Claim); err != nil {
		return failed(err.Error())
	}
	return *reply.Grant, nil
}

// exchange writes a request on a new stream and reads the answer.
func exchange(ctx context.Context, s *tunnel.Session, r tunnel.Request) (reply tunnel.Reply, err error) {
	stream, err := s.Open([]byte(tunnel.ControlHead))
	if err != nil {
		return reply, err
	}
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) })() // fails once the stream is closed
	defer func() {
		if ctx.Err() != nil && err != nil {
			err = context.Cause(ctx)
		}
	}()
	if err := json.NewEncoder(stream).Encode(r); err != nil {
		return reply, err
	}
	if err := stream.CloseWrite(); err != nil {
		return reply, err
	}
	if err := json.NewDecoder(io.LimitReader(stream, maxReply)).Decode(&reply); err != nil {
		return reply, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return reply, nil
}

// Enrol connects once and disconnects: after that the relay knows the key, if the
// claim has a valid token or the relay knew it already. A running agent with the
// same key would be replaced. The error is an *Error, or ctx's.
func Enrol(ctx context.Context, opts Options) error {
	opts.Claim.Hosts = nil
	_, err := connectOnce(ctx, opts)
	return err
}

// Release has the relay forget that a plain name, a label, belongs to the key,
// so that any key may claim it. A running session of the key continues.
// released is the whole name; the error is an *Error, of ReasonNameTaken when
// the name is not the key's, or ctx's.
func Release(ctx context.Context, opts Options, label string) (released string, err error) {
	opts.Claim = tunnel.Claim{Release: label}
	target, err := connectOnce(ctx, opts)
	if err == nil { // an older relay, for which the claim is one without hosts
		return "", &Error{
			Reason: ReasonVersion, Op: "release a name at", Addr: target.String(),
			Err: errors.New("it runs an older version, which cannot do that"), Fix: "have the relay's operator update it",
		}
	}
	refused, ok := errors.AsType[*tunnel.Refusal](err)
	if !ok || refused.Code != tunnel.CodeReleased {
		return "", err
	}
	if name := refused.Message; !isName(name) {
		return "", target.refused(&tunnel.Refusal{Code: tunnel.CodeFailed, Message: fmt.Sprintf("it says that it released %.80q, which is not a valid name", name)}, opts.Key)
	}
	return refused.Message, nil
}

// connectOnce opens a session with what opts say and closes it.
func connectOnce(ctx context.Context, opts Options) (target, error) {
	a := New(opts)
	defer a.Close()
	if a.fault != nil {
		return a.dialer.target, a.fault
	}
	s, err := a.open(ctx)
	if err == nil {
		s.Close(nil)
		a.running.Wait()
	}
	return a.dialer.target, err
}
