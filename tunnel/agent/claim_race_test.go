package agent

import (
	"slices"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

// claimRace is a claim under way while its session goes and the next one comes,
// which begins with the older claim. Whatever is answered first, the newer
// claim is what the session that stays has.
type claimRace struct {
	*fakeRelay
	agent *running
	old   *tunnel.Session
	// answer and welcome let the answer to the claim, and the next session's
	// welcome, pass.
	answer, welcome chan struct{}
	// opening is closed when the next session's hello has come.
	opening chan struct{}
	done    chan error // of Claim
}

func newClaimRace(t *testing.T) *claimRace {
	r := &claimRace{fakeRelay: newRelay(t), answer: make(chan struct{}), welcome: make(chan struct{}), opening: make(chan struct{}), done: make(chan error, 1)}
	asked := make(chan struct{})
	r.admit = func(claim tunnel.Claim) (tunnel.Grant, *tunnel.Refusal) {
		switch newer, older := r.count(); {
		case claim.Hosts[0] == "" && older == 2:
			close(r.opening)
			<-r.welcome
		case claim.Hosts[0] != "" && newer == 1:
			close(asked)
			<-r.answer
		}
		return grantAll(claim)
	}
	r.start(nil)
	r.agent = run(t, optionsFor(r.fakeRelay))
	r.old = r.session()
	r.agent.until(Up)
	go func() {
		_, err := r.agent.Claim(t.Context(), tunnel.Claim{Project: "shop", Hosts: []string{"admin."}})
		r.done <- err
	}()
	<-asked
	return r
}

// count is how often the newer and the older claim were made.
func (r *claimRace) count() (newer, older int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, claim := range r.claims {
		if claim.Hosts[0] == "" {
			older++
		} else {
			newer++
		}
	}
	return newer, older
}

// settled checks what the session that stays has.
func (r *claimRace) settled() {
	r.t.Helper()
	if newer, _ := r.count(); newer != 2 {
		r.t.Errorf("the newer claim was made %d times, want once in each session", newer)
	}
	if got := r.agent.State(); got.Phase != Up || !slices.Equal(got.Grant.Hosts, []string{"admin.shop." + relayName}) {
		r.t.Errorf("the state is %+v", got)
	}
}

func (r *claimRace) granted() {
	r.t.Helper()
	if err := within(r.t, r.done); err != nil {
		r.t.Fatal(err)
	}
}

func TestClaimAnsweredBeforeTheNextSession(t *testing.T) {
	r := newClaimRace(t)
	r.old.Drain()
	<-r.opening
	close(r.answer)
	r.granted()
	close(r.welcome)
	r.agent.until(Up)
	r.settled()
}

func TestClaimAnsweredAfterTheNextSession(t *testing.T) {
	r := newClaimRace(t)
	r.old.Drain()
	<-r.opening
	close(r.welcome)
	r.agent.until(Up)
	close(r.answer)
	r.granted()
	r.settled()
}

func TestClaimNeverAnswered(t *testing.T) {
	r := newClaimRace(t)
	r.old.Close(nil)
	<-r.opening
	close(r.welcome)
	r.agent.until(Up)
	r.granted()
	close(r.answer) // to no one
	r.settled()
}
