package tunnel

import (
	"fmt"
	"time"
)

// take acts on a frame that came over l.
func (s *Session) take(l *lane, f wireFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.dead {
		freeData(f.data)
		return nil
	}
	now := time.Now()
	l.heard, s.stats.Heard = now, now
	if f.kind.counted() {
		s.countLocked(l, len(f.data))
	}
	switch {
	case f.kind.isData() || f.kind == kindReset || f.kind == kindStop || f.kind == kindCredit:
		return s.takeStreamLocked(f)
	case f.kind == kindAck:
		return s.takeAckLocked(f, now)
	case f.kind == kindPing:
		s.answerLocked(l, wireFrame{kind: kindPong, number: f.number})
	case f.kind == kindPong:
		l.probe = time.Time{}
		if len(l.flights) == 0 {
			l.owed = time.Time{}
		}
	case f.kind == kindDrain:
		if !s.drains {
			s.drainLocked()
		}
	case f.kind == kindLanes:
		s.want.other = int(min(max(f.number, 1), MaxLanes))
		s.missLocked()
	case f.kind == kindRetire:
		if l := s.laneLocked(f.lane); l != nil {
			l.retiring = now
			s.pullMoreLocked()
		}
	case f.kind == kindGone:
		if l := s.laneLocked(f.lane); l != nil {
			s.dropLocked(l, nil)
		}
	case f.kind == kindClose:
		s.endLocked(ended(&Refusal{Code(f.number), string(f.data)}), nil)
	}
	return nil
}

// laneLocked is the lane with this number; nil when there is none (any more).
func (s *Session) laneLocked(number uint64) *lane {
	for _, l := range s.lanes {
		if uint64(l.number) == number {
			return l
		}
	}
	return nil
}

// takeStreamLocked acts on a frame of a stream.
func (s *Session) takeStreamLocked(f wireFrame) error {
	st, err := s.streamLocked(f.stream)
	if st == nil {
		freeData(f.data)
		return err
	}
	switch f.kind {
	case kindReset:
		st.takeReset()
	case kindStop:
		st.takeStop()
	case kindCredit:
		st.takeCredit(f.number)
	default:
		return st.takeData(f)
	}
	return nil
}

// streamLocked is the stream with this number; nil when it is over. Frames of
// a stream may overtake the one that opens it.
func (s *Session) streamLocked(id uint64) (*Stream, error) {
	if st := s.streams[id]; st != nil {
		return st, nil
	}
	n := id >> 1
	if id&1 == s.sideBit() {
		if n >= s.opened {
			return nil, &ProtocolError{fmt.Sprintf("a frame of stream %d, which was never opened", id)}
		}
		return nil, nil
	}
	if s.over.has(n) {
		return nil, nil
	}
	// An end may know sooner than the other that a stream is over: twice as many.
	if len(s.streams)-s.mine >= 2*MaxStreams || n >= s.over.count+2*MaxStreams {
		return nil, &ProtocolError{fmt.Sprintf("more than %d streams at once", MaxStreams)}
	}
	return s.addStreamLocked(id), nil
}

// countLocked notes a frame to be acknowledged, at once after ackBytes, else
// with the next frame that goes out, or after ackDelay.
func (s *Session) countLocked(l *lane, size int) {
	l.received++
	s.ackNews++
	l.news = s.ackNews
	if s.ackBytes += size; s.ackBytes >= ackBytes {
		s.acknowledgeLocked()
		return
	}
	if !s.ackSet {
		s.ackSet = true
		s.ackTimer.Reset(ackDelay)
	}
}

// ackDue is what the ack timer calls.
func (s *Session) ackDue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ackSet && !s.ended {
		s.acknowledgeLocked()
	}
}

// acknowledgeLocked sends the newest acknowledgements, over two lanes where
// packets are lost: without them the other end would send everything again.
func (s *Session) acknowledgeLocked() {
	s.ackSet, s.ackBytes = false, 0
	s.ackTimer.Stop()
	now := time.Now()
	n := 1
	if s.path.lossy(now) {
		n = 2
	}
	for l := s.heardLocked(nil, now); l != nil && n > 0; n-- {
		l.ackNow = true
		l.kickLocked()
		l = s.heardLocked(l, now)
	}
}

// heardLocked is the lane, other than the one given, for acknowledgements:
// the one with the least before them of those that were just heard from. An
// acknowledgement is not acknowledged, so that a lane that fell silent would
// swallow them unnoticed.
func (s *Session) heardLocked(except *lane, now time.Time) *lane {
	var best *lane
	for _, l := range s.lanes {
		if l == except || !l.usable() {
			continue
		}
		fresh, bestFresh := now.Sub(l.heard) < s.path.late(), best != nil && now.Sub(best.heard) < s.path.late()
		switch {
		case best == nil, fresh && !bestFresh,
			fresh && l.unacked < best.unacked,
			fresh == bestFresh && (!fresh || l.unacked == best.unacked) && l.heard.After(best.heard):
			best = l
		}
	}
	return best
}

// acksLocked appends what l has not yet told of.
func (s *Session) acksLocked(l *lane, b []byte) []byte {
	l.ackNow = false
	for _, other := range s.lanes {
		if other.news > l.told {
			f := wireFrame{kind: kindAck, lane: uint64(other.number), number: other.received}
			b = f.append(b)
		}
	}
	l.told = s.ackNews
	return b
}

// takeAckLocked drops what has arrived from a lane's flights.
func (s *Session) takeAckLocked(f wireFrame, now time.Time) error {
	l := s.laneLocked(f.lane)
	if l == nil {
		return nil // it died, and its flights went elsewhere
	}
	if f.number > l.sent {
		return &ProtocolError{fmt.Sprintf("an acknowledgement of %d frames on a lane that sent %d", f.number, l.sent)}
	}
	n := int(f.number) - (int(l.sent) - len(l.flights))
	if n <= 0 {
		return nil // older than what is known
	}
	for i := range n {
		fl := l.flights[i]
		took := now.Sub(fl.at)
		if fl.alone {
			s.path.sample(took, now)
		}
		if fl.item.short {
			s.path.short.took(took)
		} else {
			s.path.long.took(took)
		}
		l.unacked -= fl.item.size()
		fl.item.copies--
		s.arrivedLocked(fl.item)
		l.flights[i] = flight{}
	}
	l.flights = l.flights[n:]
	l.owed = time.Time{}
	if len(l.flights) > 0 {
		l.owed = now
	} else {
		l.flights = nil
	}
	if s.drains {
		s.armLocked(0)
	}
	s.pullMoreLocked()
	return nil
}

// arrivedLocked notes that an item needs to be kept no longer.
func (s *Session) arrivedLocked(it *item) {
	first := !it.done
	it.done = true
	if first && it.stream != nil {
		it.stream.arrived(it)
	}
	s.releaseLocked(it)
}
