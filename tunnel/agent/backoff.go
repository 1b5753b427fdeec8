package agent

import (
	"math/rand/v2"
	"time"
)

const (
	// firstJitter spreads the first attempts of all agents of a relay that went
	// away, which come at once.
	firstJitter = 100 * time.Millisecond
	// firstPause doubles with every failure, up to hurriedPause during the
	// first minute without a session, since a relay that is only restarted is
	// back by then, and to longestPause after it.
	firstPause   = 100 * time.Millisecond
	hurriedPause = time.Second
	hurriedFor   = time.Minute
	longestPause = 15 * time.Second
	// stable is how long a session must have lasted for the next outage to
	// count as a new one. Whoever loses a session once in so long, and comes
	// back at once, asks the relay no more often than those in a hurry do; a
	// relay that is restarted again and again is no outage of minutes.
	stable = hurriedPause
)

// outage is the time without a session, or with none that lasts.
type outage struct {
	since time.Time // of the first failure; zero before
	fails int
}

// next is how long to wait before the next attempt. Half of it is left to
// chance, so that agents do not come together.
func (o *outage) next(now time.Time) time.Duration {
	if o.fails == 0 {
		o.since = now
	}
	o.fails++
	if o.fails == 1 {
		return rand.N(firstJitter)
	}
	limit := longestPause
	if now.Sub(o.since) < hurriedFor {
		limit = hurriedPause
	}
	pause := min(firstPause<<min(o.fails-2, 10), limit)
	return pause/2 + rand.N(pause/2)
}

// lasted notes how long a session did.
func (o *outage) lasted(d time.Duration) {
	if d >= stable {
		*o = outage{}
	}
}
