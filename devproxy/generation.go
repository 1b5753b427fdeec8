package devproxy

import (
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/middleware"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// generation is a plan and everything that runs for it. It does not change once
// it is current.
type generation struct {
	number    uint64
	plan      *plan.Plan
	upstreams map[string]*forward.Upstream // by plan.Upstream.Key
	// around is what routes keep between requests, by plan.Route.ID; only of
	// routes that put something around their answer.
	around map[string]*middleware.State
}

func (g *generation) upstream(spec *plan.Upstream) *forward.Upstream {
	return g.upstreams[spec.Key]
}

// Applied is the result of an Apply.
type Applied struct {
	// Generation is the number of the plan now served, from 1. It stays when
	// nothing has changed.
	Generation uint64
	Changes    plan.Changes
	// Kept and Dropped count the open streams (upgraded connections, event
	// streams) that outlived the change and that were closed by it.
	Kept, Dropped int
}

// ErrClosed is the error of an Apply once the server ends: Run drains it, or
// Close was called.
var ErrClosed = errors.New("the server is closed")

// Apply serves p in place of the previous plan. Requests in progress stay with the
// plan they began with; upstreams whose spec is equal are handed on with their
// connections. Everything that can fail comes before the swap.
func (s *Server) Apply(p *plan.Plan) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return Applied{}, ErrClosed
	}
	old := s.current.Load()
	changes := plan.Diff(old.plan, p)
	next := s.build(old, p)
	if changes.Empty() {
		// Lines may have moved: pages quote the new ones.
		next.number = old.number
	}

	s.current.Store(next)
	s.ports.Apply(p.Ports())
	updateAround(old, next)
	dropped := s.drainRoutes(old, changes)
	for key, u := range old.upstreams {
		if next.upstreams[key] == nil {
			u.Retire()
			s.retired.add(u)
		}
	}
	return Applied{Generation: next.number, Changes: changes, Kept: s.Streams(), Dropped: dropped}, nil
}

// build is the generation after old: upstreams whose spec is equal are kept, and so
// is the state of a route, whose settings may have changed.
func (s *Server) build(old *generation, p *plan.Plan) *generation {
	next := &generation{number: old.number + 1, plan: p, upstreams: map[string]*forward.Upstream{}, around: map[string]*middleware.State{}}
	for route := range next.routes() {
		if len(route.Around) > 0 {
			next.around[route.ID] = old.around[route.ID]
			if next.around[route.ID] == nil {
				next.around[route.ID] = middleware.NewState(route, s.attemptsLocked(route.Host.Name))
			}
		}
		spec, ok := route.Answer.(*plan.Upstream)
		if !ok || next.upstreams[spec.Key] != nil {
			continue
		}
		next.upstreams[spec.Key] = old.upstreams[spec.Key]
		if next.upstreams[spec.Key] == nil {
			next.upstreams[spec.Key] = s.newUpstream(spec)
		} else {
			next.upstreams[spec.Key].Report(spec)
		}
	}
	return next
}

// routes yields every route of the plan.
func (g *generation) routes() iter.Seq[*plan.Route] {
	return func(yield func(*plan.Route) bool) {
		for _, host := range g.plan.Hosts() {
			for _, route := range host.Routes {
				if !yield(route) {
					return
				}
			}
		}
	}
}

// attemptsLocked counts guesses at the passwords of a host. They outlive plans, so
// no save allows more of them.
func (s *Server) attemptsLocked(host string) *access.Attempts {
	if s.attempts[host] == nil {
		s.attempts[host] = access.NewAttempts()
	}
	return s.attempts[host]
}

// updateAround applies the new settings to the routes' states, and closes those
// that no route has any longer.
func updateAround(old, next *generation) {
	for route := range next.routes() {
		if state := next.around[route.ID]; state != nil {
			state.Update(route)
		}
	}
	for id, state := range old.around {
		if next.around[id] == nil {
			state.Close()
		}
	}
}

// drainRoutes closes the streams of routes that were removed or lead elsewhere
// now, and returns how many. Streams to members that a route still has
// continue.
func (s *Server) drainRoutes(old *generation, changes plan.Changes) int {
	closed := 0
	for _, route := range changes.Removed {
		closed += s.moveStreams(old, route, nil)
	}
	for _, change := range changes.Changed {
		if upstreamKey(change.Old) != upstreamKey(change.New) {
			next, _ := change.New.Answer.(*plan.Upstream)
			closed += s.moveStreams(old, change.Old, next)
		}
	}
	return closed
}

// upstreamKey is empty for a route that is not answered by an upstream.
func upstreamKey(route *plan.Route) string {
	if spec, ok := route.Answer.(*plan.Upstream); ok {
		return spec.Key
	}
	return ""
}

// moveStreams closes the streams of a route except those to members of next,
// whichever upstream they were opened on.
func (s *Server) moveStreams(old *generation, route *plan.Route, next *plan.Upstream) int {
	closed := 0
	for _, u := range s.retired.list() {
		closed += u.MoveStreams(route.ID, next)
	}
	if spec, ok := route.Answer.(*plan.Upstream); ok {
		closed += old.upstream(spec).MoveStreams(route.ID, next)
	}
	return closed
}

// retirees are upstreams that no plan names any longer and that still finish
// exchanges.
type retirees struct {
	mu  sync.Mutex
	all []*forward.Upstream
}

func (r *retirees) add(u *forward.Upstream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(slices.DeleteFunc(r.all, (*forward.Upstream).Idle), u)
}

func (r *retirees) list() []*forward.Upstream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
