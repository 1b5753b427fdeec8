package forward

import (
	"context"
	"sync"
)

// streams are the answers that have no end of their own: upgraded connections
// and event streams, by route.
type streams struct {
	mu   sync.Mutex
	open map[*stream]struct{}
	// closes counts how often a route was closed, so that an exchange that
	// began before and becomes a stream after is closed too.
	closes map[string]int
}

type stream struct {
	route string
	// close is called at most once, with streams.mu held: it must neither block
	// nor come back here. So it never comes after remove.
	close func()
}

// mark is the route's count, to be taken when an exchange begins.
func (s *streams) mark(route string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closes[route]
}

// add registers a stream of an exchange that began at mark. It is closed at
// once when its route was closed since.
func (s *streams) add(route string, mark int, end func()) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &stream{route, end}
	if s.closes[route] != mark {
		end()
		return st
	}
	if s.open == nil {
		s.open = map[*stream]struct{}{}
	}
	s.open[st] = struct{}{}
	return st
}

func (s *streams) remove(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, st)
}

func (s *streams) close(route string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := 0
	for st := range s.open {
		if st.route == route {
			delete(s.open, st)
			st.close()
			closed++
		}
	}
	if s.closes == nil {
		s.closes = map[string]int{}
	}
	s.closes[route]++
	return closed
}

// until closes st when over is done; nil is never. What it returns must be
// called when the stream has ended, and may be called at any time.
func (s *streams) until(over context.Context, st *stream) (forget func() bool) {
	if over == nil {
		return func() bool { return false }
	}
	return context.AfterFunc(over, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, open := s.open[st]; open {
			delete(s.open, st)
			st.close()
		}
	})
}

// CloseStreams ends what is open of a route: WebSockets with a close frame on
// both sides (RFC 6455 section 7.1.2: 1012 to the visitor, 1001 to the
// upstream) and a moment for the reply, other upgrades by closing, event
// streams with their last chunk, so that EventSource asks again. Requests of
// the route that are held return ErrRetired. It returns at once with the number
// of streams; the exchanges end on their own.
func (u *Upstream) CloseStreams(routeID string) int {
	// In this order: a request that is held in between sees that its route was
	// closed, one that is held before is released.
	closed := u.streams.close(routeID)
	u.held.release(routeID)
	return closed
}

// Streams is the number of open streams.
func (u *Upstream) Streams() int {
	u.streams.mu.Lock()
	defer u.streams.mu.Unlock()
	return len(u.streams.open)
}
