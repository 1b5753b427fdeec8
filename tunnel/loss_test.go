package tunnel

import (
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	// lossyLatency is one way of a path that loses packets; a lost one costs
	// lossDelay, as TCP's timeout does, and holds up everything after it.
	lossyLatency = 20 * time.Millisecond
	lossDelay    = 300 * time.Millisecond
)

// lossy delays one of n writes by chance, as a loss does; 0 is none.
func lossy(n int) *network {
	var mu sync.Mutex
	chance := newRand(7)
	return &network{pipe: func() (near, far net.Conn) {
		return wirePair(func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			if n > 0 && chance.IntN(n) == 0 {
				return lossyLatency + lossDelay
			}
			return lossyLatency
		}, 0)
	}}
}

// slowTrips counts, of n short round trips, those that a loss has held up.
// before is called before each; nil for nothing.
func slowTrips(t *testing.T, wires *network, n int, before func(*Session)) (slow int, resent uint64) {
	synctest.Test(t, func(t *testing.T) {
		agent, relay := wires.sessions(t)
		echoBubble(agent)
		for i := range n {
			for _, s := range []*Session{agent, relay} {
				if before != nil {
					s.mu.Lock()
					before(s)
					s.mu.Unlock()
				}
			}
			start := time.Now()
			roundTrip(t, relay, random(500, byte(i)))
			if time.Since(start) >= lossDelay {
				slow++
			}
			time.Sleep(50 * time.Millisecond)
		}
		resent = relay.Stats().Resent
		relay.Close(nil)
		agent.Close(nil)
	})
	return slow, resent
}

// unbelieving has a session never believe in losses.
func unbelieving(s *Session) { s.sched.path.lossyTo, s.sched.path.outliers = time.Time{}, 0 }

// oneLane takes from a session all lanes but the oldest, and has it wait before it
// dials others.
func oneLane(s *Session) {
	if s.dialer != nil {
		s.dialer.fails = 100
	}
	for _, l := range slices.Clone(s.sched.lanes)[min(1, len(s.sched.lanes)):] {
		l.retiring = time.Now()
	}
}

// TestLosses: on a path that loses packets, few short messages wait for a
// retransmission of TCP. Late copies alone spare some of what one lane waits;
// where losses are believed in, messages over two lanes spare the rest.
func TestLosses(t *testing.T) {
	const trips = 600
	alone, _ := slowTrips(t, lossy(12), trips, func(s *Session) { unbelieving(s); oneLane(s) })
	copies, copied := slowTrips(t, lossy(12), trips, unbelieving)
	all, hedged := slowTrips(t, lossy(12), trips, nil)
	t.Logf("of %d, one lane: %d slow; late copies: %d slow, %d bytes again; with hedging: %d slow, %d bytes again", trips, alone, copies, copied, all, hedged)
	if alone < trips/20 {
		t.Errorf("one lane: %d slow; the path loses too little for this test", alone)
	}
	if 5*copies > 4*alone || copied == 0 {
		t.Errorf("late copies: %d slow, %d bytes again; want at most four fifths of %d", copies, copied, alone)
	}
	if all > alone/4 || hedged < 2*copied {
		t.Errorf("hedging: %d slow, %d bytes again; want at most a quarter of %d, and more bytes than %d", all, hedged, alone, copied)
	}
	if calm, again := slowTrips(t, lossy(0), trips, nil); calm != 0 || again != 0 {
		t.Errorf("without losses: %d slow, %d bytes again", calm, again)
	}
}

// TestBelief: losses are believed when two are seen within lossWindow, for
// lossMemory, and not on a path that is short.
func TestBelief(t *testing.T) {
	start := time.Unix(1e9, 0)
	after := func(d time.Duration) time.Time { return start.Add(d) }
	const rtt = 40 * time.Millisecond
	outlier := rtt + rtt/2 + 30*time.Millisecond
	for name, c := range map[string]struct {
		samples []time.Duration // and the time between them
		gap     time.Duration
		rtt     time.Duration
		want    bool
	}{
		"one":                    {samples: []time.Duration{outlier + 1}, want: false},
		"two":                    {samples: []time.Duration{outlier + 1, outlier + time.Second}, want: true},
		"two that are late":      {samples: []time.Duration{outlier, rtt}, want: false},
		"two in a window":        {samples: []time.Duration{time.Second, time.Second}, gap: lossWindow, want: true},
		"two in two windows":     {samples: []time.Duration{time.Second, time.Second}, gap: lossWindow + 1, want: false},
		"on the machine":         {samples: []time.Duration{time.Second, time.Second, time.Second}, rtt: nearby / 100, want: false},
		"none":                   {samples: []time.Duration{rtt, rtt, rtt + 20*time.Millisecond}, want: false},
		"the first, for a guess": {samples: []time.Duration{time.Hour}, rtt: firstRTT, want: false},
	} {
		t.Run(name, func(t *testing.T) {
			p := path{rtt: rtt, window: start}
			if c.rtt != 0 {
				p.rtt = c.rtt
			}
			at := time.Duration(0)
			for _, d := range c.samples {
				p.sample(d, after(at))
				if c.rtt == nearby/100 {
					p.rtt = c.rtt
				}
				at += c.gap
			}
			if got := p.lossy(after(at)); got != c.want {
				t.Errorf("lossy: %t; want %t", got, c.want)
			}
		})
	}
	p := path{rtt: rtt}
	p.lost(2, start)
	if !p.lossy(after(lossMemory-1)) || p.lossy(after(lossMemory)) {
		t.Error("losses are not remembered for lossMemory")
	}
}
