package forward

import (
	"context"
	"errors"
	"slices"
	"sort"
	"time"
)

const (
	// maxOpening is how many new connections wait for their first answers before
	// other requests wait for a connection to come free instead of opening more.
	// Browsers open six to an origin, and some servers have room for few that they
	// have not accepted: Python's for five. A connection beyond that stalls for a
	// second, until TCP sends again.
	maxOpening = 6
	// openingTime is how long a new connection makes others wait when the server
	// answers nothing.
	openingTime = 20 * time.Millisecond
	// lastingTime is the same while the server answers other requests, for example
	// during long polls.
	lastingTime = 125 * time.Millisecond
)

// dialling is a connection from before it is opened to the end of its first
// answer.
type dialling struct {
	conn     *watchedConn  // nil before it is open
	turn     chan struct{} // closed when it may begin, or is not needed any more
	since    time.Time     // when it began
	shared   bool          // its request takes an idle connection instead
	unneeded bool
}

// errUnneeded ends a dial whose request has got another connection.
var errUnneeded = errors.New("another connection came free")

// admit waits until a connection may be opened for by: at once, unless maxOpening
// others have not carried an answer yet. While it waits, net/http gives a shared
// request the next connection that comes free. Then the error is errUnneeded.
func (s *connections) admit(ctx context.Context, by *claim, shared bool) (*dialling, error) {
	d := &dialling{turn: make(chan struct{}), shared: shared}
	s.mu.Lock()
	if by.using != nil && by.using.counted {
		s.mu.Unlock()
		return nil, errUnneeded
	}
	by.dialling = d
	s.queued.add(d)
	s.updateAndUnlock()
	select {
	case <-d.turn:
	case <-ctx.Done():
		s.leave(d)
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.unneeded {
		return nil, errUnneeded
	}
	return d, nil
}

// leave notes that d has failed, or that its connection carries many requests at
// once.
func (s *connections) leave(d *dialling) {
	s.mu.Lock()
	defer s.updateAndUnlock()
	s.queued.remove(d)
	s.opening.remove(d)
}

// sharesQueuedLocked reports whether a request is queued that takes an idle
// connection if one comes free.
func (s *connections) sharesQueuedLocked() bool {
	return slices.ContainsFunc(s.queued, func(d *dialling) bool { return d.shared })
}

// admitLocked lets queued requests open connections, and returns when to call it
// again.
func (s *connections) admitLocked(now time.Time) time.Duration {
	for len(s.queued) > 0 {
		if may, next := s.mayOpenLocked(now); !may {
			return next
		}
		d := s.queued[0]
		s.queued = slices.Delete(s.queued, 0, 1)
		d.since = now
		s.opening.add(d)
		close(d.turn)
	}
	return never
}

// mayOpenLocked reports whether one more connection may be opened, and when to ask
// again. A server that answers nothing for as long as two answers usually take is
// slow, not busy: then twice as many connections are opened.
func (s *connections) mayOpenLocked(now time.Time) (may bool, next time.Duration) {
	old, lasting := s.openingForLocked(openingTime, now), s.openingForLocked(lastingTime, now)
	young := len(s.opening) - old
	if s.open+young < s.capacity {
		return true, 0 // it has accepted more
	}
	patience := min(max(2*s.usualAnswer, openingTime), lastingTime)
	full := s.open-s.slow-s.streams-lasting >= maxIdle // one more would be closed after one answer
	if full {
		patience = lastingTime
	}
	next = patience - now.Sub(s.lastByte)
	limit := max(maxOpening, s.slow) // a server that accepts while it works accepts as many more
	if silent := next <= 0; silent {
		may, next = young < max(limit, old-lasting), never
	} else {
		may = !full && young+old-lasting < limit
	}
	if young > 0 {
		next = min(next, openingTime-now.Sub(s.opening[old].since))
	}
	if old > lasting {
		next = min(next, lastingTime-now.Sub(s.opening[lasting].since))
	}
	return may, next
}

// openingForLocked is how many connections have been opening for d or longer. They
// are the first in s.opening.
func (s *connections) openingForLocked(d time.Duration, now time.Time) int {
	return sort.Search(len(s.opening), func(i int) bool { return now.Sub(s.opening[i].since) < d })
}
