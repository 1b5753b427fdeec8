package forward

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// clock measures a route's timeout: how long the upstream alone has kept the
// exchange waiting. It does not count a client that is slow to send a body. A nil
// clock measures nothing.
type clock struct {
	limit time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// startClock calls expire after limit, but not after stop has returned. It returns
// nil for the limit 0.
func startClock(limit time.Duration, expire func()) *clock {
	if limit <= 0 {
		return nil
	}
	c := &clock{limit: limit}
	c.timer = time.AfterFunc(limit, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.stopped {
			c.stopped = true
			expire()
		}
	})
	return c
}

// pause stops the clock until resume, which starts it from zero.
func (c *clock) pause() {
	if c != nil {
		c.timer.Stop()
	}
}

func (c *clock) resume() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.timer.Reset(c.limit)
	}
}

// stop ends the measuring for good.
func (c *clock) stop() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.timer.Stop()
}

// callerTime is how long the caller of a gRPC call may take to end it after its
// deadline. The server and the caller each measure it, and the server may be first.
// The caller must not take the reset that follows for a failure of the server.
const callerTime = time.Second

// awaitCaller waits for the caller to end a call whose deadline has passed.
func (f *forwarding) awaitCaller() {
	if timeout, ok := grpcTimeout(f.r.Header); ok && time.Since(f.arrived) >= timeout {
		pause(f.r.Context(), callerTime)
	}
}

// grpcTimeout is how long a gRPC call may take ("gRPC over HTTP2", section
// Requests): up to eight digits and a unit.
func grpcTimeout(h http.Header) (time.Duration, bool) {
	text := h.Get("Grpc-Timeout")
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': 1}
	unit := units[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 27)
	if err != nil || unit == 0 || time.Duration(n) > (1<<62)/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
