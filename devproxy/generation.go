package devproxy

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/middleware"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// generation is a plan plus what runs for it. It is never changed after it
// became the current one.
type generation struct {
	number    uint64
	plan      *plan.Plan
	upstreams map[string]*forward.Upstream // by plan.Upstream.Key
	// around is what routes keep between requests, by plan.Route.ID; those that
	// put nothing around their answer are not in it.
	around map[string]*middleware.State
}

func (g *generation) upstream(spec *plan.Upstream) *forward.Upstream {
	return g.upstreams[spec.Key]
}

// streams is the number of open upgraded connections and event streams.
func (g *generation) streams() int {
	n := 0
	for _, u := range g.upstreams {
		n += u.Streams()
	}
	return n
}

// Applied says what an Apply did.
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

// Apply makes p what is served for folder, in place of what was. Requests in
// flight stay with the plan they began with; upstreams whose spec is equal are
// handed on with their connections. It fails, changing nothing, with a
// *plan.ConflictError when another folder has claimed one of p's names.
func (s *Server) Apply(folder string, p *plan.Plan) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Last, so that a name another folder has is this one's mistake.
	folders := append(s.withoutLocked(folder), folderPlan{folder, p})
	return s.applyLocked(folders)
}

// Remove stops serving folder. A folder that is not served is no error.
func (s *Server) Remove(folder string) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applyLocked(s.withoutLocked(folder))
}

// withoutLocked is what the other folders want served.
func (s *Server) withoutLocked(folder string) []folderPlan {
	return slices.DeleteFunc(slices.Clone(s.folders), func(f folderPlan) bool { return f.folder == folder })
}

// applyLocked builds the next generation, swaps it in and drains what is gone.
// Everything that can fail comes before the swap; nothing after it does.
func (s *Server) applyLocked(folders []folderPlan) (Applied, error) {
	if s.stopping.Load() {
		return Applied{}, ErrClosed
	}
	plans := make([]*plan.Plan, len(folders))
	for i, f := range folders {
		plans[i] = f.plan
	}
	merged, err := plan.Merge(plans...)
	if err != nil {
		return Applied{}, err
	}

	old := s.current.Load()
	changes := plan.Diff(old.plan, merged)
	next := s.build(old, merged)
	if changes.Empty() {
		// Lines may have moved: pages quote the new ones.
		next.number = old.number
	}

	s.current.Store(next)
	s.folders = folders
	updateAround(old, next)
	dropped := s.drainRoutes(old, changes)
	s.retireUnused(old, next)
	return Applied{Generation: next.number, Changes: changes, Kept: s.Streams(), Dropped: dropped}, nil
}

// build is the generation after old: upstreams whose spec is equal are kept.
func (s *Server) build(old *generation, p *plan.Plan) *generation {
	next := &generation{number: old.number + 1, plan: p, upstreams: map[string]*forward.Upstream{}, around: map[string]*middleware.State{}}
	for _, host := range p.Hosts() {
		for _, route := range host.Routes {
			s.keepAround(next, old, route)
			spec, ok := route.Answer.(*plan.Upstream)
			if !ok || next.upstreams[spec.Key] != nil {
				continue
			}
			if kept := old.upstreams[spec.Key]; kept != nil {
				next.upstreams[spec.Key] = kept
				continue
			}
			next.upstreams[spec.Key] = s.newUpstream(spec)
		}
	}
	return next
}

// keepAround hands the state of route on, whose settings may have changed: what
// is counted and kept by equal ones stays.
func (s *Server) keepAround(next, old *generation, route *plan.Route) {
	if len(route.Around) == 0 {
		return
	}
	kept := old.around[route.ID]
	if kept == nil {
		kept = middleware.NewState(route, s.attemptsAt(route.Host.Name))
	}
	next.around[route.ID] = kept
}

// attemptsAt counts guesses at the passwords of a host. They outlive plans, so
// that no save gives anybody more of them.
func (s *Server) attemptsAt(host string) *access.Attempts {
	if s.attempts[host] == nil {
		s.attempts[host] = access.NewAttempts()
	}
	return s.attempts[host]
}

// updateAround tells states of the settings that hold from now on, and retires
// those that no route has any more.
func updateAround(old, next *generation) {
	for _, host := range next.plan.Hosts() {
		for _, route := range host.Routes {
			if state := next.around[route.ID]; state != nil {
				state.Update(route)
			}
		}
	}
	for id, state := range old.around {
		if next.around[id] == nil {
			state.Close()
		}
	}
}

// drainRoutes closes the streams of routes that are gone or that go elsewhere
// now, and returns how many. Those to members that a route still has go on.
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

// moveStreams closes the streams of a route but for those to members of next,
// whichever upstream they were opened on.
func (s *Server) moveStreams(g *generation, route *plan.Route, next *plan.Upstream) int {
	closed := s.retired.moveStreams(route.ID, next)
	if spec, ok := route.Answer.(*plan.Upstream); ok {
		closed += g.upstream(spec).MoveStreams(route.ID, next)
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

func (s *Server) retireUnused(old, next *generation) {
	for key, u := range old.upstreams {
		if next.upstreams[key] == nil {
			u.Retire()
			s.retired.add(u)
		}
	}
}

// retirees are upstreams that no plan names any more and that still finish
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

// moveStreams is Upstream.MoveStreams of every retiree.
func (r *retirees) moveStreams(routeID string, next *plan.Upstream) int {
	closed := 0
	for _, u := range r.list() {
		closed += u.MoveStreams(routeID, next)
	}
	return closed
}

// closeStreams ends the streams of every retiree.
func (r *retirees) closeStreams() {
	for _, u := range r.list() {
		u.CloseAllStreams()
	}
}

// streams is the number of open streams of all retirees.
func (r *retirees) streams() int {
	n := 0
	for _, u := range r.list() {
		n += u.Streams()
	}
	return n
}

func (r *retirees) list() []*forward.Upstream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// wait returns when every retiree has ended its last exchange or ctx ends.
func (r *retirees) wait(ctx context.Context) {
	for _, u := range r.list() {
		_ = u.Wait(ctx) // ended by Close
	}
}
