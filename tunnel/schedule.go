package tunnel

import (
	"slices"
	"time"
)

// pushLocked gives a short item to the lane that will deliver it first, and on
// a path with loss to a second one: then a lost packet costs no time-out.
func (s *Session) pushLocked(it *item) {
	s.countItemLocked(it)
	now := time.Now()
	best := s.bestLocked(nil, now)
	if best == nil {
		s.orphans = append(s.orphans, it)
		return
	}
	s.queueLocked(best, it)
	if it.size() <= hedgeBytes && s.path.lossy(now) {
		if second := s.bestLocked(best, now); second != nil && second.unacked < shortBytes {
			s.stats.Resent += uint64(len(it.frame.data))
			s.queueLocked(second, it)
		}
	}
}

func (s *Session) queueLocked(l *lane, it *item) {
	it.copies++
	l.queue = append(l.queue, it)
	l.unacked += it.size()
	l.kickLocked()
}

// bestLocked is the lane, other than the one given, with the least before what
// it is given next; a lane whose oldest frame should have been acknowledged
// by now comes last. Nil when there is none.
func (s *Session) bestLocked(except *lane, now time.Time) *lane {
	var best *lane
	var cost int
	for _, l := range s.lanes {
		if l == except || !l.usable() {
			continue
		}
		c := l.unacked
		if late := l.stalled(now) - s.path.late(); late > 0 {
			c += lateCost + int(late/time.Millisecond)<<10
		}
		if best == nil || c < cost {
			best, cost = l, c
		}
	}
	return best
}

// lateCost is what a late lane is thought to have before it, in bytes: more
// than any lane that is not late.
const lateCost = 1 << 30

// free is how many of n lanes are kept free of long messages, so that a short
// one never waits behind them.
func free(n int) int {
	switch {
	case n >= 8:
		return 3
	case n >= 4:
		return 2
	case n >= 2:
		return 1
	}
	return 0
}

// carriesLocked reports whether l takes long messages: all lanes do but the
// oldest few. Lanes in trouble count for nothing: they may be all that carry.
func (s *Session) carriesLocked(l *lane, now time.Time) bool {
	n, place := 0, 0
	for _, other := range s.lanes {
		if other == l {
			place = n
		}
		if other.usable() && other.stalled(now) < s.path.stuck() {
			n++
		}
	}
	return place >= free(n)
}

// burden is after how long without an acknowledgement a lane is given no more
// of long messages: they would lie in its queue.
const burden = time.Second

func (l *lane) burdened(now time.Time) bool { return l.stalled(now) >= burden }

// pullLocked tells a lane that there are bytes for it: of those that wait, the
// one with the least in flight. It reports whether one did.
func (s *Session) pullLocked() bool {
	now := time.Now()
	var idle *lane
	for _, l := range s.lanes {
		if !l.writing && l.usable() && !l.burdened(now) && s.carriesLocked(l, now) && (idle == nil || l.unacked < idle.unacked) {
			idle = l
		}
	}
	if idle != nil {
		idle.kickLocked()
	}
	return idle != nil
}

// pullMoreLocked has what waits pulled by lanes that have come to carry it:
// others are in trouble or retire, or their queues have emptied.
func (s *Session) pullMoreLocked() {
	for n := len(s.ring) + len(s.resend); n > 0 && s.pullLocked(); n-- {
	}
}

// next appends what is to be written on l; nothing ends the writing.
func (s *Session) next(l *lane, b []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.dead {
		b = s.fillLocked(l, b)
	}
	l.writing = len(b) > 0
	return b
}

// fillLocked appends the frames that l shall write next: answers, short items,
// else one long one, and acknowledgements with any of them.
func (s *Session) fillLocked(l *lane, b []byte) []byte {
	now := time.Now()
	for _, f := range l.answers {
		b = f.append(b)
	}
	l.answers = nil
	first := len(l.flights) == 0
	for len(l.queue) > 0 && (len(b) == 0 || len(b)+l.queue[0].size() <= batchBytes) {
		it := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		b = s.writeLocked(l, it, b, now, first)
	}
	if len(l.queue) == 0 {
		l.queue = nil
	}
	if len(b) == 0 && l.usable() {
		if it := s.longLocked(l, now); it != nil {
			it.copies++
			l.unacked += it.size()
			b = s.writeLocked(l, it, b, now, first)
		}
	}
	if len(b) > 0 || l.ackNow {
		b = s.acksLocked(l, b)
	}
	return b
}

