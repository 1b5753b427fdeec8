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

// Claim changes what is shared: now, if need be once there is a session, and
// whenever a new one is opened. When it fails with an *Error, or because ctx
// ended, what is shared is as before.
func (a *Agent) Claim(ctx context.Context, claim tunnel.Claim) (tunnel.Grant, error) {
	var grant tunnel.Grant
	err := a.tell(ctx, tunnel.Request{Op: "claim", Claim: &claim}, func(g tunnel.Grant) {
		grant = g
		a.claim, a.state.Grant = claim, g
		a.claimed++
	})
	return grant, err
}

// End has the relay end the link for good: visitors are told so from now on.
// The session stays, and Run goes on until it is ended too.
func (a *Agent) End(ctx context.Context) error {
	return a.tell(ctx, tunnel.Request{Op: "end"}, func(tunnel.Grant) {})
}

// tell asks the relay on the session of the moment; a session that ends or is
// replaced meanwhile is no reason to fail. done is called with the agent's
// mutex held, for every session that has granted the request.
func (a *Agent) tell(ctx context.Context, r tunnel.Request, done func(tunnel.Grant)) error {
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
		grant, err := a.ask(ctx, s, r)
		if err == nil && a.settled(s, r, grant, done) {
			return nil
		}
		if err != nil && (ctx.Err() != nil || !isOver(s)) {
			return err
		}
		a.retire(s)
	}
}

// settled notes what was granted, and reports whether it is so for the session
// of the moment. One that is being opened finds out by itself.
func (a *Agent) settled(s *tunnel.Session, r tunnel.Request, grant tunnel.Grant, done func(tunnel.Grant)) bool {
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

// await is the session, once there is one.
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
		case <-a.closed:
			return nil, &Error{Reason: ReasonBroken, Op: "ask", Addr: a.dialer.target.String(), Err: errors.New("the share has ended")}
		}
	}
}

// noSession is why nothing could be asked before ctx ended.
func (a *Agent) noSession(ctx context.Context) error {
	e := &Error{Reason: ReasonBroken, Op: "ask", Addr: a.dialer.target.String(), Err: context.Cause(ctx), Fix: "try again once the relay can be reached"}
	if last := a.State().Err; last != nil {
		e.Err, e.Fix = last, last.Fix
	}
	return e
}

// ask asks on a session's control stream. The errors of the stream itself are
// of ReasonBroken.
func (a *Agent) ask(ctx context.Context, s *tunnel.Session, r tunnel.Request) (tunnel.Grant, error) {
	target := a.dialer.target
	reply, err := exchange(ctx, s, r)
	if err != nil {
		return tunnel.Grant{}, target.broken("ask", err)
	}
	if reply.Code != 0 || reply.Error != "" {
		return tunnel.Grant{}, target.refused(&tunnel.Refusal{Code: max(reply.Code, tunnel.CodeFailed), Message: reply.Error}, a.key)
	}
	if r.Claim == nil {
		return tunnel.Grant{}, nil
	}
	if reply.Grant == nil {
		return tunnel.Grant{}, target.refused(&tunnel.Refusal{Code: tunnel.CodeFailed, Message: "its answer grants nothing"}, a.key)
	}
	if err := checkGrant(*reply.Grant, *r.Claim); err != nil {
		return tunnel.Grant{}, target.refused(&tunnel.Refusal{Code: tunnel.CodeFailed, Message: err.Error()}, a.key)
	}
	return *reply.Grant, nil
}

// exchange writes a request on a stream of its own and reads the answer to it.
func exchange(ctx context.Context, s *tunnel.Session, r tunnel.Request) (reply tunnel.Reply, err error) {
	stream, err := s.Open([]byte(tunnel.ControlHead))
	if err != nil {
		return reply, err
	}
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) }) // a closed stream has no use for it
	defer stop()
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
