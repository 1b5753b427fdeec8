package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// changed follows what the agent says of its connection.
func (s *sharing) changed(state agent.State) {
	switch state.Phase {
	case agent.Up:
		s.up(state.Grant)
	case agent.Resuming:
		s.set(s.describe(control.ShareResuming, nil))
	case agent.Waiting:
		s.waiting(problem(state.Err))
	}
}

// waiting follows a relay that cannot be reached now. Where there are others, one
// that never carried the link is left at once, and one that did after a while.
func (s *sharing) waiting(why error) {
	if s.live.served == nil && s.live.hasNext() {
		s.next(why)
		return
	}
	s.set(s.describe(control.ShareWaiting, why))
	if len(s.live.relays) > 1 {
		s.failover.start()
	}
}

// problem is err as an error: a nil pointer in an interface is none.
func problem(err *agent.Error) error {
	if err == nil {
		return nil
	}
	return err
}

// up takes what the relay granted and serves it.
func (s *sharing) up(grant tunnel.Grant) {
	names := s.live.key.Names
	if err := s.live.adopt(grant, s.shareEnv); err != nil {
		if s.live.served != nil || errors.Is(err, errStaleGrant) {
			return // granted before the last change
		}
		s.fail(err)
		return
	}
	if s.live.key.Names != names {
		s.keepNames()
	}
	s.failover.stop()
	s.again.stop()
	s.live.tried, s.live.quiet = 0, false
	if s.live.served == nil {
		s.live.serve(s.shareEnv)
	}
	s.set(s.describe(control.ShareUp, nil))
}

// keepNames asks for the names that an older relay has granted, so that the link
// keeps them when the relay is updated.
func (s *sharing) keepNames() {
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	if _, err := s.live.carrier.Claim(ctx, s.live.claim()); err != nil {
		s.log.Debug("the names were not asked for again", "error", err)
	}
}

// newerNames begins again with names by the newest rules where the relay has no
// certificate for those of an older link, which never worked then. Relays of all
// versions report it with this text, without a code.
func (s *sharing) newerNames(err error) bool {
	l := s.live
	var e *agent.Error
	if l.served != nil || l.key.Names == tunnel.NewestNames || !errors.As(err, &e) || e.Reason != agent.ReasonBadClaim || !strings.Contains(e.Err.Error(), "no certificate for") {
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

// findOwner adds to the fix of err which key of this user had the name that belongs
// to another key, if one had it.
func (s *sharing) findOwner(err error) {
	var e *agent.Error
	if !errors.As(err, &e) || e.Reason != agent.ReasonNameTaken {
		return
	}
	keys, err := folderKeys(s.home)
	if err != nil {
		return // the fix says what to do without it
	}
	for _, key := range keys {
		if key.name == s.live.plan.Name && key.name != "" && !key.key.Equal(s.live.key.Key) {
			e.Fix = fmt.Sprintf("it is your own: the key of %s had it\nto share it from here: devproxy share --key %s\nto give it up: devproxy relay release %s", key.folder, key.file, key.name)
			return
		}
	}
}

// finish ends the link for good: the relay says so from now on, and the next
// share has another.
func (s *sharing) finish(state string) {
	l := s.live
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	untold := l.carrier.End(ctx)
	if err := l.key.Next(); err != nil {
		s.trouble(err)
	}
	s.stop(state, endGrace)
	if untold != nil && time.Now().Before(l.until) {
		s.trouble(failf("", "the relay could not be told; for visitors the link is paused until %s: %w", untilText(l.until, time.Now()), untold))
	}
}

// stop ends serving and dialling. The link itself stays what it was.
func (s *sharing) stop(state string, patience time.Duration) { s.over(state, nil, patience) }

// fail is the end of a share that cannot go on: its carrier has given up.
func (s *sharing) fail(err error) {
	var e *agent.Error
	if !errors.As(err, &e) || e.Reason != agent.ReasonEnded {
		if s.newerNames(err) {
			return
		}
		if s.live.hasNext() {
			s.next(err)
			return
		}
		s.findOwner(err)
		request := s.live.request
		s.over(control.ShareFailed, err, endGrace)
		s.again.after(request, err)
		return
	}
	// The relay says that the link is over: its clock is ahead of ours, or it
	// knows of an end that this folder does not. The next one is another.
	if err := s.live.key.Next(); err != nil {
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

func (s *sharing) over(state string, err error, patience time.Duration) {
	s.failover.stop()
	view := s.describe(state, err)
	view.Again = state == control.ShareFailed && s.live.request.Keep && mayPass(err)
	s.live.close(patience)
	s.live = nil
	s.set(view)
}

// set makes view how the share stands, and tells what has changed. What a link
// that is tried again goes through is told once it works.
func (s *sharing) set(view control.Share) {
	if s.live != nil && s.live.quiet && view.State != control.ShareUp {
		return
	}
	event, changed := shareChange(s.now(), view)
	s.view.Store(&view)
	if changed {
		s.tell(event)
	}
}

// trouble tells of something that was not done.
func (s *sharing) trouble(err error) {
	view := s.now()
	view.Error, view.Fix = describeError(err)
	s.tell(shareEvent{kind: shareTrouble, share: view})
}
