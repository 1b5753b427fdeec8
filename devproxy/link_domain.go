package devproxy

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// firstDomainPause and longestDomainPause are between requests for a domain that the
	// relay has refused. The pause doubles every time. A relay looks for the record of a
	// domain at most once in 5 s for all agents of a network.
	firstDomainPause   = 10 * time.Second
	longestDomainPause = time.Minute
	// domainTimeout bounds one request. The relay asks DNS servers meanwhile.
	domainTimeout = 15 * time.Second
)

// linkDomain is the domain of the user's own that a link asks its relay for. The share has
// a name of the relay in its place until the relay grants it.
type linkDomain struct {
	name string // empty for none
	// state is one of control's Domain constants; empty before the relay's first answer,
	// when the name is part of the first claim.
	state string
	why   error // why the relay does not grant it
	// retry is until the relay is asked again.
	retry alarm
	pause time.Duration
	// asked gets the relay's answer while it is being asked; nil otherwise.
	asked  chan domainAnswer
	cancel context.CancelFunc
}

// domainAnswer is the relay's answer to a claim with the domain.
type domainAnswer struct {
	grant tunnel.Grant
	err   error // of the claim with the domain
	// without is the grant without the domain, for a link that had it before.
	without *tunnel.Grant
}

// claimed reports whether the domain is part of the link's claim.
func (d *linkDomain) claimed() bool {
	return d.name != "" && (d.state == "" || d.state == control.DomainUp)
}

// isUp reports whether visitors can reach the share at the domain.
func (d *linkDomain) isUp() bool { return d.name != "" && d.state == control.DomainUp }

// isIn reports whether grant has the domain.
func (d *linkDomain) isIn(grant tunnel.Grant) bool {
	return len(grant.Hosts) > 0 && grant.Hosts[0] == d.name
}

// granted notes that the relay has granted the domain.
func (d *linkDomain) granted() {
	d.retry.stop()
	d.state, d.why, d.pause = control.DomainUp, nil, 0
}

// refused notes that the relay has not granted the domain, and when to ask again.
func (d *linkDomain) refused(why error) {
	before := d.state
	if d.why == nil || !isReason(why, agent.ReasonBroken) { // what the relay said last is more useful
		d.why = why
	}
	d.state = control.DomainRefused
	if isReason(d.why, agent.ReasonUnproven) {
		d.state = control.DomainUnproven
	}
	if d.state != before { // the record is there, and a certificate takes seconds
		d.pause = 0
	}
	d.retry.stop()
	d.pause = min(max(2*d.pause, firstDomainPause), longestDomainPause)
	d.retry.set(d.pause)
}

func isReason(err error, reason agent.Reason) bool {
	e, ok := errors.AsType[*agent.Error](err)
	return ok && e.Reason == reason
}

// see notes what a grant says about the domain. refused is why the relay has refused it
// and granted the rest. It reports false for a grant that can't be trusted: it may be from
// before the domain was granted.
func (d *linkDomain) see(grant tunnel.Grant, refused error, relay string) bool {
	switch {
	case d.name == "":
	case d.isIn(grant):
		d.granted()
	case d.isUp():
		return false
	case d.state != "":
	case refused != nil:
		d.refused(refused)
	default:
		d.refused(tooOld(relay))
	}
	return true
}

// tooOld is the error of a relay that does not know domains and grants the rest.
func tooOld(relay string) error {
	return failure.Errorf("have its operator update it", "relay %s runs an older version, which knows no domains of its users", relay)
}

// ask asks the relay for the domain, in a goroutine that ends with cancel. claim is the
// link's without the domain.
func (d *linkDomain) ask(carrier provider.Carrier, claim tunnel.Claim) {
	d.stopAsking()
	ctx, cancel := context.WithTimeout(context.Background(), domainTimeout)
	asked, isUp := make(chan domainAnswer, 1), d.isUp()
	d.asked, d.cancel = asked, cancel
	with := claim
	with.Domain = d.name
	go func() {
		defer cancel()
		var answer domainAnswer
		answer.grant, answer.err = carrier.Claim(ctx, with)
		if answer.err != nil && isUp {
			if rest, err := carrier.Claim(ctx, claim); err == nil {
				answer.without = &rest
			}
		}
		asked <- answer
	}()
}

