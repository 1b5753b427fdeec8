package tunnel

import "time"

// rate estimates how many bytes per second the path delivers: the most in any round
// trip of the last rateMemory. Acknowledgements that were held up come together, so
// it is too high rather than too low.
type rate struct {
	acked uint64    // bytes that were acknowledged, so far
	from  uint64    // how many at the start of this round trip
	began time.Time // when that was

	now, before float64   // the most in this half of the memory and the one before
	turned      time.Time // when this half began
}

// rateMemory is twice the time after which a path that has become slower is noticed.
const rateMemory = 10 * time.Second

// acknowledged counts n bytes.
func (r *rate) acknowledged(n int, rtt time.Duration, now time.Time) {
	r.acked += uint64(n)
	took := now.Sub(r.began)
	if took < rtt {
		return
	}
	if now.Sub(r.turned) > rateMemory/2 {
		r.turned, r.before, r.now = now, r.now, 0
	}
	r.now = max(r.now, float64(r.acked-r.from)/took.Seconds())
	r.began, r.from = now, r.acked
}

// in returns how many bytes the path delivers in d.
func (r *rate) in(d time.Duration) int { return int(max(r.now, r.before) * d.Seconds()) }

// leastFlight may always be in flight, in bytes.
const leastFlight = 256 << 10

// isFull reports whether the path has enough to do: its queues fill up, and the lanes
// have more in flight than it delivers in a round trip. Each lane's congestion control
// looks for more on its own, so that together they fill the queues that short messages
// wait in. Where the kernel's figures are unknown, a path is never full.
func (q *scheduler) isFull() bool {
	mean, least := q.roundTrips(func(l *lane) bool { return len(l.flights) > 0 }) // others are old
	if mean <= least+least/8+queueSlack {
		return false
	}
	flight := 0
	for _, l := range q.lanes {
		flight += l.unacked
	}
	return flight >= max(leastFlight, q.rate.in(least))
}
