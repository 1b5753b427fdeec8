package watch

import (
	"testing"
	"time"
)

func TestABurstIsDueWhenItCalmsDownOrLastsTooLong(t *testing.T) {
	const ms = time.Millisecond
	start := time.Now()
	for _, c := range []struct {
		name   string
		events []time.Duration
		due    time.Duration
	}{
		{"one event", []time.Duration{0}, quiet},
		{"a second event puts it off", []time.Duration{0, 20 * ms}, 20*ms + quiet},
		{"events that never stop do not", []time.Duration{0, 100 * ms, 200 * ms, longest - ms}, longest},
		{"just in time", []time.Duration{0, longest - quiet}, longest},
	} {
		var b burst
		for _, at := range c.events {
			b.add(start.Add(at))
		}
		if got := b.due().Sub(start); got != c.due {
			t.Errorf("%s: due after %v, want %v", c.name, got, c.due)
		}
		if got := b.end().Sub(start); got != longest {
			t.Errorf("%s: ends after %v, want %v", c.name, got, longest)
		}
	}
}
