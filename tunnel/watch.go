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

// tick does everything that depends on time, except sending acknowledgements.
func (s *Session) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.due = time.Time{}
	now := time.Now()
	for _, l := range slices.Clone(s.sched.lanes) {
		s.watchLocked(l, now)
		if s.ended {
			return
		}
	}
	switch {
	case len(s.sched.lanes) == 0 && now.Sub(s.laneless) >= ResumeTimeout:
		s.endLocked(ErrLost, nil)
	case s.isDrainedLocked():
		s.endLocked(ErrDrained, &Refusal{Code: codeDrained})
	default:
		s.sched.pullAll()
		s.countLanesLocked(now)
		s.armLocked(s.nextTickLocked(now))
	}
}

// watchLocked decides whether a lane is dead. If it is not, its late frames are
// sent again, and a sign of life is requested.
func (s *Session) watchLocked(l *lane, now time.Time) {
	switch {
	case !l.probe.IsZero() && !now.Before(l.probe):
		s.dropLocked(l, errors.New("no sign of life within 2 s after the network changed"))
	case !l.owed.IsZero() && now.Sub(l.owed) >= silence:
		s.dropLocked(l, fmt.Errorf("no answer for %v", silence))
	case now.Sub(l.heard) >= patience:
		s.dropLocked(l, fmt.Errorf("nothing heard for %v", patience))
	case s.isRetiredLocked(l, now):
		s.dropLocked(l, nil)
	default:
		s.sched.relieve(l, now)
		stuck := s.sched.path.stuck()
		if l.stalled(now) >= stuck && now.Sub(l.pinged) >= stuck {
			s.pingLocked(l, now) // its acknowledgements may be on a lane that fell silent
		}
		if s.dialer != nil && l.owed.IsZero() && now.Sub(l.heard) >= pingEvery {
			s.pingLocked(l, now)
		}
	}
}

// nextTickLocked returns when tick has something to do next.
func (s *Session) nextTickLocked(now time.Time) time.Duration {
	if len(s.sched.lanes) == 0 {
		return s.laneless.Add(ResumeTimeout).Sub(now)
	}
	d := patience
	for _, l := range s.sched.lanes {
		switch {
		case len(l.flights) > 0:
			d = min(d, s.sched.path.interval())
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

// Probe asks every lane for a sign of life and gives up each lane that shows
// none within 2 s: after a sleep, or when the machine's addresses have changed.
func (s *Session) Probe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, l := range s.sched.lanes {
		l.probe = now.Add(probeTimeout)
		s.pingLocked(l, now)
	}
	s.armLocked(probeTimeout)
	if s.dialer != nil {
		s.dialer.hurry()
	}
}

// pingLocked asks a lane for a sign of life.
func (s *Session) pingLocked(l *lane, now time.Time) {
	if l.owed.IsZero() {
		l.owed = now
	}
	l.pinged = now
	s.answerLocked(l, wireFrame{kind: kindPing, number: uint64(now.UnixMilli())})
}

// maxAnswers bounds the answers that wait on a lane that does not write.
const maxAnswers = 16

// answerLocked sends a frame that is not counted on a lane.
func (s *Session) answerLocked(l *lane, f wireFrame) {
	if len(l.answers) < maxAnswers {
		l.answers = append(l.answers, f)
	}
	s.sched.kick(l)
}

// sendLocked sends a frame of the session on any lane.
func (s *Session) sendLocked(f wireFrame) { s.sched.push(&item{frame: f, short: true}) }
