package devproxy

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/port"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/hcl"
)

// servedPorts returns the blocks of a share that do not need consent: those that its claim
// has, in the same order.
func servedPorts(p *plan.Share) []*plan.Port {
	return slices.DeleteFunc(slices.Clone(p.Ports), func(port *plan.Port) bool { return port.Withheld })
}

// checkPorts returns an error for a share with blocks, which no provider carries.
func checkPorts(p *plan.Share, provider string) error {
	if len(p.Ports) == 0 {
		return nil
	}
	var names []string
	for _, port := range p.Ports {
		names = append(names, port.String())
	}
	return failure.Errorf("use a relay of your own: devproxy share --relay t.example.com\nor remove tcp and udp from the share block",
		"%s carries only HTTP, and this share has %s", provider, strings.Join(names, ", "))
}

// grantedPorts returns the blocks that the relay gives ports.
func (l *link) grantedPorts() []*plan.Port {
	var granted []*plan.Port
	for i, p := range servedPorts(l.plan) {
		if l.grantedPort(i) != 0 {
			granted = append(granted, p)
		}
	}
	return granted
}

// grantedPort returns the port of servedPorts[i] at the relay; 0 for none.
func (l *link) grantedPort(i int) int {
	if i >= len(l.grant.Ports) {
		return 0
	}
	return l.grant.Ports[i]
}

// servePort passes on a connection or a flow of a visitor. Only streams of a relay have
// the schemes of blocks.
func (l *link) servePort(c net.Conn, who share.Visitor) {
	stream, is := c.(port.Stream)
	if !is {
		_ = c.Close()
		return
	}
	l.ports.Serve(stream, port.Visitor{Network: plan.Network(who.Scheme), Name: who.Host, Addr: who.Addr.Addr()})
}

// portStatus returns the blocks of the share, with their public addresses.
func (l *link) portStatus() []control.SharedPort {
	var all []control.SharedPort
	served := 0
	for _, p := range l.plan.Ports {
		status := control.SharedPort{Network: string(p.Network), Name: p.Name, Public: p.Public}
		for _, prefix := range p.Allow {
			status.Allow = append(status.Allow, prefix.String())
		}
		if p.Withheld {
			status.Error, status.Fix = "it needs consent", "devproxy allow"
		} else {
			if l.table.current.Load() != nil {
				l.setAddress(&status, served)
			}
			served++
		}
		all = append(all, status)
	}
	return all
}

// maxReason bounds the text of a relay that says why it gives a block no port, in bytes.
const maxReason = 200

// refusedPort returns why the relay gives a block no port, as it says; it may be empty. A
// relay writes "tcp postgres: REASON; udp game: REASON".
func (l *link) refusedPort(block string) string {
	_, reason, found := strings.Cut("; "+l.grant.PortsRefused, "; "+block+": ")
	if !found {
		return ""
	}
	for _, p := range l.plan.Ports {
		reason, _, _ = strings.Cut(reason, "; "+p.String()+": ")
	}
	return hcl.Legible(strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""))
}

// setAddress sets the address of servedPorts[i], or why it has none.
func (l *link) setAddress(status *control.SharedPort, i int) {
	number, reason := l.grantedPort(i), l.refusedPort(status.String())
	switch {
	case number != 0:
		status.Address = net.JoinHostPort(l.grant.Domain, strconv.Itoa(number))
	case len(l.grant.Ports) == 0:
		status.Error, status.Fix = "the relay runs an older version, which carries only HTTP", "have the relay's operator update it"
	case reason != "":
		status.Error = reason
	default:
		status.Error = "the relay has no " + status.Network + " ports"
		status.Fix = "have the relay's operator start it with --" + status.Network + "-ports"
	}
}
