package devproxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// failoverAfter is how long a relay that carried the link may stay away, once
	// visitors do not wait for it any more (tunnel.ResumeTimeout), before the next
	// one in the list is tried, which gives another link.
	failoverAfter = 5 * time.Second
	// firstRetry and longestRetry are between attempts of a share that failed. The
	// pause doubles every time.
	firstRetry   = 5 * time.Second
	longestRetry = 2 * time.Minute
)

// stateChanged follows the connection to the relay.
func (s *Sharer) stateChanged(state agent.State) {
	switch state.Phase {
	case agent.Up:
		var refused error
		if state.Domain != nil { // a nil pointer would be a non-nil error
			refused = state.Domain
		}
		s.up(state.Grant, refused)
	case agent.Resuming:
		s.set(s.live.status(control.ShareResuming, nil))
	case agent.Waiting:
		var why error
		if state.Err != nil { // a nil pointer would be a non-nil error
			why = state.Err
		}
		s.waiting(why)
	}
}

// up serves the names that the relay granted. refused is why it has not granted the
// domain; nil if it did, or has answered that before.
func (s *Sharer) up(grant tunnel.Grant, refused error) {
	l := s.live
	names := l.key.Names
	if !l.domain.see(grant, refused, l.relay().Relay) {
		s.askForDomain()
		s.set(l.status(control.ShareUp, nil))
		return
	}
	if err := l.adopt(grant, s.SharerOptions); err != nil {
		if l.served == nil && !errors.Is(err, errStaleGrant) {
			s.fail(err)
		}
		return // else granted before the last change
	}
	if l.key.Names != names {
		s.claimOlderNames()
	}
	s.failover.stop()
	s.retry.reset()
	l.tried, l.quiet = 0, false
	if l.served == nil {
		l.serve(s.SharerOptions)
	}
	s.set(l.status(control.ShareUp, nil))
}

// claimOlderNames claims the names that an older relay has granted, so that the
// link keeps them when the relay is updated.
func (s *Sharer) claimOlderNames() {
	ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
	defer cancel()
	if _, err := s.live.carrier.Claim(ctx, s.live.claim()); err != nil {
		s.Log.Debug("the names were not claimed again", "error", err)
	}
}

// waiting handles a relay that cannot be reached now. If there are others, a
// relay that never carried the link is given up at once, and a relay that
// carried it is given up after failoverAfter.
func (s *Sharer) waiting(why error) {
	if s.live.served == nil && s.live.hasNext() {
		s.next(why)
		return
	}
	s.set(s.live.status(control.ShareWaiting, why))
	if len(s.live.relays) > 1 && s.failover.c == nil {
		s.failover.set(failoverAfter)
	}
}

// failOver leaves a relay that cannot be reached for the next of the list. The first
// follows the last.
func (s *Sharer) failOver() {
	s.failover.stop()
	if s.live != nil && s.Status().State == control.ShareWaiting {
		s.next(errors.New(s.Status().Error))
	}
}

// hasNext reports whether a relay was not tried since the link last worked.
func (l *link) hasNext() bool { return l.tried+1 < len(l.relays) }

// next moves the link to the next relay of the list.
func (s *Sharer) next(why error) {
	old := s.live
	l := &link{
		number: old.number, request: old.request, key: old.key, relays: old.relays, quiet: old.quiet,
		at: (old.at + 1) % len(old.relays), tried: old.tried + 1, table: table{attempts: old.table.attempts},
	}
	p, err := s.planOf(old.request)
	if err == nil {
		err = s.carry(l, p, old.until)
	}
	if err != nil {
		s.over(control.ShareFailed, err, endGrace)
		return
	}
	s.failover.stop()
	old.close(endGrace)
	s.live = l
	l.start(s.SharerOptions)
	if !l.quiet {
		s.Notify(ShareEvent{Kind: ShareMoved, Before: s.Status(), Share: l.status(control.ShareConnecting, why)})
	}
	s.set(l.status(control.ShareConnecting, nil))
}

// fail handles a carrier that has given up.
func (s *Sharer) fail(err error) {
	if e, ok := errors.AsType[*agent.Error](err); ok && e.Reason == agent.ReasonEnded {
		s.endedByRelay()
		return
	}
	if s.useNewestNames(err) {
		return
	}
	if s.live.hasNext() {
		s.next(err)
		return
	}
	s.findOwner(err)
	request := s.live.request
	s.over(control.ShareFailed, err, endGrace)
	if request.Keep && isTemporary(err) {
		s.retry.after(request)
	}
}

// endedByRelay handles a relay for which the link has ended: its clock is ahead
// of ours, or the link was ended elsewhere. The next share gets another link.
func (s *Sharer) endedByRelay() {
	if err := s.live.key.EndLink(); err != nil {
		s.trouble(err)
	}
	began, request, state := s.live.served == nil, s.live.request, control.ShareExpired
	if time.Now().Before(s.live.until) {
		state = control.ShareEnded
	}
	s.over(state, nil, endGrace)
	if began {
		if err := s.begin(request); err != nil {
			s.trouble(err)
		}
	}
}

