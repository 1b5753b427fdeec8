package relay

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// control answers one request of an agent.
func (r *Relay) control(s *share, st *tunnel.Stream) {
	defer st.Close()
	if string(st.Head()) != tunnel.ControlHead {
		st.Reset()
		return
	}
	if st.SetDeadline(time.Now().Add(controlTimeout)) != nil {
		return
	}
	defer context.AfterFunc(r.life, st.Reset)() // Close does not wait for the agent
	ctx, cancel := context.WithTimeout(r.life, controlTimeout)
	defer cancel()
	var reply tunnel.Reply
	grant, err := r.do(ctx, s, st)
	if err != nil {
		told := r.refuse("request of an agent refused", s.key, s.from.prefix, err)
		reply.Code, reply.Error = told.Code, told.Message
	}
	reply.Grant = grant
	_ = json.NewEncoder(st).Encode(reply) // an agent that is gone need not know
}

func (r *Relay) do(ctx context.Context, s *share, from io.Reader) (*tunnel.Grant, error) {
	var request tunnel.Request
	if err := json.NewDecoder(io.LimitReader(from, tunnel.MaxPayload)).Decode(&request); err != nil {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the request cannot be read; run the same version of devproxy at both ends"}
	}
	if !s.claims.Allow() {
		return nil, &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "these are too many changes of a share at once; try again in a moment"}
	}
	switch {
	case request.Op == "claim" && request.Claim != nil:
		return r.reclaim(ctx, s, *request.Claim)
	case request.Op == "end":
		return nil, r.end(ctx, s)
	}
	return nil, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the relay knows no such request; update it"}
}

// reclaim changes what a session is known as, at once and as a whole.
func (r *Relay) reclaim(ctx context.Context, s *share, c tunnel.Claim) (*tunnel.Grant, error) {
	granted, grant, err := r.grant(ctx, s.key, s.session.Key(), s.from, c)
	if err != nil {
		return nil, err
	}
	if !r.table.change(s, granted) {
		return nil, &tunnel.Refusal{Code: tunnel.CodeReplaced, Message: tunnel.ErrReplaced.Error()}
	}
	return grant, nil
}

// end ends the names of a session for good. The session stays: it may claim
// others.
func (r *Relay) end(ctx context.Context, s *share) error {
	names := r.table.claimOf(s).ending()
	if err := r.opts.Registry.Release(ctx, s.key, names); err != nil {
		return err
	}
	r.table.change(s, &claimed{})
	r.log.Info("share ended", "key", s.key, "from", s.from.prefix)
	return nil
}
