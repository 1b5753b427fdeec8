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
		"one that retires":         {before: func(s *Session) { s.lanes[0].retiring = time.Now() }, want: 1},
		"one in trouble":           {before: func(s *Session) { fly(s.lanes[0], long(1), troubled) }, want: 1},
		"one that is late":         {before: func(s *Session) { fly(s.lanes[0], long(1), troubled-1) }, want: 0},
		"slow ones":                {before: func(s *Session) { s.lanes[0].worn, s.lanes[1].worn = true, true }, want: 2},
		"no more than a session has": {before: func(s *Session) {
			s.want.own = MaxLanes
			for range maxJoined - 4 - 1 {
				s.lanes = append(s.lanes, &lane{retiring: time.Now()})
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
				if got := s.missingLocked(time.Now()); got != c.want {
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
		"no losses on the path":  {before: func(s *Session) { s.path.lossyTo = time.Now() }},
		"full queues":            {before: func(s *Session) { s.lanes[0].loss.rtt = 80 * time.Millisecond }},
		"no loss on one of them": {before: func(s *Session) { s.lanes[2].loss.again = 0 }, want: 1},
		"one of them is fast":    {before: func(s *Session) { s.lanes[2].loss.window = wornWindow }, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 4) // of which two are free of long messages
				lose(s)
				now := time.Now()
				s.want = laneCount{own: 3, other: 2, longTo: now.Add(1)}
				for i, l := range s.lanes {
					l.loss = lossCount{again: wornLosses, window: uint32(wornWindow - 1 - i), rtt: 20 * time.Millisecond, least: 20 * time.Millisecond}
				}
				if c.before != nil {
					c.before(s)
				}
				s.wearLocked(now)
				var slow []*lane
				for _, l := range s.lanes {
					if l.worn {
						slow = append(slow, l)
					}
				}
				if len(slow) != c.want || len(slow) == 2 && (slow[0] != s.lanes[2] || slow[1] != s.lanes[3]) {
					t.Fatalf("%d lanes are to be replaced; want %d", len(slow), c.want)
				}
				if c.want != 2 {
					return
				}
				s.succeedLocked(now)
				if s.lanes[3].retiring.IsZero() || !s.lanes[2].retiring.IsZero() {
					t.Error("the slowest lane doesn't retire first")
				}
				s.succeedLocked(now)
				if !s.lanes[2].retiring.IsZero() {
					t.Error("a second lane retires, though no other is left for it")
				}
			})
		})
	}
}
