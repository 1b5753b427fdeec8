package tunnel

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// scheduled is a session with n lanes that never write: the test takes what they
// are given. Its round trip is 40 ms.
func scheduled(t *testing.T, n int) *Session {
	s := newSession(sessionID{}, nil, nil, nil, nil)
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ticker.Stop()
		s.ackTimer.Stop()
	})
	s.sched.path.rtt = 40 * time.Millisecond
	for i := range n {
		s.sched.lanes = append(s.sched.lanes, &lane{session: s, number: uint16(i + 1), writing: true, heard: time.Now()})
	}
	return s
}

// lose makes the session believe in losses.
func lose(s *Session) { s.sched.path.lost(lossTwice, time.Now()) }

func short(n int) *item {
	return &item{short: true, frame: wireFrame{kind: kindData, data: make([]byte, n)}}
}

func long(n int) *item { return &item{frame: wireFrame{kind: kindData, data: make([]byte, n)}} }

// fly puts an item on a lane as if it had been written some time ago.
func fly(l *lane, it *item, ago time.Duration) {
	it.copies++
	it.written = true
	l.sent++
	l.unacked += it.size()
	l.flights = append(l.flights, flight{item: it, at: time.Now().Add(-ago)})
}

// queued returns the numbers of the lanes in whose queues an item is.
func queued(s *Session, it *item) []uint16 {
	var on []uint16
	for _, l := range s.sched.lanes {
		if slices.Contains(l.queue, it) {
			on = append(on, l.number)
		}
	}
	return on
}

func wantQueued(t *testing.T, s *Session, it *item, want ...uint16) {
	t.Helper()
	if got := queued(s, it); !slices.Equal(got, want) {
		t.Errorf("queued on lanes %v; want %v", got, want)
	}
}

// TestShortItems: a short item goes to the lane that has the least to deliver, and
// is not late. Where packets are lost, a second lane carries a copy.
func TestShortItems(t *testing.T) {
	late := func(s *Session) time.Duration { return s.sched.path.late() + time.Millisecond }
	for name, c := range map[string]struct {
		before func(s *Session)
		size   int
		want   []uint16
	}{
		"the oldest lane":         {want: []uint16{1}},
		"the lane with the least": {before: func(s *Session) { fly(s.sched.lanes[0], long(9), 0); fly(s.sched.lanes[1], long(8), 0) }, want: []uint16{3}},
		"a late lane comes last":  {before: func(s *Session) { fly(s.sched.lanes[0], short(1), late(s)); fly(s.sched.lanes[1], long(1000), 0) }, want: []uint16{3}},
		"the later of two late lanes last": {before: func(s *Session) {
			fly(s.sched.lanes[0], short(1), late(s)+time.Second)
			fly(s.sched.lanes[1], long(1000), late(s))
			s.sched.lanes[2].retiring = time.Now()
		}, want: []uint16{2}},
		"no dead or retiring lane":         {before: func(s *Session) { s.sched.lanes[0].dead = true; s.sched.lanes[1].retiring = time.Now() }, want: []uint16{3}},
		"two lanes where packets are lost": {before: lose, want: []uint16{1, 2}},
		"the most that two lanes carry":    {before: lose, size: hedgeBytes - overhead, want: []uint16{1, 2}},
		"more than that":                   {before: lose, size: hedgeBytes - overhead + 1, want: []uint16{1}},
		"no second lane that is full": {before: func(s *Session) {
			lose(s)
			for _, l := range s.sched.lanes[1:] {
				fly(l, long(shortBytes-overhead), 0)
			}
		}, want: []uint16{1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 3)
				if c.before != nil {
					c.before(s)
				}
				it := short(c.size)
				s.sched.push(it)
				wantQueued(t, s, it, c.want...)
				if it.copies != len(c.want) || s.sched.resent != uint64(c.size*(len(c.want)-1)) {
					t.Errorf("%d copies, %d bytes sent again", it.copies, s.sched.resent)
				}
			})
		})
	}
}

// TestNoLane: a short item waits for the next lane while the session has none.
func TestNoLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scheduled(t, 0)
		it, done := short(1), short(2)
		s.sched.push(it)
		s.sched.push(done)
		done.done = true
		l := &lane{number: 7, writing: true}
		s.sched.add(l)
		if !slices.Equal(l.queue, []*item{it}) || len(s.sched.unsent) != 0 {
			t.Errorf("the lane has %d items, %d wait", len(l.queue), len(s.sched.unsent))
		}
	})
}

