package devproxy

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/port"
	"github.com/devproxy/devproxy/devproxy/service"
)

// StateChange reports that an upstream became reachable or unreachable, or that one of
// its members became unhealthy or healthy again.
type StateChange struct {
	Upstream string // ":5173"
	Member   string // ":3001"; empty when it is about the upstream
	Up       bool   // of a member: healthy
	At       time.Time
	// After is how long it was in the other state; 0 when that is not known.
	After  time.Duration
	Detail string // why it waits or is unhealthy; empty when up
}

// Worktree returns the linked git worktree of the plan that is served, if its hosts
// have moved; else nil.
func (s *Server) Worktree() *control.Worktree {
	r := s.current.Load().plan.Relocation()
	if r == nil {
		return nil
	}
	return &control.Worktree{Name: r.Name, Label: r.Label, Repository: r.Repository, From: r.From, Domain: r.To}
}

func (s *Server) newUpstream(spec *plan.Upstream) *forward.Upstream {
	opts := forward.Options{Instance: s.instance, Clients: &s.clients, Memory: s.memory, Dial: s.dial}
	if spec.Group != nil && spec.Group.Absent != "" {
		return forward.New(spec, opts) // a Save tells who has started and stopped
	}
	if s.opts.OnState != nil {
		opts.OnState = func(state forward.State) {
			s.opts.OnState(StateChange{Upstream: spec.Text, Up: state.Up, At: state.Since, After: state.After, Detail: refusals(state)})
		}
		opts.OnMember = func(c forward.MemberChange) {
			s.opts.OnState(StateChange{Upstream: spec.Text, Member: c.Member, Up: c.Health != forward.Unhealthy, At: c.At, After: c.After, Detail: c.Why})
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

// LookAgain connects to the upstreams that did not answer last, so that OnState
// reports one that is back even without a request. ctx bounds it.
func (s *Server) LookAgain(ctx context.Context) {
	var group sync.WaitGroup
	for _, u := range s.current.Load().upstreams {
		if state := u.State(); state.Known && !state.Up {
			group.Go(func() { u.Probe(ctx) })
		}
	}
	group.Wait()
}

// statusPatience bounds how long a status takes to connect to upstreams: ports of
// this machine answer at once.
const statusPatience = 300 * time.Millisecond

// Hosts returns the served hosts and the state of their routes. It connects to each
// upstream for that.
func (s *Server) Hosts(ctx context.Context) []control.Host {
	g := s.current.Load()
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	var group sync.WaitGroup
	for _, u := range g.upstreams {
		group.Go(func() { u.Probe(ctx) })
	}
	group.Wait()
	processes := sync.OnceValue(listen.ListeningProcesses) // it reads much of /proc
	hosts := make([]control.Host, 0, len(g.plan.Hosts()))
	for _, h := range g.plan.Hosts() {
		host := control.Host{Name: h.Name, Aliases: h.Aliases, URL: s.publicURL(h.Name), File: h.Source.File, Line: h.Source.Line, Routes: []control.Route{}}
		for _, route := range slices.Backward(h.Routes) { // as written: the shortest path first
			status := g.routeStatus(route, processes)
			if state, ok := s.serviceOf(route); ok && state.Phase != service.Running {
				status.Detail, status.Hints = g.plan.Mask().Text(state.String()), nil
			}
			host.Routes = append(host.Routes, status)
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// Ports returns the tcp and udp blocks and their state, those that need consent last.
func (s *Server) Ports() []control.Port {
	var all []control.Port
	for _, state := range s.ports.States() {
		all = append(all, s.portStatus(state))
	}
	for _, p := range s.current.Load().plan.WithheldPorts() {
		status := s.portStatus(port.State{Port: p})
		status.State = control.StateWithheld
		all = append(all, status)
	}
	return all
}

func (s *Server) portStatus(state port.State) control.Port {
	p, mask := state.Port, s.current.Load().plan.Mask()
	status := control.Port{
		Network: string(p.Network), Name: p.Name, Listen: p.Listen(), Upstream: mask.Text(p.Text), File: p.Source.File, Line: p.Source.Line,
		State: control.StateReady, Open: state.Open,
	}
	switch {
	case state.Problem != "":
		status.State, status.Detail, status.Fix = control.StateUnavailable, state.Problem, state.Fix
	case state.Refusal != "":
		status.State, status.Detail = control.StateWaiting, mask.Text(state.Refusal)
	}
	return status
}

// routeStatus returns the state of a route. processes returns those that listen.
func (g *generation) routeStatus(route *plan.Route, processes func() []listen.Process) control.Route {
	mask := g.plan.Mask()
	status := control.Route{Path: mask.Text(route.Label()), Upstream: mask.Text(route.Answer.String()), State: control.StateReady}
	if _, is := route.Answer.(*plan.Withheld); is {
		status.State = control.StateWithheld
	}
	spec, ok := route.Answer.(*plan.Upstream)
	if !ok {
		return status
	}
	state := g.upstream(spec).State()
	if len(spec.Members)+len(spec.Fallback) > 1 || spec.Health != nil || spec.Group != nil && spec.Group.Absent == "" {
		for _, m := range g.upstream(spec).Members() {
			member := memberStatus(m)
			member.Detail = mask.Text(member.Detail)
			status.Members = append(status.Members, member)
		}
	}
	if !state.Up {
		status.State, status.Detail = control.StateWaiting, mask.Text(refusals(state))
		for _, process := range misplaced(g, route, processes()) {
			status.Hints = append(status.Hints, process.String())
		}
		return status
	}
	status.State, status.Hints = control.StateUp, oneOrNone(twins(spec))
	if allUnhealthy(status.Members) {
		status.State = control.StateUnhealthy
	}
	return status
}

func memberStatus(m forward.MemberState) control.Member {
	status := control.Member{Upstream: m.Text, State: control.StateUnknown, Active: m.Active, Fallback: m.Fallback}
	switch {
	case m.Health == forward.Unhealthy:
		status.State, status.Detail = control.StateUnhealthy, m.Why
	case m.Up:
		status.State = control.StateUp
	case m.Known:
		status.State, status.Detail = control.StateWaiting, forward.Unavailable{Attempts: m.Refused}.String()
	}
	return status
}

// allUnhealthy reports whether every member that shares the load is unhealthy.
func allUnhealthy(members []control.Member) bool {
	members = slices.DeleteFunc(slices.Clone(members), func(m control.Member) bool { return m.Fallback })
	return len(members) > 0 && !slices.ContainsFunc(members, func(m control.Member) bool { return m.State != control.StateUnhealthy })
}
