package wan

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// fate says whether a packet arrives.
type fate int

const (
	delivered fate = iota
	lost
	dropped
)

// shaper decides the fate of packets in one direction, one after the other.
// Times are since the start of the link.
type shaper struct {
	delay, jitter, queue time.Duration
	loss                 float64 // probability
	perByte              float64 // nanoseconds on the wire; 0 for unlimited
	random               *rand.Rand

	free time.Duration // when the wire is free again
	last time.Duration // when the latest packet is due
}

func newShaper(c Config, from Side) *shaper {
	s := &shaper{delay: c.RTT / 2, jitter: c.Jitter, queue: cmp.Or(c.Queue, defaultQueue), loss: c.Loss / 100}
	if c.Rate > 0 {
		s.perByte = 8e3 / c.Rate
	}
	s.random = rand.New(rand.NewPCG(cmp.Or(c.Seed, rand.Uint64()), uint64(from)))
	return s
}

// admit decides whether a packet of size bytes that is sent at now arrives, and
// when. A lost packet takes no time on the wire, as if it was lost before it.
func (s *shaper) admit(now time.Duration, size int) (due time.Duration, f fate) {
	if s.random.Float64() < s.loss {
		return 0, lost
	}
	start := max(s.free, now)
	if start-now > s.queue {
		return 0, dropped
	}
	s.free = start + time.Duration(s.perByte*float64(size))
	due = s.free + s.delay
	if s.jitter > 0 {
		due += time.Duration(s.random.Int64N(int64(s.jitter)))
	}
	s.last = max(s.last, due)
	return s.last, delivered
}