// TestFreeLanes: the oldest lanes are kept free of long messages, and those in
// trouble don't count.
func TestFreeLanes(t *testing.T) {
	for n, want := range map[int]int{1: 0, 2: 1, 3: 1, 4: 2, 7: 2, 8: 3, 16: 3} {
		for _, stuck := range []int{0, 2} {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, n+stuck)
				for _, l := range s.sched.lanes[:stuck] {
					fly(l, long(1), s.sched.path.stuck())
				}
				s.sched.resend = []*item{long(5)}
				var free []uint16
				for _, l := range s.sched.lanes[stuck:] {
					if !s.sched.carriesLong(l, time.Now()) {
						free = append(free, l.number)
					}
				}
				if len(free) != want || want > 0 && free[0] != uint16(stuck+1) {
					t.Errorf("%d lanes, %d stuck: %v are free; want %d", n, stuck, free, want)
				}
				if it := s.sched.nextLong(s.sched.lanes[stuck], time.Now()); (it == nil) != (want > 0) {
					t.Errorf("%d lanes: the oldest is given %v", n, it)
				}
			})
		}
	}
}

// TestLateCopies: a lane with nothing else to do sends the piece of a long message
// that has been late for longest on another lane.
func TestLateCopies(t *testing.T) {
	const carries = 2 // the index of a lane for long messages
	for name, c := range map[string]struct {
		before func(s *Session, late, later *item)
		want   string
	}{
		"the oldest":                       {want: "later"},
		"not what has arrived":             {want: "late", before: func(_ *Session, _, later *item) { later.done = true }},
		"not what is sent again already":   {want: "late", before: func(_ *Session, _, later *item) { later.waiting = true }},
		"not a short item":                 {want: "late", before: func(_ *Session, _, later *item) { later.short = true }},
		"not what many lanes carry":        {want: "late", before: func(_ *Session, _, later *item) { later.copies = maxCopies }},
		"not what was copied just now":     {want: "late", before: func(_ *Session, _, later *item) { later.copied = time.Now() }},
		"not what the lane itself carries": {want: "late", before: func(s *Session, _, later *item) { fly(s.sched.lanes[carries], later, 0) }},
		"nothing that isn't late": {want: "", before: func(s *Session, _, _ *item) {
			for _, l := range s.sched.lanes[:2] {
				l.flights[0].at = time.Now().Add(-s.sched.path.lateLong() + 1)
			}
		}},
		"only what was written first on its lane": {want: "", before: func(s *Session, _, _ *item) {
			for _, l := range s.sched.lanes[:2] {
				l.flights = slices.Insert(l.flights, 0, flight{item: short(1), at: l.flights[0].at})
			}
		}},
		"what is new comes first": {want: "new", before: func(s *Session, _, _ *item) {
			st := s.addStreamLocked(0)
			st.pending = []*item{long(3)}
			s.sched.ring = []*sender{&st.sender}
		}},
		"what lost its lane comes first": {want: "lost", before: func(s *Session, _, _ *item) { s.sched.resend = []*item{long(4)} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 3)
				late, later := long(1), long(2)
				fly(s.sched.lanes[0], late, s.sched.path.lateLong())
				fly(s.sched.lanes[1], later, s.sched.path.lateLong()+time.Millisecond)
				if c.before != nil {
					c.before(s, late, later)
				}
				got := ""
				if it := s.sched.nextLong(s.sched.lanes[carries], time.Now()); it != nil {
					got = []string{"", "late", "later", "new", "lost"}[len(it.frame.data)]
					if copied := it.copied.Equal(time.Now()); copied != (it == late || it == later) {
						t.Errorf("%s: noted as copied: %t", got, copied)
					}
				}
				if got != c.want {
					t.Errorf("it sends %q; want %q", got, c.want)
				}
			})
		})
	}
}

// TestLateLane: what is late on a lane is sent again over one that is not late,
// and what the lane has not written yet goes there altogether.
func TestLateLane(t *testing.T) {
	for name, c := range map[string]struct {
		age       time.Duration // of what was written, beyond what is late
		other     time.Duration // the age of what the other lane has written
		wantShort []uint16
		wantLong  bool
	}{
		"in time":                {age: -1},
		"late":                   {age: 0, wantShort: []uint16{2}},
		"stuck":                  {age: time.Second, wantShort: []uint16{2}, wantLong: true},
		"the other lane is late": {age: time.Second, other: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 2)
				s.sched.path.long.took(time.Millisecond) // known: stuck is a few round trips
				l, now := s.sched.lanes[0], time.Now()
				first, piece, unwritten := short(10), long(20), short(30)
				fly(l, first, s.sched.path.late()+c.age)
				fly(l, piece, s.sched.path.late()+c.age)
				fly(s.sched.lanes[1], short(1000), c.other)
				s.sched.enqueue(l, unwritten)
				s.sched.relieve(l, now)
				wantQueued(t, s, first, c.wantShort...)
				if moved := len(c.wantShort) > 0; moved != (len(l.queue) == 0) || moved != slices.Contains(s.sched.lanes[1].queue, unwritten) || unwritten.copies != 1 {
					t.Errorf("what was not written is on lanes %v, in %d copies", queued(s, unwritten), unwritten.copies)
				}
				if got := slices.Contains(s.sched.resend, piece); got != c.wantLong || piece.waiting != c.wantLong {
					t.Errorf("the long piece waits to be sent again: %t; want %t", got, c.wantLong)
				}
				s.sched.relieve(l, now)
				if len(s.sched.resend) > 1 || first.copies > 2 {
					t.Errorf("a second look sends again: %d wait, %d copies", len(s.sched.resend), first.copies)
				}
			})
		})
	}
}

