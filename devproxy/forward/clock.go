package forward

import (
	"sync"
	"time"
)

// clock measures a route's timeout: how long the upstream alone has kept the
// exchange waiting. A visitor who is slow to send a body is not its fault. A
// nil clock measures nothing.
type clock struct {
	limit time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

// startClock calls expire after limit, but never once stop has returned; 0 gives
// nil.
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
