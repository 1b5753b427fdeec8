package tunnel

import "time"

// How many lanes a session has.
const (
	firstLanes = 2  // to begin with
	lossyLanes = 16 // on a path that loses packets
	idleLanes  = 1  // after idleAfter without a stream
	longLanes  = 16 // while something long is under way
	// distant is the round trip from which several connections carry more than
	// one: below, one fills the path.
	distant = 10 * time.Millisecond
	// longBytes is what has been written to a stream for its message to be long.
	longBytes = 192 << 10
	// longMemory is how long the lanes of a long message are kept.
	longMemory = 30 * time.Second
	idleAfter  = 30 * time.Second
)

// laneCount is how many lanes each end wants.
type laneCount struct {
	own, other int
	longTo     time.Time // something long was under way until then
	busy       time.Time // when a stream was last open
}

// countLanesLocked decides how many lanes this end wants, and tells the end
// that dials.
func (s *Session) countLanesLocked(now time.Time) {
	s.countLossLocked(now)
	s.wearLocked(now)
	if len(s.streams) > 0 || s.want.busy.IsZero() {
		s.want.busy = now
	}
	if s.longLastsLocked() {
		s.want.longTo = now.Add(longMemory)
	}
	want := firstLanes
	switch {
	case now.Before(s.want.longTo):
		want = longLanes
	case now.Sub(s.want.busy) >= idleAfter:
		want = idleLanes
	case s.path.lossy(now):
		want = lossyLanes
	}
	if s.dialer == nil {
		want = min(want+s.troubledLocked(now), MaxLanes) // what the dialling end need not see
	}
	if want != s.want.own && s.dialer == nil {
		s.pushLocked(&item{frame: wireFrame{kind: kindLanes, number: uint64(want)}, short: true})
	}
	s.want.own = want
	s.missLocked()
}

// longLastsLocked reports whether a message that is long already has more to
// send than the lanes have taken, on a path where more of them help.
func (s *Session) longLastsLocked() bool {
	if s.path.rtt < distant {
		return false
	}
	for _, st := range s.ring {
		if st.offset >= longBytes {
			return true
		}
	}
	return false
}

// missingLocked is how many lanes the dialling end lacks; negative when there
// are more than needed. Lanes in trouble do not count: should the path be back
// before they notice, a fresh one is there at once.
func (s *Session) missingLocked(now time.Time) int {
	n := max(s.want.own, s.want.other)
	worn := 0
	for _, l := range s.lanes {
		switch {
		case !l.usable() || l.stalled(now) >= troubled:
		case l.worn && worn < succession:
			worn++
		default:
			n--
		}
	}
	return min(n, maxJoined-len(s.lanes))
}

// troubledLocked is how many lanes are in trouble.
func (s *Session) troubledLocked(now time.Time) int {
	n := 0
	for _, l := range s.lanes {
		if l.usable() && l.stalled(now) >= troubled {
			n++
		}
	}
	return n
}

// succession is how many worn lanes are replaced at once.
const succession = 8

// troubled is when a lane is no longer counted on.
const troubled = 1500 * time.Millisecond

// missLocked has missing lanes dialled and retires those too many.
func (s *Session) missLocked() {
	if s.dialer == nil || s.ended {
		return
	}
	now := time.Now()
	missing := s.missingLocked(now)
	if missing > 0 {
		s.dialer.need(missing, len(s.lanes) == 0)
		return
	}
	for i := len(s.lanes) - 1; i > 0 && missing < 0; i-- {
		if l := s.lanes[i]; l.usable() && l.unacked == 0 {
			s.retireLocked(l, now)
			missing++
		}
	}
}

// retireLocked has no more frames given to a lane, at both ends; the dialling
// one closes it when all that it carried has arrived.
func (s *Session) retireLocked(l *lane, now time.Time) {
	l.retiring = now
	s.pushLocked(&item{frame: wireFrame{kind: kindRetire, lane: uint64(l.number)}, short: true})
	s.armLocked(retireDelay)
}

// wearLocked finds lanes that losses have made slow, while something long is
// under way on a path whose queues are empty: there a loss is no sign of
// congestion, and a new connection is several times as fast. They are retired
// as their successors join.
func (s *Session) wearLocked(now time.Time) {
	if !now.Before(s.want.longTo) || !s.path.lossy(now) || !s.emptyLocked() {
		return
	}
	for _, l := range s.lanes {
		l.worn = l.usable() && s.carriesLocked(l, now) && l.loss.again >= wornLosses && l.loss.window < wornWindow
	}
}

// A lane is worn once the kernel had to repeat this many segments on it and
// lets so few be in flight. (Linux begins with 10.)
const (
	wornLosses = 1
	wornWindow = 40
)

// inUseLocked is how many lanes are not on their way out.
func (s *Session) inUseLocked() int {
	n := 0
	for _, l := range s.lanes {
		if l.usable() {
			n++
		}
	}
	return n
}

// succeedLocked retires the most worn lane when a new one has joined.
func (s *Session) succeedLocked(now time.Time) {
	var worst *lane
	for _, l := range s.lanes {
		if l.worn && l.usable() && (worst == nil || l.loss.window < worst.loss.window) {
			worst = l
		}
	}
	if worst != nil && s.inUseLocked() > max(s.want.own, s.want.other) {
		s.retireLocked(worst, now)
	}
}