// TestLostLane: what a lost lane carried goes over others, unless it has arrived or
// another lane carries it.
func TestLostLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scheduled(t, 3)
		l := s.sched.lanes[1]
		done, elsewhere, piece, message, unwritten := short(1), short(2), long(3), short(4), short(5)
		for _, it := range []*item{done, elsewhere, piece, message} {
			s.usage.charge(it)
			fly(l, it, 0)
		}
		s.sched.enqueue(l, unwritten)
		fly(s.sched.lanes[2], elsewhere, 0)
		done.done = true
		s.sched.lanes = slices.Delete(s.sched.lanes, 1, 2)
		s.sched.reassign(l)
		for it, want := range map[*item][]uint16{done: nil, elsewhere: nil, piece: nil, message: {1}, unwritten: {3}} {
			wantQueued(t, s, it, want...)
		}
		if !slices.Equal(s.sched.resend, []*item{piece}) || !piece.waiting || piece.copies != 0 {
			t.Errorf("%d wait to be sent again, the piece in %d copies", len(s.sched.resend), piece.copies)
		}
		if done.charged != 0 || l.unacked != 0 || len(l.flights)+len(l.queue) != 0 {
			t.Errorf("%d bytes are charged for what has arrived, the lane has %d", done.charged, l.unacked)
		}
	})
}

// TestResendElsewhere: a lane is not given again what it carries already.
func TestResendElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scheduled(t, 3)
		its, next, done := long(1), long(2), long(3)
		for _, it := range []*item{its, next, done} {
			s.usage.charge(it)
			it.waiting = true
		}
		done.done = true
		fly(s.sched.lanes[1], its, 0)
		s.sched.resend = []*item{done, its, next}
		if got := s.sched.nextResend(s.sched.lanes[1]); got != next || next.waiting || s.sched.resent != 2 {
			t.Errorf("lane 2 is given %v, %d bytes sent again", got, s.sched.resent)
		}
		if got := s.sched.nextResend(s.sched.lanes[2]); got != its {
			t.Errorf("lane 3 is given %v", got)
		}
		if got := s.sched.nextResend(s.sched.lanes[2]); got != nil || len(s.sched.resend) != 0 || done.charged != 0 {
			t.Errorf("then %v; %d wait, %d charged for what has arrived", got, len(s.sched.resend), done.charged)
		}
	})
}

// TestAckLanes: acknowledgements go over the least busy of the lanes that were just
// heard from, and over two where packets are lost.
func TestAckLanes(t *testing.T) {
	for name, c := range map[string]struct {
		before func(s *Session)
		want   string
	}{
		"heard from last": {before: func(s *Session) { s.sched.lanes[1].heard = time.Now().Add(time.Millisecond) }, want: "[2]"},
		"the least busy": {before: func(s *Session) {
			fly(s.sched.lanes[0], long(2), 0)
			fly(s.sched.lanes[1], long(1), 0)
			fly(s.sched.lanes[2], long(2), 0)
		}, want: "[2]"},
		"not a silent one": {before: func(s *Session) {
			s.sched.lanes[0].heard = time.Now().Add(-time.Second)
			fly(s.sched.lanes[1], long(1), 0)
			fly(s.sched.lanes[2], long(2), 0)
		}, want: "[2]"},
		"the least silent one": {before: func(s *Session) {
			for i, l := range s.sched.lanes {
				l.heard = time.Now().Add(-time.Duration(3-i) * time.Second)
			}
		}, want: "[3]"},
		"not a retiring one":         {before: func(s *Session) { s.sched.lanes[0].retiring = time.Now(); fly(s.sched.lanes[1], long(1), 0) }, want: "[3]"},
		"two where packets are lost": {before: lose, want: "[1 2]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 3)
				c.before(s)
				s.acknowledgeLocked()
				var on []uint16
				for _, l := range s.sched.lanes {
					if l.ackNow {
						on = append(on, l.number)
					}
				}
				if got := fmt.Sprint(on); got != c.want {
					t.Errorf("over lanes %v; want %v", got, c.want)
				}
			})
		})
	}
}

// TestTurns: streams take turns, and every second one is the stream's that has sent the
// least, so that a new message does not wait for all others.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scheduled(t, 1)
		for i, sent := range []uint64{3, 2, 1, 4} {
			st := s.addStreamLocked(uint64(2 * i))
			st.offset = sent << 20
			s.sched.ring = append(s.sched.ring, &st.sender)
		}
		var turns []uint64
		for range 8 {
			st := s.sched.turn()
			s.sched.ring = append(s.sched.ring, st)
			turns = append(turns, st.offset>>20)
		}
		count := map[uint64]int{}
		for _, n := range turns {
			count[n]++
		}
		if count[1] < 4 || len(count) != 4 {
			t.Errorf("the turns were those of the streams with %v MiB", turns)
		}
	})
}
