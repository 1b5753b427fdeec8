package check

import (
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/doctor"
)

// TestPorts of tcp and udp blocks: each has a line, and one without a port is a fault.
func TestPorts(t *testing.T) {
	for name, test := range map[string]struct {
		port  control.SharedPort
		state doctor.State
		texts []string
	}{
		"a port":   {control.SharedPort{Address: "t.example.com:20017"}, doctor.Unknown, []string{"tcp postgres: at t.example.com:20017"}},
		"no port":  {control.SharedPort{Error: "the relay has no tcp ports", Fix: "ask for some"}, doctor.Fault, []string{"tcp postgres: the relay has no tcp ports", "ask for some"}},
		"no reply": {control.SharedPort{}, doctor.Unknown, []string{"tcp postgres: the relay has not answered yet", "devproxy share --check"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, s := startEdge(t, nil, "shop.localhost")
			test.port.Network, test.port.Name = "tcp", "postgres"
			s.Share.Ports = []control.SharedPort{test.port}
			wants(t, e.check(s), "port", test.state, test.texts...)
		})
	}
}

// TestTheCheckHidesNothing: each request of the check to devproxy has its token, so that
// the terminal shows none of them as a stranger's.
func TestTheCheckHidesNothing(t *testing.T) {
	e, s := startEdge(t, nil, "shop.localhost")
	for _, f := range e.check(s) {
		if f.State == doctor.Fault {
			t.Errorf("%+v", f)
		}
	}
	if n := e.strangers.Load(); n > 0 {
		t.Errorf("%d requests to the paths of the check had no token", n)
	}
}
