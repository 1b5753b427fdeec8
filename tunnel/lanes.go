package tunnel

import (
	"slices"
	"time"
)

// How many lanes a session has.
const (
	firstLanes = 2  // to begin with
	lossyLanes = 16 // on a path that loses packets
	idleLanes  = 1  // after idleAfter without a stream
	visitLanes = 8  // after a visit to a distant end
	longLanes  = 16 // while something long is under way
	// distant is the round trip from which several connections carry more than
	// one: below, one fills the path.
	distant = 10 * time.Millisecond
	// longBytes is how much was written to a stream whose message counts as long.
	longBytes = 192 << 10
	// longMemory is how long the lanes of a long message are kept, and visitMemory
	// those of a visit.
	longMemory  = 30 * time.Second
	visitMemory = 30 * time.Second
	idleAfter   = 30 * time.Second
	// troubled is how long the oldest frame of a lane has waited when the lane no
	// longer counts: should the path work again before the lane does, another one is
	// there at once.
	troubled = 1500 * time.Millisecond
)

// A lane is slow once the kernel had to repeat slowLosses segments on it and allows
// fewer than slowWindow in flight. (Linux begins with 10.)
const (
	slowLosses = 1
	slowWindow = 40
	// maxReplaced is how many slow lanes are replaced at once.
	maxReplaced = 8
)

// laneCount is how many lanes each end wants.
type laneCount struct {
	own, other int
	longTo     time.Time // something long was under way until then
	visitTo    time.Time // a visit is expected to go on until then
	busy       time.Time // when a stream was last open
}

// most is how many lanes the session is to have.
func (c *laneCount) most() int { return max(c.own, c.other) }

// update notes how busy the session is, and returns how many lanes this end wants.
func (c *laneCount) update(now time.Time, streams int, long, lossy bool) int {
	if streams > 0 || c.busy.IsZero() {
		c.busy = now
	}
	if long {
		c.longTo = now.Add(longMemory)
	}
	switch {
	case now.Before(c.longTo):
		return longLanes
	case now.Sub(c.busy) >= idleAfter:
		return idleLanes
	case lossy:
		return lossyLanes
	case now.Before(c.visitTo):
		return visitLanes
	}
	return firstLanes
}

// visitLocked notes that the other end opens a stream. A visit rarely has only one
// response, so that lanes are dialled with its first stream: once a long message
// waits for them, that would take three round trips more.
func (s *Session) visitLocked() {
	if s.sched.path.rtt >= distant {
		now := time.Now()
		if now.After(s.want.visitTo) {
			s.armLocked(0)
		}
		s.want.visitTo = now.Add(visitMemory)
	}
}

// hasLong reports whether a message that is long already has more to send than the
// lanes have taken, on a path where more of them help.
func (q *scheduler) hasLong() bool {
	return q.path.rtt >= distant && slices.ContainsFunc(q.ring, func(st *sender) bool { return st.offset >= longBytes })
}

// inUse counts the lanes that do not retire, and those of them in trouble.
func (q *scheduler) inUse(now time.Time) (n, inTrouble int) {
	for _, l := range q.lanes {
		if l.usable() {
			n++
			if l.stalled(now) >= troubled {
				inTrouble++
			}
		}
	}
	return n, inTrouble
}

// missing returns how many of the wanted lanes are missing; negative when there are
// too many. Lanes in trouble do not count, and neither do slow ones.
func (q *scheduler) missing(want int, now time.Time) int {
	slow := 0
	for _, l := range q.lanes {
		switch {
		case !l.usable() || l.stalled(now) >= troubled:
		case l.slow && slow < maxReplaced:
			slow++
		default:
			want--
		}
	}
	return min(want, maxJoined-len(q.lanes))
}

// markSlow finds lanes that losses have made slow, while something long is under
// way on a path whose queues are empty. There a loss is not a sign of congestion,
// and a new connection is several times as fast. They retire as others replace them.
func (q *scheduler) markSlow(now time.Time) {
	if !q.path.lossy(now) || !q.hasEmptyQueues() {
		return
	}
	for _, l := range q.lanes {
		l.slow = l.usable() && q.carriesLong(l, now) && l.loss.again >= slowLosses && l.loss.window < slowWindow
	}
}

// slowest returns the slowest lane that is to be replaced; nil for none.
func (q *scheduler) slowest() *lane {
	return q.pick(func(l *lane) bool { return l.slow && l.usable() }, func(a, b *lane) bool { return a.loss.window < b.loss.window })
}

// longestInTrouble returns the lane that has been in trouble for longest; nil for none.
func (q *scheduler) longestInTrouble(now time.Time) *lane {
	return q.pick(func(l *lane) bool { return l.stalled(now) >= troubled }, func(a, b *lane) bool { return a.stalled(now) > b.stalled(now) })
}

// countLanesLocked decides how many lanes this end wants, and tells the end that
// dials. The accepting end adds its lanes in trouble, which the other may not see.
func (s *Session) countLanesLocked(now time.Time) {
	s.sched.countLosses(now)
	if now.Before(s.want.longTo) {
		s.sched.markSlow(now)
	}
	want := s.want.update(now, len(s.table.open), s.sched.hasLong(), s.sched.path.lossy(now))
	if s.dialer == nil {
		_, inTrouble := s.sched.inUse(now)
		want = min(want+inTrouble, MaxLanes)
		if want != s.want.own {
			s.sendLocked(wireFrame{kind: kindLanes, number: uint64(want)})
		}
	}
	s.want.own = want
	s.adjustLanesLocked()
}

// adjustLanesLocked has missing lanes dialled and retires those too many.
func (s *Session) adjustLanesLocked() {
	if s.dialer == nil || s.ended {
		return
	}
	now := time.Now()
	missing := s.sched.missing(s.want.most(), now)
	if missing > 0 {
		s.dialer.need(missing, len(s.sched.lanes) == 0)
		return
	}
	for i := len(s.sched.lanes) - 1; i > 0 && missing < 0; i-- {
		if l := s.sched.lanes[i]; l.usable() && l.unacked == 0 {
			s.retireLocked(l, now)
			missing++
		}
	}
}

// replaceSlowLocked retires the slowest lane, now that a new one has joined.
func (s *Session) replaceSlowLocked(now time.Time) {
	n, _ := s.sched.inUse(now)
	if slowest := s.sched.slowest(); slowest != nil && n > s.want.most() {
		s.retireLocked(slowest, now)
	}
}

// retireDelay is the least that the other end gets to stop using a lane.
const retireDelay = 100 * time.Millisecond

// retireLocked has both ends give a lane no more frames. The dialling end closes it
// when everything on it has arrived.
func (s *Session) retireLocked(l *lane, now time.Time) {
	l.retiring = now
	s.sendLocked(wireFrame{kind: kindRetire, lane: uint64(l.number)})
	s.armLocked(retireDelay)
}

// isRetiredLocked reports whether a lane that was asked to end may be closed.
func (s *Session) isRetiredLocked(l *lane, now time.Time) bool {
	return s.dialer != nil && !l.retiring.IsZero() && l.empty() && now.Sub(l.retiring) >= max(retireDelay, 2*s.sched.path.rtt)
}
