package agent

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

// provenAt grants claims, and refuses those with a domain while code is not 0.
func provenAt(r *fakeRelay, code *atomic.Uint32) {
	r.admit = func(claim tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
		grant, _ := grantAll(claim)
		switch {
		case claim.Domain != "" && code.Load() != 0:
			return tunnel.Grant{}, &tunnel.Refusal{Code: tunnel.Code(code.Load()), Message: "demo.example.org has no record"}
		case claim.Domain != "":
			grant.Hosts[0] = claim.Domain
		}
		return grant, nil
	}
}

// TestDomainRefused: the rest of the claim is granted meanwhile, in this session and in the
// next ones, until the domain is claimed again.
func TestDomainRefused(t *testing.T) {
	for code, reason := range map[tunnel.Code]Reason{
		tunnel.CodeUnproven: ReasonUnproven, tunnel.CodeBadClaim: ReasonBadClaim, tunnel.CodeBusy: ReasonBusy,
	} {
		r := newRelay(t)
		var refused atomic.Uint32
		refused.Store(uint32(code))
		provenAt(r, &refused)
		r.start(nil)
		opts := optionsFor(r)
		opts.Claim.Domain = "demo.example.org"
		a := run(t, opts)
		s := r.session()
		state := a.until(Up)
		wants(t, state.Domain, reason, "demo.example.org has no record", "")
		if ofRelay := []string{"shop." + relayName}; !slices.Equal(state.Grant.Hosts, ofRelay) {
			t.Errorf("%s: granted %q, want %q", reason, state.Grant.Hosts, ofRelay)
		}
		s.Close(nil)
		s = r.session()
		if again := a.until(Up); again.Domain != nil || r.claims[len(r.claims)-1].Domain != "" {
			t.Errorf("%s: the next session claims %+v", reason, r.claims[len(r.claims)-1])
		}
		_, err := a.Claim(t.Context(), opts.Claim)
		wants(t, err, reason, "demo.example.org has no record", "")
		refused.Store(0)
		if grant, err := a.Claim(t.Context(), opts.Claim); err != nil || grant.Hosts[0] != "demo.example.org" {
			t.Errorf("%s: with the record: %+v, %v", reason, grant, err)
		}
		s.Close(nil)
		r.session()
		if again := a.until(Up); again.Domain != nil || again.Grant.Hosts[0] != "demo.example.org" {
			t.Errorf("%s: the next session has %+v", reason, again)
		}
		a.Close()
	}
}

// TestDomainGrantedLater is no longer refused in the agent's state.
func TestDomainGrantedLater(t *testing.T) {
	r := newRelay(t)
	var refused atomic.Uint32
	refused.Store(uint32(tunnel.CodeUnproven))
	provenAt(r, &refused)
	r.start(nil)
	opts := optionsFor(r)
	opts.Claim.Domain = "demo.example.org"
	a := run(t, opts)
	a.until(Up)
	refused.Store(0)
	if _, err := a.Claim(t.Context(), opts.Claim); err != nil {
		t.Fatal(err)
	}
	if now := a.State(); now.Domain != nil || now.Grant.Hosts[0] != "demo.example.org" {
		t.Errorf("the state is %+v", now)
	}
}

// TestDomainRefusedForAnotherReason ends the agent as without the domain.
func TestDomainRefusedForAnotherReason(t *testing.T) {
	r := newRelay(t)
	r.admit = func(tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
		return tunnel.Grant{}, &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the claim ends in the past"}
	}
	r.start(nil)
	opts := optionsFor(r)
	opts.Claim.Domain = "demo.example.org"
	wants(t, run(t, opts).fails(), ReasonBadClaim, "the claim ends in the past", "change the share block")
}
