package agent

import (
	"testing"
	"time"
)

// TestPausesOfRestarts: a relay that is restarted every few seconds, for longer
// than agents are in a hurry, is come back to at once each time.
func TestPausesOfRestarts(t *testing.T) {
	var o outage
	now := time.Now()
	for i := range 30 {
		now = now.Add(5 * time.Second)
		o.lasted(5 * time.Second)
		if wait := o.next(now); wait > firstJitter {
			t.Errorf("after restart %d it waits %v", i+1, wait)
		}
	}
	// Sessions that end as they begin are one outage.
	for range 200 {
		now = now.Add(time.Second)
		o.lasted(time.Millisecond)
		o.next(now)
	}
	if wait := o.next(now); wait < longestPause/2 {
		t.Errorf("after minutes without a session it waits only %v", wait)
	}
}