// writeLocked puts an item into flight on l.
func (s *Session) writeLocked(l *lane, it *item, b []byte, now time.Time, alone bool) []byte {
	if it.done {
		it.copies--
		l.unacked -= it.size()
		s.releaseLocked(it)
		return b
	}
	it.written = true
	l.sent++
	if len(l.flights) == 0 {
		l.owed = now
		s.armLocked(s.path.glance())
	}
	l.flights = append(l.flights, flight{it, now, alone})
	return it.frame.append(b)
}

// longLocked is the next piece of a long message for l: what lost its lane
// comes first, then the streams in turn, then what is late on other lanes.
func (s *Session) longLocked(l *lane, now time.Time) *item {
	if !s.carriesLocked(l, now) || l.burdened(now) {
		return nil
	}
	if it := s.resendLocked(l); it != nil {
		return it
	}
	for len(s.ring) > 0 {
		st := s.ring[0]
		s.ring[0] = nil
		s.ring = s.ring[1:]
		it := st.nextPending()
		if len(st.pending) > 0 {
			s.ring = append(s.ring, st)
		} else {
			st.inRing = false
		}
		if it != nil {
			return it
		}
	}
	s.ring = nil
	return s.lateLocked(l, now)
}

// resendLocked takes the first of what is to be sent again that l does not
// carry already.
func (s *Session) resendLocked(l *lane) *item {
	for i := 0; i < len(s.resend); {
		it := s.resend[i]
		if !it.done && l.carries(it) {
			i++
			continue
		}
		s.resend = slices.Delete(s.resend, i, i+1)
		it.waiting = false
		if !it.done {
			s.stats.Resent += uint64(len(it.frame.data))
			return it
		}
		s.releaseLocked(it)
	}
	return nil
}

// carries reports whether an item lies on the lane.
func (l *lane) carries(it *item) bool {
	return it.copies > 0 && slices.ContainsFunc(l.flights, func(fl flight) bool { return fl.item == it })
}

// lateLocked is a long item that is late on another lane, for a lane that has
// nothing else to do: the end of a transfer must not wait for the slowest.
func (s *Session) lateLocked(l *lane, now time.Time) *item {
	var oldest *flight
	for _, other := range s.lanes {
		if other == l || len(other.flights) == 0 {
			continue
		}
		fl := &other.flights[0]
		it := fl.item
		if it.done || it.short || it.waiting || it.copies >= maxCopies || s.youngLocked(fl, s.path.lateLong(), now) || l.carries(it) {
			continue
		}
		if oldest == nil || fl.at.Before(oldest.at) {
			oldest = fl
		}
	}
	if oldest == nil {
		return nil
	}
	oldest.item.copied = now
	s.stats.Resent += uint64(len(oldest.item.frame.data))
	return oldest.item
}

// relieveLocked sends what is late again, over another lane: short items that
// went over one lane only, and long ones after a time that only a lane in
// trouble needs.
func (s *Session) relieveLocked(l *lane, now time.Time) {
	if stuck := l.stalled(now); stuck < s.path.late() {
		return
	}
	other := s.bestLocked(l, now)
	if other == nil || other.stalled(now) >= s.path.late() {
		return // no lane is better off
	}
	for i := range l.flights {
		fl := &l.flights[i]
		if now.Sub(fl.at) < s.path.late() {
			break // those behind are younger
		}
		s.againLocked(fl, other, now)
	}
	// What the lane has not even written goes elsewhere altogether.
	for _, it := range l.queue {
		it.copies--
		l.unacked -= it.size()
		s.queueLocked(other, it)
	}
	l.queue = nil
}

// maxCopies bounds on how many lanes an item may lie at once.
const maxCopies = 4

// againLocked sends an item in flight once more: a short one over the lane
// given, a long one over whichever can write.
func (s *Session) againLocked(fl *flight, other *lane, now time.Time) {
	it := fl.item
	after := s.path.stuck()
	if it.short {
		after = s.path.lateShort()
	}
	if it.done || it.waiting || it.copies >= maxCopies || s.youngLocked(fl, after, now) {
		return
	}
	it.copied = now
	if it.short {
		if !other.carries(it) {
			s.stats.Resent += uint64(len(it.frame.data))
			s.queueLocked(other, it)
		}
		return
	}
	it.waiting = true
	s.resend = append(s.resend, it)
	s.pullLocked()
}

// youngLocked reports whether a flight, and the last copy of what it carries,
// is younger than d.
func (s *Session) youngLocked(fl *flight, d time.Duration, now time.Time) bool {
	return now.Sub(fl.at) < d || now.Sub(fl.item.copied) < d
}
