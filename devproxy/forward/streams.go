package forward

import (
	"context"
	"slices"
	"sync"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// streams are the responses that can last for ever: upgraded connections and event
// streams, by route.
type streams struct {
	mu   sync.Mutex
	open map[*stream]struct{}
	// closes counts how often a route was closed, so that an exchange that began
	// before and becomes a stream after that is closed too. next is the upstream that
	// the route then had.
	closes map[string]int
	next   map[string]*plan.Upstream
	over   bool // later streams are closed at once
}

type stream struct {
	route  string
	member *plan.Member
	// close is called at most once, with streams.mu held, and not after remove. It
	// must not block or call streams.
	close func()
}

// openStream lists f's response as a stream that end closes, until the function that
// it returns is called.
func (f *forwarding) openStream(end func()) (closed func()) {
	f.attempt.beginStream()
	s := &f.upstream.streams
	st := s.add(f.route.ID, f.mark, &f.member.Member, end)
	stop := func() bool { return true }
	if f.Over != nil {
		stop = context.AfterFunc(f.Over, func() { s.closeWhere(func(other *stream) bool { return other == st }) })
	}
	return func() {
		stop()
		s.remove(st)
	}
}

// mark is the route's count, which an exchange takes when it begins.
func (s *streams) mark(route string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closes[route]
}

// add lists a stream to member of an exchange that began at mark. It is closed at
// once if its route was closed since then and has not kept the member.
func (s *streams) add(route string, mark int, member *plan.Member, end func()) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &stream{route, member, end}
	if n := s.closes[route] - mark; s.over || n > 1 || n == 1 && !hasMember(s.next[route], member) {
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

func (s *streams) closeWhere(which func(*stream) bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeWhereLocked(which)
}

func (s *streams) closeWhereLocked(which func(*stream) bool) (closed int) {
	for st := range s.open {
		if which(st) {
			delete(s.open, st)
			st.close()
			closed++
		}
	}
	return closed
}

// closeRoute closes the streams of a route to members that are not in next.
func (s *streams) closeRoute(route string, next *plan.Upstream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closes == nil {
		s.closes, s.next = map[string]int{}, map[string]*plan.Upstream{}
	}
	s.closes[route]++
	s.next[route] = next
	return s.closeWhereLocked(func(st *stream) bool { return st.route == route && !hasMember(next, st.member) })
}

// closeAll closes all streams, and later ones as soon as they begin.
func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.closeWhereLocked(func(*stream) bool { return true })
}

// hasMember reports whether m is a member of u too: it has the same scheme, network
// and Host, and an address in common, however that is written. A nil u has none.
func hasMember(u *plan.Upstream, m *plan.Member) bool {
	return u != nil && slices.ContainsFunc(slices.Concat(u.Members, u.Fallback), func(other plan.Member) bool {
		return other.Scheme == m.Scheme && other.Network == m.Network && other.Authority == m.Authority &&
			slices.ContainsFunc(other.Addrs, func(addr string) bool { return slices.Contains(m.Addrs, addr) })
	})
}

// CloseStreams ends the open streams of a route: WebSockets with a close frame
// on both sides (RFC 6455 section 7.1.2: 1012 to the client, 1001 to the
// upstream) and a moment for the reply, other upgrades by closing, event
// streams with their last chunk, so that EventSource connects again. Held
// requests of the route return ErrRetired. It returns at once with the number
// of streams; the exchanges end on their own.
func (u *Upstream) CloseStreams(routeID string) int { return u.MoveStreams(routeID, nil) }

// MoveStreams is CloseStreams for a route that now has the upstream next:
// streams to members that next also has continue on u, which may be retired.
func (u *Upstream) MoveStreams(routeID string, next *plan.Upstream) int {
	// In this order: a request that begins to wait in between sees that its
	// route was closed, and a request that already waits is released.
	closed := u.streams.closeRoute(routeID, next)
	u.waiters.release(routeID)
	return closed
}

// CloseAllStreams ends all open streams, as CloseStreams does for one route,
// and all streams that are opened later.
func (u *Upstream) CloseAllStreams() { u.streams.closeAll() }

// Streams is the number of open streams.
func (u *Upstream) Streams() int {
	u.streams.mu.Lock()
	defer u.streams.mu.Unlock()
	return len(u.streams.open)
}
