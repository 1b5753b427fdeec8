package wan

import (
	"math"
	"testing"
	"time"
)

func TestRateIsExact(t *testing.T) {
	s := newShaper(Config{RTT: 80 * time.Millisecond, Rate: 100, Queue: time.Hour}, A)
	var due time.Duration
	for range 1000 {
		var f fate
		if due, f = s.admit(0, 1250); f != delivered {
			t.Fatalf("fate %d, want %d", f, delivered)
		}
	}
	// 1000 packets of 10 000 bits take 100 ms at 100 Mbit/s.
	if want := 140 * time.Millisecond; due != want {
		t.Errorf("the last packet is due at %v, want %v", due, want)
	}
}

func TestIdleWireIsFree(t *testing.T) {
	s := newShaper(Config{RTT: 20 * time.Millisecond, Rate: 8}, A)
	for _, at := range []time.Duration{0, time.Second, time.Minute} {
		if due, f := s.admit(at, 1000); f != delivered || due != at+11*time.Millisecond {
			t.Errorf("sent at %v: fate %d, due %v; want it 11 ms later", at, f, due)
		}
	}
}

func TestQueueDropsItsTail(t *testing.T) {
	s := newShaper(Config{Rate: 8, Queue: 10 * time.Millisecond}, A)
	fates := map[fate]int{}
	for range 50 {
		_, f := s.admit(0, 1000) // 1 ms each
		fates[f]++
	}
	// The one on the wire, ten that wait up to 10 ms.
	if fates[delivered] != 11 || fates[dropped] != 39 {
		t.Errorf("%d delivered and %d dropped, want 11 and 39", fates[delivered], fates[dropped])
	}
	if _, f := s.admit(time.Millisecond, 1000); f != delivered {
		t.Error("no room when a packet has left")
	}
}

func TestUnlimitedRateHasNoQueue(t *testing.T) {
	s := newShaper(Config{RTT: 20 * time.Millisecond}, A)
	for range 100_000 {
		if due, f := s.admit(0, 1500); f != delivered || due != 10*time.Millisecond {
			t.Fatalf("fate %d, due %v", f, due)
		}
	}
}

func TestJitterKeepsOrder(t *testing.T) {
	const delay, jitter = 10 * time.Millisecond, 5 * time.Millisecond
	s := newShaper(Config{RTT: 2 * delay, Jitter: jitter, Seed: 1}, A)
	var last, least, most time.Duration = 0, time.Hour, 0
	for i := range 10_000 {
		now := time.Duration(i) * time.Millisecond
		due, _ := s.admit(now, 100)
		if due < last {
			t.Fatalf("packet %d is due before the one before", i)
		}
		last = due
		least, most = min(least, due-now), max(most, due-now)
	}
	if least < delay || most > delay+jitter || most-least < jitter/2 {
		t.Errorf("delays from %v to %v, want %v and up to %v more", least, most, delay, jitter)
	}
}

// TestLossRatio allows five standard deviations of the binomial distribution.
func TestLossRatio(t *testing.T) {
	const n = 200_000
	for _, percent := range []float64{0, 0.1, 1, 50, 100} {
		s := newShaper(Config{Loss: percent}, A)
		got := 0
		for range n {
			if _, f := s.admit(0, 100); f == lost {
				got++
			}
		}
		if !binomial(got, n, percent/100) {
			t.Errorf("%v %%: %d of %d are lost", percent, got, n)
		}
	}
}

// binomial reports whether got successes of n are likely at probability p.
func binomial(got, n int, p float64) bool {
	mean := float64(n) * p
	return math.Abs(float64(got)-mean) <= 5*math.Sqrt(mean*(1-p))
}

func TestSeed(t *testing.T) {
	fates := func(seed uint64, from Side) (all [1000]fate) {
		s := newShaper(Config{Loss: 10, Seed: seed}, from)
		for i := range all {
			_, all[i] = s.admit(0, 100)
		}
		return all
	}
	for _, test := range []struct {
		seeds [2]uint64
		sides [2]Side
		equal bool
	}{
		{[2]uint64{7, 7}, [2]Side{A, A}, true},
		{[2]uint64{7, 7}, [2]Side{A, B}, false},
		{[2]uint64{7, 8}, [2]Side{A, A}, false},
		{[2]uint64{0, 0}, [2]Side{A, A}, false},
	} {
		one, other := fates(test.seeds[0], test.sides[0]), fates(test.seeds[1], test.sides[1])
		if (one == other) != test.equal {
			t.Errorf("seeds %v of sides %v lose the same packets: %t", test.seeds, test.sides, !test.equal)
		}
	}
}

func TestConfigCheck(t *testing.T) {
	for name, c := range map[string]Config{
		"RTT": {RTT: -1}, "jitter": {Jitter: -1}, "queue": {Queue: -1}, "rate": {Rate: -1}, "no rate": {Rate: math.NaN()},
		"loss": {Loss: -0.1}, "all loss": {Loss: 101}, "no loss": {Loss: math.NaN()},
	} {
		if c.check() == nil {
			t.Errorf("%s: %+v is accepted", name, c)
		}
	}
	if err := (Config{RTT: time.Second, Loss: 100, Rate: 1e5}).check(); err != nil {
		t.Error(err)
	}
}