// stopAsking ends the request under way and forgets its answer.
func (d *linkDomain) stopAsking() {
	d.retry.stop()
	if d.asked != nil {
		d.cancel()
		<-d.asked
		d.asked = nil
	}
}

// ownDomain returns the domain that the link asks a relay for: the plan's, unless another
// host is the first of the share.
func (l *link) ownDomain() string {
	if l.foreign() || len(l.plan.Hosts) == 0 || l.plan.Hosts[0] != l.plan.OwnHost {
		return ""
	}
	return l.plan.OwnDomain
}

// useDomain follows the plan to another domain. The link's next claim does not have it:
// it is asked for by itself.
func (l *link) useDomain() {
	d := &l.domain
	if name := l.ownDomain(); name != d.name {
		*d = linkDomain{name: name, state: control.DomainAsking}
	}
	if d.name != "" && d.state != "" && !d.isUp() {
		d.pause = 0
		d.retry.set(0)
	}
}

// sendClaim sends the link's claim to the relay, without the domain if the relay refuses that.
func (l *link) sendClaim(ctx context.Context) (tunnel.Grant, error) {
	d, claim := &l.domain, l.claim()
	grant, err := l.carrier.Claim(ctx, claim)
	switch {
	case claim.Domain == "":
	case err == nil && d.isIn(grant):
		d.granted()
	case err == nil:
		d.refused(tooOld(l.relay().Relay))
	case isRefusal(err):
		d.refused(err)
		return l.carrier.Claim(ctx, l.claim())
	}
	return grant, err
}

// isRefusal reports whether a relay may grant a claim that failed with err in another
// form.
func isRefusal(err error) bool {
	return isReason(err, agent.ReasonUnproven) || isReason(err, agent.ReasonBadClaim) || isReason(err, agent.ReasonBusy)
}

// domainView returns the public state of the domain; nil for none.
func (l *link) domainView() *control.Domain {
	d := &l.domain
	if d.name == "" || d.state == "" {
		return nil
	}
	view := &control.Domain{Name: d.name, Host: l.plan.OwnHost, State: d.state}
	if l.grant.Domain != "" {
		view.Target = tunnel.OwnName(l.key.Public(), l.grant.Domain)
	}
	view.Error, view.Fix = explainDomain(d.why)
	return view
}

// explainDomain is Explain for a domain that is not granted: the share itself works, and
// what a relay says of a domain has the fix in it, unless waiting is the fix.
func explainDomain(why error) (text, fix string) {
	if e, ok := errors.AsType[*agent.Error](why); ok {
		if e.Reason == agent.ReasonBusy {
			fix = "devproxy asks again"
		}
		return strings.TrimPrefix(failure.Text(e.Err), "it is busy: "), fix
	}
	return Explain(why)
}

// askForDomain asks the relay for the domain now.
func (s *Sharer) askForDomain() {
	claim := s.live.claim()
	claim.Domain = ""
	s.live.domain.ask(s.live.carrier, claim)
}

// domainAnswered handles the relay's answer to askForDomain.
func (s *Sharer) domainAnswered(answer domainAnswer) {
	l := s.live
	d, wasUp := &l.domain, l.domain.isUp()
	d.asked = nil
	switch {
	case answer.err == nil && d.isIn(answer.grant):
		d.granted()
	case answer.err == nil:
		d.refused(tooOld(l.relay().Relay))
	case wasUp && answer.without == nil:
		d.retry.set(firstDomainPause) // the relay has said nothing about the domain
		return
	default:
		d.refused(answer.err)
		answer.grant = l.grant
		if wasUp {
			answer.grant = *answer.without
		}
	}
	if d.isUp() != wasUp {
		if err := l.adopt(answer.grant, s.SharerOptions); err != nil {
			d.refused(err)
		}
	}
	view := l.status(s.Status().State, nil)
	view.Error, view.Fix = s.Status().Error, s.Status().Fix
	s.set(view)
}
