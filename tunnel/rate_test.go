package tunnel

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestRate: the rate is that of the best round trip, and is forgotten.
func TestRate(t *testing.T) {
	const rtt = 100 * time.Millisecond
	var r rate
	now := time.Unix(1e9, 0)
	trip := func(bytes int) {
		for range 10 {
			now = now.Add(rtt / 10)
			r.acknowledged(bytes/10, rtt, now)
		}
	}
	want := func(when string, want int) {
		t.Helper()
		if got := r.in(rtt); got < want*9/10 || got > want*11/10 {
			t.Errorf("%s: %d bytes in a round trip; want about %d", when, got, want)
		}
	}
	trip(1000)
	trip(100_000)
	trip(100_000)
	want("at its best", 100_000)
	for range int(rateMemory/rtt) / 3 {
		trip(10_000)
	}
	want("soon after", 100_000)
	for range int(rateMemory / rtt) {
		trip(10_000)
	}
	want("later", 10_000)
}

// TestFullPath: while the queues of the path fill up, the lanes together have little
// more in flight than the path delivers in a round trip.
func TestFullPath(t *testing.T) {
	const rtt, perTrip = 80 * time.Millisecond, 1 << 20
	for name, c := range map[string]struct {
		flight int
		loss   lossCount
		rate   float64
		want   bool
	}{
		"much in flight":          {flight: perTrip + 1, loss: lossCount{rtt: 2 * rtt, least: rtt}, rate: perTrip / rtt.Seconds(), want: true},
		"little in flight":        {flight: perTrip - 1000, loss: lossCount{rtt: 2 * rtt, least: rtt}, rate: perTrip / rtt.Seconds()},
		"the queues are empty":    {flight: perTrip + 1, loss: lossCount{rtt: rtt + rtt/8, least: rtt}, rate: perTrip / rtt.Seconds()},
		"nothing is known":        {flight: 100 * perTrip, rate: perTrip / rtt.Seconds()},
		"a slow path":             {flight: leastFlight, loss: lossCount{rtt: 2 * rtt, least: rtt}, rate: 1000, want: true},
		"a slow path with little": {flight: leastFlight - 1000, loss: lossCount{rtt: 2 * rtt, least: rtt}, rate: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := scheduled(t, 4)
				for _, l := range s.sched.lanes {
					l.loss, l.unacked, l.flights = c.loss, c.flight/4, []flight{{item: long(1), at: time.Now()}}
				}
				s.sched.lanes[0].unacked += c.flight % 4
				s.sched.lanes = append(s.sched.lanes,
					&lane{writing: true, loss: lossCount{rtt: 1, least: 1}},                  // idle
					&lane{writing: true, flights: []flight{{item: long(1), at: time.Now()}}}) // unknown
				s.sched.rate.now = c.rate
				if got := s.sched.isFull(); got != c.want {
					t.Errorf("full: %t", got)
				}
				s.sched.resend = []*item{long(1)}
				if it := s.sched.nextLong(s.sched.lanes[3], time.Now()); (it == nil) != c.want {
					t.Errorf("a lane gets %v", it)
				}
			})
		})
	}
}
