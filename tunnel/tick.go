package tunnel

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// armLocked has tick called within d.
func (s *Session) armLocked(d time.Duration) {
	if s.ended {
		return
	}
	due := time.Now().Add(d)
	if !s.due.IsZero() && s.due.Before(due) {
		return
	}
	s.due = due
	s.ticker.Reset(d)
}

// tick looks after everything that time does to a session.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.due = time.Time{}
	now := time.Now()
	for _, l := range slices.Clone(s.lanes) {
		s.watchLocked(l, now)
		if s.ended {
			return
		}
	}
	switch {
	case len(s.lanes) == 0 && !s.since.IsZero() && now.Sub(s.since) >= ResumeTimeout:
		s.endLocked(ErrLost, nil)
	case s.drainedLocked():
		s.endLocked(ErrDrained, &Refusal{Code: codeDrained})
	default:
		s.pullMoreLocked()
		s.countLanesLocked(now)
		s.armLocked(s.nextLookLocked(now))
	}
}

// watchLocked looks after one lane.
func (s *Session) watchLocked(l *lane, now time.Time) {
	switch {
	case !l.probe.IsZero() && !now.Before(l.probe):
		s.dropLocked(l, errors.New("no sign of life within 2 s after the network changed"))
	case !l.owed.IsZero() && now.Sub(l.owed) >= silence:
		s.dropLocked(l, fmt.Errorf("no answer for %v", silence))
	case now.Sub(l.heard) >= patience:
		s.dropLocked(l, fmt.Errorf("nothing heard for %v", patience))
	case !l.retiring.IsZero() && s.retiredLocked(l, now):
		s.dropLocked(l, nil)
	default:
		s.relieveLocked(l, now)
		if l.stalled(now) >= s.path.stuck() && now.Sub(l.pinged) >= s.path.stuck() {
			s.pingLocked(l, now) // its acknowledgements may lie on a lane that fell silent
		}
		if s.dialer != nil && l.owed.IsZero() && now.Sub(l.heard) >= pingEvery {
			s.pingLocked(l, now)
		}
	}
}

// retireDelay is the least that the other end gets to stop using a lane.
const retireDelay = 100 * time.Millisecond

// retiredLocked reports whether a lane that was asked to end may be closed.
func (s *Session) retiredLocked(l *lane, now time.Time) bool {
	return s.dialer != nil && len(l.flights)+len(l.queue) == 0 && now.Sub(l.retiring) >= max(retireDelay, 2*s.path.rtt)
}

// nextLookLocked is when tick has something to do next.
func (s *Session) nextLookLocked(now time.Time) time.Duration {
	if len(s.lanes) == 0 {
		return s.since.Add(ResumeTimeout).Sub(now)
	}
	d := patience
	for _, l := range s.lanes {
		switch {
		case len(l.flights) > 0:
			d = min(d, s.path.glance())
		case !l.retiring.IsZero():
			d = min(d, retireDelay)
		case !l.owed.IsZero():
			d = min(d, l.owed.Add(silence).Sub(now))
		case s.dialer != nil:
			d = min(d, l.heard.Add(pingEvery).Sub(now))
		default:
			d = min(d, l.heard.Add(patience).Sub(now))
		}
		if !l.probe.IsZero() {
			d = min(d, l.probe.Sub(now))
		}
	}
	return max(d, time.Millisecond)
}

// pingLocked asks a lane for a sign of life.
func (s *Session) pingLocked(l *lane, now time.Time) {
	if l.owed.IsZero() {
		l.owed = now
	}
	l.pinged = now
	s.answerLocked(l, wireFrame{kind: kindPing, number: uint64(now.UnixMilli())})
}

// maxAnswers bounds what a lane that does not write keeps to say.
const maxAnswers = 16

func (s *Session) answerLocked(l *lane, f wireFrame) {
	if len(l.answers) < maxAnswers {
		l.answers = append(l.answers, f)
	}
	l.kickLocked()
}

// lost is told by a lane's goroutines that it ended.
func (s *Session) lost(l *lane, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var broken *ProtocolError
	if errors.As(err, &broken) && !s.ended {
		s.endLocked(broken, &Refusal{CodeFailed, broken.Text})
	}
	s.dropLocked(l, err)
}

// dropLocked gives a lane up: what was not acknowledged goes over the others.
func (s *Session) dropLocked(l *lane, why error) {
	if l.dead {
		return
	}
	l.dead = true
	s.running.Go(l.close)
	i := slices.Index(s.lanes, l)
	if i < 0 {
		return
	}
	s.lanes = slices.Delete(s.lanes, i, i+1)
	if why = quietly(why); why != nil {
		s.log.Debug("lane lost", "lane", l.number, "error", why)
	}
	if len(s.lanes) == 0 {
		s.since = time.Now()
		s.armLocked(ResumeTimeout)
	} else if why != nil {
		s.pushLocked(&item{frame: wireFrame{kind: kindGone, lane: uint64(l.number)}, short: true})
	}
	s.rescueLocked(l)
	s.missLocked()
}

// rescueLocked finds other lanes for what a dead one carried.
func (s *Session) rescueLocked(l *lane) {
	carried := make([]*item, 0, len(l.flights)+len(l.queue))
	for _, fl := range l.flights {
		carried = append(carried, fl.item)
	}
	carried = append(carried, l.queue...)
	l.flights, l.queue, l.unacked = nil, nil, 0
	for _, it := range carried {
		it.copies--
		switch {
		case it.done:
			s.releaseLocked(it)
		case it.copies > 0: // still on its way elsewhere
		case it.short:
			s.pushLocked(it)
		case it.waiting:
		default:
			it.waiting = true
			s.resend = append(s.resend, it)
			s.pullLocked()
		}
	}
}

// joinLocked makes l a lane of the session.
func (s *Session) joinLocked(l *lane) {
	l.session = s
	l.heard = time.Now()
	s.lanes = append(s.lanes, l)
	s.since = time.Time{}
	orphans := s.orphans
	s.orphans = nil
	for _, it := range orphans {
		if it.done {
			s.releaseLocked(it)
		} else {
			s.pushLocked(it)
		}
	}
	s.pullMoreLocked()
	s.running.Go(l.run)
	s.armLocked(pingEvery)
}
