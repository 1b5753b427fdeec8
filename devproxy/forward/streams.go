package forward

import (
	"context"
	"slices"
	"sync"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// streams are the answers that have no end of their own: upgraded connections
// and event streams, by route.
type streams struct {
	mu   sync.Mutex
	open map[*stream]struct{}
	// closes counts how often a route was closed, so that an exchange that
	// began before and becomes a stream after is closed too. next is what the route
	// had after the last time.
	closes map[string]int
	next   map[string]*plan.Upstream
	over   bool // whatever becomes a stream is closed
}

type stream struct {
	route  string
	member *plan.Member
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

// add registers a stream to member of an exchange that began at mark. It is closed at
// once when its route was closed since and has not kept the member.
func (s *streams) add(route string, mark int, member *plan.Member, end func()) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &stream{route, member, end}
	if n := s.closes[route] - mark; s.over || n > 1 || n == 1 && !keeps(s.next[route], member) {
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

// close ends the streams of a route whose members are not in next.
func (s *streams) close(route string, next *plan.Upstream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := 0
	for st := range s.open {
		if st.route == route && !keeps(next, st.member) {
			delete(s.open, st)
			st.close()
			closed++
		}
	}
	if s.closes == nil {
		s.closes, s.next = map[string]int{}, map[string]*plan.Upstream{}
	}
	s.closes[route]++
	s.next[route] = next
	return closed
}

// closeAll ends all streams, and later ones as soon as they begin.
func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for st := range s.open {
		delete(s.open, st)
		st.close()
	}
}

// keeps reports whether m is a member of next too: it is asked in the same way, and
// has an address in common, however that is written. A nil next has no members.
func keeps(next *plan.Upstream, m *plan.Member) bool {
	return next != nil && slices.ContainsFunc(slices.Concat(next.Members, next.Fallback), func(other plan.Member) bool {
		return other.Scheme == m.Scheme && other.Network == m.Network && other.Authority == m.Authority &&
			slices.ContainsFunc(other.Addrs, func(addr string) bool { return slices.Contains(m.Addrs, addr) })
	})
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
func (u *Upstream) CloseStreams(routeID string) int { return u.MoveStreams(routeID, nil) }

// MoveStreams is CloseStreams for a route that has the upstream next now: streams to
// members that next has too go on, on u, which may be retired.
func (u *Upstream) MoveStreams(routeID string, next *plan.Upstream) int {
	// In this order: a request that is held in between sees that its route was
	// closed, one that is held before is released.
	closed := u.streams.close(routeID, next)
	u.held.release(routeID)
	return closed
}

// CloseAllStreams ends what is open, as CloseStreams does for one route, and what
// would be opened later.
func (u *Upstream) CloseAllStreams() { u.streams.closeAll() }

// Streams is the number of open streams.
func (u *Upstream) Streams() int {
	u.streams.mu.Lock()
	defer u.streams.mu.Unlock()
	return len(u.streams.open)
}
