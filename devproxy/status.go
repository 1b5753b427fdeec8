package devproxy

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// StateChange tells that an upstream came up or went away, or that one member of
// it turned ill or well again.
type StateChange struct {
	Upstream string // ":5173"
	Member   string // ":3001"; empty when it is about the upstream
	Up       bool   // of a member: well
	At       time.Time
	// After is how long it was in the other state; 0 when that is not known.
	After  time.Duration
	Detail string // why it waits or is ill; empty when up
}

// The states of a route.
const (
	StateUp      = "up"
	StateWaiting = "waiting"
	StateReady   = "ready" // answered by devproxy itself
	// StateWithheld is for routes that need consent.
	StateWithheld = "withheld"
	// StateIll is for members, and for upstreams without another, whose health
	// check fails.
	StateIll = "ill"
	// StateUnknown is for members that nobody has connected to yet.
	StateUnknown = "unknown"
)

func (s *Server) newUpstream(spec *plan.Upstream) *forward.Upstream {
	opts := forward.Options{Instance: s.instance, Clients: &s.clients, Memory: s.memory}
	if s.opts.OnState != nil {
		opts.OnState = func(state forward.State) {
			s.opts.OnState(StateChange{Upstream: spec.Text, Up: state.Up, At: state.Since, After: state.After, Detail: refusals(state)})
		}
		opts.OnMember = func(c forward.MemberChange) {
			s.opts.OnState(StateChange{Upstream: spec.Text, Member: c.Member, Up: c.Health != forward.Ill, At: c.At, After: c.After, Detail: c.Why})
		}
	}
	return forward.New(spec, opts)
}

// refusals is "nothing listens on 127.0.0.1:5173 or [::1]:5173".
func refusals(state forward.State) string {
	if state.Up || len(state.Attempts) == 0 {
		return ""
	}
	return forward.Unavailable{Attempts: state.Attempts}.String()
}

// statusPatience bounds the connecting that asking for a status costs: ports
// of this machine answer at once.
const statusPatience = 300 * time.Millisecond

// Hosts are the served hosts and the state of their routes, each upstream
// asked by connecting to it.
func (s *Server) Hosts(ctx context.Context) []control.Host {
	g := s.current.Load()
	g.probe(ctx)
	hosts := make([]control.Host, 0, len(g.plan.Hosts()))
	for _, h := range g.plan.Hosts() {
		host := control.Host{Name: h.Name, URL: s.publicURL(h.Name), File: h.Source.File, Line: h.Source.Line, Routes: []control.Route{}}
		for i := len(h.Routes) - 1; i >= 0; i-- { // as written: the shortest path first
			host.Routes = append(host.Routes, g.routeStatus(h.Routes[i]))
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// LookAgain connects to the upstreams that did not answer last, so that OnState
// tells when one is there though no request came for it. ctx bounds it.
func (s *Server) LookAgain(ctx context.Context) {
	var group sync.WaitGroup
	for _, u := range s.current.Load().upstreams {
		if state := u.State(); state.Known && !state.Up {
			group.Go(func() { u.Probe(ctx) })
		}
	}
	group.Wait()
}

// probe asks all upstreams at once.
func (g *generation) probe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	var group sync.WaitGroup
	for _, u := range g.upstreams {
		group.Go(func() { u.Probe(ctx) })
	}
	group.Wait()
}

func (g *generation) routeStatus(route *plan.Route) control.Route {
	mask := g.plan.Mask()
	status := control.Route{Path: mask.Text(route.Label()), Upstream: mask.Text(route.Answer.String()), State: StateReady}
	if _, is := route.Answer.(*plan.Withheld); is {
		status.State = StateWithheld
	}
	spec, ok := route.Answer.(*plan.Upstream)
	if !ok {
		return status
	}
	state := g.upstream(spec).State()
	if len(spec.Members)+len(spec.Fallback) > 1 || spec.Health != nil {
		status.Members = memberStatus(g.upstream(spec).Members())
		for i := range status.Members {
			status.Members[i].Detail = mask.Text(status.Members[i].Detail)
		}
	}
	status.State = StateWaiting
	if state.Up {
		status.State = StateUp
		if allIll(status.Members) {
			status.State = StateIll
		}
		status.Hints = oneOrNone(twins(spec))
		return status
	}
	status.Detail = mask.Text(refusals(state))
	for _, process := range misplaced(g, route, listen.ListeningProcesses()) {
		status.Hints = append(status.Hints, process.String())
	}
	return status
}

func memberStatus(members []forward.MemberState) []control.Member {
	list := make([]control.Member, len(members))
	for i, m := range members {
		list[i] = control.Member{Upstream: m.Text, State: StateUnknown, Active: m.Active, Fallback: m.Fallback}
		switch {
		case m.Health == forward.Ill:
			list[i].State, list[i].Detail = StateIll, m.Why
		case m.Up:
			list[i].State = StateUp
		case m.Known:
			list[i].State, list[i].Detail = StateWaiting, forward.Unavailable{Attempts: m.Refused}.String()
		}
	}
	return list
}

// allIll reports whether every member that shares the load is ill.
func allIll(members []control.Member) bool {
	ill := false
	for _, m := range members {
		if !m.Fallback && m.State != StateIll {
			return false
		}
		ill = ill || !m.Fallback
	}
	return ill
}

// Generation is the number of the plan that is served now; 0 before the first.
func (s *Server) Generation() uint64 { return s.current.Load().number }

// Streams is the number of open upgraded connections and event streams.
func (s *Server) Streams() int { return s.current.Load().streams() + s.retired.streams() }

// InFlight is the number of exchanges that have not ended, streams among them.
func (s *Server) InFlight() int { return int(s.inFlight.Load()) }

// publicURL is where a host is served.
func (s *Server) publicURL(name string) string {
	return "https://" + name + strings.TrimSuffix(":"+itoa(s.listening.Load().HTTPSPort), ":443")
}
