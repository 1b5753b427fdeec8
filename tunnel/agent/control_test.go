package agent

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// TestClaim changes what is shared, in the session and in the next.
func TestClaim(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	s := r.session()
	a.until(Up)
	claim := tunnel.Claim{Project: "shop", Hosts: []string{"", "admin."}}
	grant, err := a.Claim(t.Context(), claim)
	if err != nil || !slices.Equal(grant.Hosts, []string{"shop." + relayName, "admin.shop." + relayName}) {
		t.Fatalf("granted %+v, %v", grant, err)
	}
	if got := a.State().Grant; !slices.Equal(got.Hosts, grant.Hosts) {
		t.Errorf("the state has %v", got.Hosts)
	}
	s.Close(nil)
	r.session()
	if again := a.until(Up); !slices.Equal(again.Grant.Hosts, grant.Hosts) {
		t.Errorf("the next session has %v", again.Grant.Hosts)
	}
}

// TestClaimRefused leaves what is shared as it is.
func TestClaimRefused(t *testing.T) {
	r := newRelay(t)
	r.admit = func(claim tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
		if claim.Name == "taken" {
			return tunnel.Grant{}, &tunnel.Refusal{Code: tunnel.CodeNameTaken, Message: "taken.t.example.com belongs\x1b[2J to another key"}
		}
		return grantAll(claim)
	}
	r.start(nil)
	a := run(t, optionsFor(r))
	s := r.session()
	a.until(Up)
	_, err := a.Claim(t.Context(), tunnel.Claim{Name: "taken", Hosts: []string{""}})
	wants(t, err, ReasonNameTaken, "taken.t.example.com belongs?[2J to another key", `share { name = "…" }`)
	s.Close(nil)
	r.session()
	a.until(Up)
	if last := r.claims[len(r.claims)-1]; last.Name != "" {
		t.Errorf("the next session claims %+v", last)
	}
}

// TestClaimBetweenSessions waits for the next session, or for its context.
func TestClaimBetweenSessions(t *testing.T) {
	r := newRelay(t)
	busy := make(chan bool, 1)
	busy <- true
	r.admit = func(claim tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
		still := <-busy
		busy <- still
		if still {
			return tunnel.Grant{}, &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "come back"}
		}
		return grantAll(claim)
	}
	r.start(nil)
	a := run(t, optionsFor(r))
	wants(t, a.until(Waiting).Err, ReasonBusy, "it is busy: come back", "tries again")

	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := a.End(short); err == nil || !isReason(err, ReasonBroken) {
		t.Errorf("End without a session is %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := a.Claim(t.Context(), tunnel.Claim{Project: "shop", Hosts: []string{"admin."}})
		done <- err
	}()
	<-busy
	busy <- false
	if err := within(t, done); err != nil {
		t.Fatal(err)
	}
	if got := a.State().Grant.Hosts; !slices.Equal(got, []string{"admin.shop." + relayName}) {
		t.Errorf("granted %v", got)
	}
}

// TestClaimWhileDraining asks the session that stays.
func TestClaimWhileDraining(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	old := r.session()
	a.until(Up)
	old.Drain()
	for i := range 20 {
		host := string(rune('a' + i))
		if grant, err := a.Claim(t.Context(), tunnel.Claim{Project: "shop", Hosts: []string{host}}); err != nil || len(grant.Hosts) != 1 {
			t.Fatalf("granted %v, %v", grant, err)
		}
	}
	r.session()
	a.until(Up)
	if got := a.State().Grant.Hosts; !slices.Equal(got, []string{"tshop." + relayName}) {
		t.Errorf("the session that stays has %v", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.claims[len(r.claims)-1]; last.Hosts[0] != "t" {
		t.Errorf("the last claim is %+v", last)
	}
}

// TestEnd tells the relay, and fails as the relay says.
func TestEnd(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	a.until(Up)
	if err := a.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	r2 := newRelay(t)
	r2.ended = &tunnel.Refusal{Code: tunnel.CodeFailed, Message: "the disk is full"}
	r2.start(nil)
	b := run(t, optionsFor(r2))
	b.until(Up)
	wants(t, b.End(t.Context()), ReasonFailed, "the disk is full", "relay's log")
}

// TestEndAfterClose does not wait for a session that never comes.
func TestEndAfterClose(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	a.until(Up)
	a.Close()
	within(t, a.ended)
	var e *Error
	if err := a.End(t.Context()); !errors.As(err, &e) {
		t.Errorf("End is %v", err)
	}
}

// TestStrangeGrants are refused: a relay is a stranger's program.
func TestStrangeGrants(t *testing.T) {
	claim := tunnel.Claim{Hosts: []string{""}}
	good := tunnel.Grant{Domain: relayName, Port: 443, Hosts: []string{"shop." + relayName}}
	if err := checkGrant(good, claim); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*tunnel.Grant){
		"escape sequence": func(g *tunnel.Grant) { g.Hosts = []string{"a\x1b[2J.example.com"} },
		"too many":        func(g *tunnel.Grant) { g.Hosts = append(g.Hosts, "b.example.com") },
		"too few":         func(g *tunnel.Grant) { g.Hosts = nil },
		"empty":           func(g *tunnel.Grant) { g.Hosts = []string{""} },
		"zone":            func(g *tunnel.Grant) { g.Zone = "a/b" },
		"no domain":       func(g *tunnel.Grant) { g.Domain = "" },
		"no port":         func(g *tunnel.Grant) { g.Port = 0 },
	} {
		grant := good
		grant.Hosts = slices.Clone(good.Hosts)
		spoil(&grant)
		if checkGrant(grant, claim) == nil {
			t.Errorf("%s: %+v is accepted", name, grant)
		}
	}
}
