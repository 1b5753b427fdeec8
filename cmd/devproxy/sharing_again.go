package main

import (
	"errors"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// failoverAfter is how long a relay that carried the link may stay away, once
	// visitors do not wait for it any more (tunnel.ResumeTimeout), before the next
	// one of the list is tried: its link is another.
	failoverAfter = 5 * time.Second
	// firstAgain and longestAgain are between attempts of a share that failed.
	// The pause doubles every time.
	firstAgain   = 5 * time.Second
	longestAgain = 2 * time.Minute
)

// failover is the wait before the next relay of a list is tried.
type failover struct {
	c     <-chan time.Time // nil while nothing is waited for
	timer *time.Timer
}

// start begins to wait, unless that is so already.
func (f *failover) start() {
	if f.c == nil {
		f.timer = time.NewTimer(failoverAfter)
		f.c = f.timer.C
	}
}

func (f *failover) stop() {
	if f.timer != nil {
		f.timer.Stop()
	}
	*f = failover{}
}

// failOver leaves a relay that cannot be reached for the next of its list. After
// the last comes the first again.
func (s *sharing) failOver() {
	s.failover.stop()
	if s.live != nil && s.now().State == control.ShareWaiting {
		s.next(errors.New(s.now().Error))
	}
}

// hasNext reports whether there is a relay that was not tried since the link last
// worked.
func (l *link) hasNext() bool { return l.tried+1 < len(l.relays) }

// next goes on with the next relay of the list, and says why.
func (s *sharing) next(why error) {
	old := s.live
	l := &link{
		number: old.number, request: old.request, key: old.key, relays: old.relays, quiet: old.quiet,
		at: (old.at + 1) % len(old.relays), tried: old.tried + 1, table: table{attempts: old.table.attempts},
	}
	p, err := s.shareOf(old.request)
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
	l.start(s.shareEnv)
	moved := s.describe(control.ShareConnecting, why)
	if !l.quiet {
		s.tell(shareEvent{kind: shareMoved, before: s.now(), share: moved})
	}
	moved.Error, moved.Fix = "", ""
	s.set(moved)
}

// retry is a share that failed and is tried again.
type retry struct {
	c       <-chan time.Time // nil while nothing is to be tried
	timer   *time.Timer
	request control.ShareRequest
	pause   time.Duration
}

// after has a request tried again that failed with err, where that can help.
func (r *retry) after(request control.ShareRequest, err error) {
	if !request.Keep || !mayPass(err) {
		return
	}
	r.request = request
	r.pause = min(max(2*r.pause, firstAgain), longestAgain)
	r.timer = time.NewTimer(r.pause)
	r.c = r.timer.C
}

// stop forgets what was to be tried: somebody has asked for something else.
func (r *retry) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
	*r = retry{}
}

// tryAgain begins again, as the same link. Nothing is told before it works or
// fails in another way.
func (s *sharing) tryAgain() {
	s.again.c = nil
	l, err := s.newLink(s.again.request)
	if err != nil { // what the user has changed meanwhile
		view := s.now()
		view.Error, view.Fix = describeError(err)
		view.Again = false
		s.set(view)
		return
	}
	l.quiet = true
	s.live = l
	l.start(s.shareEnv)
}

// mayPass reports whether a share that failed with err can work later without
// another request: a network comes back, a relay's owner adds a key.
func mayPass(err error) bool {
	var e *agent.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case agent.ReasonRelay, agent.ReasonPin, agent.ReasonBadClaim, agent.ReasonEnded, agent.ReasonReplaced, provider.ReasonNoURL:
		return false
	}
	return true
}
