package tunnel

import "time"

// take acts on a frame that came over l.
func (s *Session) take(l *lane, f wireFrame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.dead {
		freeData(f.data)
		return nil
	}
	now := time.Now()
	l.heard, s.heard = now, now
	if f.kind.counted() {
		s.countLocked(l, len(f.data))
	}
	switch f.kind {
	case kindAck:
		return s.takeAckLocked(f, now)
	case kindPing:
		s.answerLocked(l, wireFrame{kind: kindPong, number: f.number})
	case kindPong:
		l.probe = time.Time{}
		if len(l.flights) == 0 {
			l.owed = time.Time{}
		}
	case kindDrain:
		if !s.drains {
			s.drainLocked()
		}
	case kindLanes:
		s.want.other = int(min(max(f.number, 1), MaxLanes))
		s.adjustLanesLocked()
	case kindRetire:
		if l := s.sched.lane(f.lane); l != nil {
			l.retiring = now
			s.sched.pullAll()
		}
	case kindGone:
		if l := s.sched.lane(f.lane); l != nil {
			s.dropLocked(l, nil)
		}
	case kindClose:
		reason := &Refusal{Code(f.number), string(f.data)}
		s.endLocked(reason.asError(), nil)
	default:
		return s.takeStreamLocked(f)
	}
	return nil
}

// takeStreamLocked acts on a frame of a stream.
func (s *Session) takeStreamLocked(f wireFrame) error {
	st, isNew, err := s.table.find(f.stream)
	switch {
	case isNew:
		st = s.addStreamLocked(f.stream)
		if s.dialer != nil {
			s.visitLocked()
		}
	case st == nil:
		freeData(f.data)
		return err
	}
	switch f.kind {
	case kindReset:
		st.takeResetLocked()
	case kindStop:
		st.takeStopLocked()
	case kindCredit:
		st.takeCredit(f.number)
	default:
		return st.takeDataLocked(f)
	}
	return nil
}

// countLocked notes a frame to be acknowledged, at once after ackBytes, else
// with the next frame that goes out, or after ackDelay.
func (s *Session) countLocked(l *lane, size int) {
	if s.acks.count(&l.inbound, size) {
		s.acknowledgeLocked()
	} else if !s.acks.due {
		s.acks.due = true
		s.ackTimer.Reset(ackDelay)
	}
}

// ackDue is called by ackTimer.
func (s *Session) ackDue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acks.due && !s.ended {
		s.acknowledgeLocked()
	}
}

// acknowledgeLocked sends the newest counts, over two lanes where packets are lost:
// without them the other end would send everything again.
func (s *Session) acknowledgeLocked() {
	s.acks.due, s.acks.bytes = false, 0
	s.ackTimer.Stop()
	now := time.Now()
	n := 1
	if s.sched.path.lossy(now) {
		n = 2
	}
	for l := s.sched.forAcks(nil, now); l != nil && n > 0; n-- {
		l.ackNow = true
		s.sched.kick(l)
		l = s.sched.forAcks(l, now)
	}
}

// takeAckLocked drops the frames that have arrived from a lane's flights.
func (s *Session) takeAckLocked(f wireFrame, now time.Time) error {
	l := s.sched.lane(f.lane)
	if l == nil {
		return nil // it is dead, and its flights went elsewhere
	}
	acked, err := l.acknowledge(f.number)
	if len(acked) == 0 {
		return err
	}
	for _, fl := range acked {
		s.sched.path.acknowledged(fl, now)
		s.sched.rate.acknowledged(fl.item.size(), s.sched.path.rtt, now)
		it := fl.item
		first := !it.done
		it.done = true
		if first && it.stream != nil {
			it.stream.arrivedLocked(it)
		}
		s.usage.release(it)
	}
	clear(acked)
	l.owed = time.Time{}
	if len(l.flights) > 0 {
		l.owed = now
	}
	if s.drains {
		s.armLocked(0)
	}
	s.sched.pullAll()
	return nil
}
