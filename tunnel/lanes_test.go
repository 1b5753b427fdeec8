package tunnel

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestMissingLanes: the dialling end replaces lanes that retire or are in trouble,
// and some of those that losses have made slow, before it loses them.
func TestMissingLanes(t *testing.T) {
	for name, c := range map[string]struct {
		before func(s *Session)
		want   int
	}{
		"as many as wanted":        {want: 0},
		"too many":                 {before: func(s *Session) { s.want.own, s.want.other = 1, 2 }, want: -2},
		"the other end wants more": {before: func(s *Session) { s.want.other = 6 }, want: 2},
		"one that retires":         {before: func(s *Session) { s.sched.lanes[0].retiring = time.Now() }, want: 1},
		"one in trouble":           {before: func(s *Session) { fly(s.sched.lanes[0], long(1), troubled) }, want: 1},
		"one that is late":         {before: func(s *Session) { fly(s.sched.lanes[0], long(1), troubled-1) }, want: 0},
		"slow ones":                {before: func(s *Session) { s.sched.lanes[0].slow, s.sched.lanes[1].slow = true, true }, want: 2},
		"no more than a session has": {before: func(s *Session) {
			s.want.own = MaxLanes
			for range maxJoined - 4 - 1 {
				s.sched.lanes = append(s.sched.lanes, &lane{retiring: time.Now()})
			}
		}, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 4)
				s.want.own, s.want.other = 4, 4
				if c.before != nil {
					c.before(s)
				}
				if got := s.sched.missing(s.want.most(), time.Now()); got != c.want {
					t.Errorf("%d are missing; want %d", got, c.want)
				}
			})
		})
	}
}

// TestSlowLanes: while something long is under way on a path that loses packets and
// whose queues are empty, lanes that carry it and that losses have made slow are
// replaced, the slowest first.
func TestSlowLanes(t *testing.T) {
	for name, c := range map[string]struct {
		before func(s *Session)
		want   int // how many are to be replaced
	}{
		"slow after losses":      {want: 2},
		"nothing long":           {before: func(s *Session) { s.want.longTo = time.Now() }},
		"no losses on the path":  {before: func(s *Session) { s.sched.path.lossyTo = time.Now() }},
		"full queues":            {before: func(s *Session) { s.sched.lanes[0].loss.rtt = 80 * time.Millisecond }},
		"no loss on one of them": {before: func(s *Session) { s.sched.lanes[2].loss.again = 0 }, want: 1},
		"one of them is fast":    {before: func(s *Session) { s.sched.lanes[2].loss.window = slowWindow }, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 4) // of which two are free of long messages
				lose(s)
				now := time.Now()
				s.want.longTo = now.Add(1)
				for i, l := range s.sched.lanes {
					l.loss = lossCount{again: slowLosses, window: uint32(slowWindow - 1 - i), rtt: 20 * time.Millisecond, least: 20 * time.Millisecond}
				}
				if c.before != nil {
					c.before(s)
				}
				s.countLanesLocked(now)
				s.want.own, s.want.other = 3, 2
				var slow []*lane
				for _, l := range s.sched.lanes {
					if l.slow {
						slow = append(slow, l)
					}
				}
				if len(slow) != c.want || len(slow) == 2 && (slow[0] != s.sched.lanes[2] || slow[1] != s.sched.lanes[3]) {
					t.Fatalf("%d lanes are to be replaced; want %d", len(slow), c.want)
				}
				if c.want != 2 {
					return
				}
				s.replaceSlowLocked(now)
				if s.sched.lanes[3].retiring.IsZero() || !s.sched.lanes[2].retiring.IsZero() {
					t.Error("the slowest lane doesn't retire first")
				}
				s.replaceSlowLocked(now)
				if !s.sched.lanes[2].retiring.IsZero() {
					t.Error("a second lane retires, though no other is left for it")
				}
			})
		})
	}
}

// TestWantedLanes: how many lanes a session has depends on what is under way, and on
// what the path loses.
func TestWantedLanes(t *testing.T) {
	now := time.Unix(1e9, 0)
	for name, c := range map[string]struct {
		before      laneCount
		streams     int
		long, lossy bool
		want        int
	}{
		"to begin with":            {want: firstLanes},
		"with a stream":            {streams: 1, before: laneCount{busy: now.Add(-time.Hour)}, want: firstLanes},
		"shortly without a stream": {before: laneCount{busy: now.Add(1 - idleAfter)}, want: firstLanes},
		"idle":                     {before: laneCount{busy: now.Add(-idleAfter)}, want: idleLanes},
		"idle on a lossy path":     {before: laneCount{busy: now.Add(-idleAfter)}, lossy: true, want: idleLanes},
		"on a lossy path":          {streams: 1, lossy: true, want: lossyLanes},
		"with something long":      {streams: 1, long: true, want: longLanes},
		"after something long":     {before: laneCount{longTo: now.Add(1)}, want: longLanes},
		"long after it":            {before: laneCount{longTo: now}, want: firstLanes},
		"with a visit":             {streams: 1, before: laneCount{visitTo: now.Add(1)}, want: visitLanes},
		"after a visit":            {streams: 1, before: laneCount{visitTo: now}, want: firstLanes},
		"a visit on a lossy path":  {streams: 1, before: laneCount{visitTo: now.Add(1)}, lossy: true, want: lossyLanes},
	} {
		if got := c.before.update(now, c.streams, c.long, c.lossy); got != c.want {
			t.Errorf("%s: %d lanes; want %d", name, got, c.want)
		}
	}
}

// TestTroubledLanes: the accepting end asks for as many more lanes as are in trouble,
// and gives up the one that has been for longest when a full session gets another.
func TestTroubledLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := scheduled(t, maxJoined)
		s.table.open[0] = newStream(s, 0)
		fly(s.sched.lanes[3], long(1), troubled)
		fly(s.sched.lanes[5], long(1), troubled+1)
		fly(s.sched.lanes[7], long(1), troubled-1)
		s.countLanesLocked(time.Now())
		if s.want.own != firstLanes+2 {
			t.Errorf("it wants %d lanes; want %d", s.want.own, firstLanes+2)
		}
		var told []uint64
		for _, l := range s.sched.lanes {
			for _, it := range l.queue {
				told = append(told, it.frame.number)
			}
		}
		if len(told) != 1 || told[0] != firstLanes+2 {
			t.Errorf("it tells the other end %v", told)
		}
		if got := s.sched.longestInTrouble(time.Now()); got != s.sched.lanes[5] {
			t.Errorf("it would give up lane %+v", got)
		}
	})
}
