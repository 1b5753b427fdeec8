package devproxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/service"
	"github.com/devproxy/devproxy/tunnel/page"
)

// serviceAt returns the state of the service that devproxy runs for a port of this
// machine. ok is false for any other address.
func (s *Server) serviceAt(network, addr string) (state service.State, ok bool) {
	if s.opts.Service == nil || network != "tcp" {
		return service.State{}, false
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsLoopback() {
		return service.State{}, false
	}
	return s.opts.Service(at.Port())
}

// dial connects to an upstream, except to a service that is not ready.
func (s *Server) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if state, ok := s.serviceAt(network, addr); ok && state.Phase != service.Running {
		return nil, &service.NotReadyError{State: state}
	}
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// serviceOf returns the state of the service that a route leads to.
func (s *Server) serviceOf(route *plan.Route) (service.State, bool) {
	spec, ok := route.Answer.(*plan.Upstream)
	if !ok || spec.LocalPort() == 0 {
		return service.State{}, false
	}
	return s.serviceAt("tcp", spec.Members[0].Addrs[0])
}

// outputTitle is above the last lines that a service has printed.
const outputTitle = "The end of its output:"

// servicePage changes the waiting page for a service that devproxy runs.
func servicePage(p *page.Page, state service.State, found forward.Unavailable) {
	p.Title, p.Attempts, p.Hints = state.String()+".", nil, nil
	switch state.Phase {
	case service.Starting:
		if state.Late != "" {
			p.Title, p.Hints = state.Name+" is not ready yet.", []string{page.Sentence(state.Late)}
		}
	case service.Running:
		p.Title = state.Name + " does not accept connections."
		for _, attempt := range found.Attempts {
			p.Attempts = append(p.Attempts, attempt.Addr+" "+shortCause(attempt.Err))
		}
	case service.Failed, service.Stopped:
		switch {
		case state.Next.IsZero():
			p.Hints = append(p.Hints, "To start it again: `devproxy restart "+state.Name+"`, or save the Proxyfile with another command.")
		case time.Until(state.Next) > time.Second:
			p.Hints = append(p.Hints, fmt.Sprintf("devproxy starts it again in %d s.", int(time.Until(state.Next).Seconds())))
		}
	}
	if len(state.Output) > 0 {
		p.CodeTitle, p.Code = outputTitle, strings.Join(state.Output, "\n")
	}
}