// useNewestNames starts again with names by the newest rules if the relay has no
// certificate for those of an older link, which never worked then. Relays of all
// versions report it with this text, without a code.
func (s *Sharer) useNewestNames(err error) bool {
	l := s.live
	e, ok := errors.AsType[*agent.Error](err)
	if l.served != nil || l.key.Names == tunnel.NewestNames || !ok || e.Reason != agent.ReasonBadClaim || !strings.Contains(e.Err.Error(), "no certificate for") {
		return false
	}
	if err := l.key.UseNames(tunnel.NewestNames); err != nil {
		s.trouble(err)
		return false
	}
	l.close(endGrace)
	s.live = nil
	if err := s.begin(l.request); err != nil {
		s.trouble(err)
	}
	return true
}

// findOwner adds to the fix of a name that is taken which key of this user had it,
// if one did.
func (s *Sharer) findOwner(err error) {
	e, ok := errors.AsType[*agent.Error](err)
	if !ok || e.Reason != agent.ReasonNameTaken {
		return
	}
	keys, err := s.Store.Keys()
	if err != nil {
		return // the fix is complete without it
	}
	for _, key := range keys {
		if key.Name == s.live.plan.Name && key.Name != "" && !key.Private.Equal(s.live.key.Private) {
			e.Fix = fmt.Sprintf("it is yours: the key of %s had it\nto share it from here: devproxy share --key %s\nto give it up: devproxy relay release %s", key.Folder, key.File, key.Name)
			return
		}
	}
}

// finish ends the link for good. The relay says so from now on, and the next share
// has another link.
func (s *Sharer) finish(state string) {
	l := s.live
	ctx, cancel := context.WithTimeout(context.Background(), claimTimeout)
	defer cancel()
	l.domain.stopAsking()
	unreported := l.carrier.End(ctx)
	if err := l.key.EndLink(); err != nil {
		s.trouble(err)
	}
	s.stop(state, endGrace)
	if unreported != nil && time.Now().Before(l.until) {
		s.trouble(failure.Errorf("", "the relay could not be informed that the link has ended; visitors see a paused link until %s: %w", l.until.Local().Format("15:04, 2 January"), unreported))
	}
}

// stop ends serving and dialling. The link itself stays the same.
func (s *Sharer) stop(state string, grace time.Duration) { s.over(state, nil, grace) }

func (s *Sharer) over(state string, err error, grace time.Duration) {
	s.failover.stop()
	view := s.live.status(state, err)
	view.Again = state == control.ShareFailed && s.live.request.Keep && isTemporary(err)
	s.live.close(grace)
	s.live = nil
	s.set(view)
}

// set makes view the state of the share, and reports the changes. Events of a
// link that is tried again are reported once it works.
func (s *Sharer) set(view control.Share) {
	if s.live != nil && s.live.quiet && view.State != control.ShareUp {
		return
	}
	event, changed := CompareShare(s.Status(), view)
	s.view.Store(&view)
	if changed {
		s.Notify(event)
	}
}

// trouble reports that something was not done.
func (s *Sharer) trouble(err error) {
	view := s.Status()
	view.Error, view.Fix = Explain(err)
	s.Notify(ShareEvent{Kind: ShareTrouble, Share: view})
}

// tryAgain starts a share that failed again, with the same link. Nothing is
// reported until it works or fails in another way.
func (s *Sharer) tryAgain() {
	s.retry.stop()
	l, err := s.newLink(s.retry.request)
	if err != nil { // the user has changed something meanwhile
		view := s.Status()
		view.Error, view.Fix = Explain(err)
		view.Again = false
		s.set(view)
		return
	}
	l.quiet = true
	s.live = l
	l.start(s.SharerOptions)
}

// isTemporary reports whether a share that failed with err can work later without
// another request: a network comes back, or the relay's operator adds a key.
func isTemporary(err error) bool {
	e, ok := errors.AsType[*agent.Error](err)
	if !ok {
		return false
	}
	switch e.Reason {
	case agent.ReasonRelay, agent.ReasonPin, agent.ReasonBadClaim, agent.ReasonEnded, agent.ReasonReplaced, provider.ReasonNoURL:
		return false
	}
	return true
}

// retry is a request that failed and is tried again.
type retry struct {
	alarm
	request control.ShareRequest
	pause   time.Duration
}

func (r *retry) after(request control.ShareRequest) {
	r.request = request
	r.pause = min(max(2*r.pause, firstRetry), longestRetry)
	r.set(r.pause)
}

// reset forgets the request, since the user has sent another.
func (r *retry) reset() {
	r.stop()
	*r = retry{}
}

// alarm is a timer that may be off.
type alarm struct {
	c     <-chan time.Time // nil while it is off
	timer *time.Timer
}

func (a *alarm) set(after time.Duration) {
	a.timer = time.NewTimer(after)
	a.c = a.timer.C
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	*a = alarm{}
}
