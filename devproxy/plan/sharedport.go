package plan

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// WithheldPorts returns the ports that need consent, in the order of Ports. They are not
// served.
func (p *Plan) WithheldPorts() []*Port {
	if p == nil {
		return nil
	}
	return p.withheld
}

// access is p with nothing but its name and who may connect to it in a share.
func (p *Port) access() *Port {
	return &Port{Network: p.Network, Name: p.Name, Public: p.Public, Allow: p.Allow, Withheld: p.Withheld}
}

// sharePorts sets which of the plan's ports are shared.
func (b *builder) sharePorts(p *Plan) {
	if b.file.Share == nil {
		return
	}
	for _, w := range b.file.Share.Ports {
		i := slices.IndexFunc(p.ports, func(port *Port) bool { return port.Network == w.Network && port.Name == w.Name })
		if i >= 0 { // else it has a mistake
			p.share.Ports = append(p.share.Ports, p.ports[i])
		}
	}
}

// withholdPorts sets the ports and the share of p, which is plan without the effects in
// gone.
func (p *Plan) withholdPorts(plan *Plan, gone []*Effect) {
	kept := map[*Port]*Port{}
	for _, port := range plan.ports {
		if !slices.ContainsFunc(gone, func(e *Effect) bool { return e.ports[port.String()] }) {
			p.ports = append(p.ports, port)
			continue
		}
		withheld := *port
		withheld.Withheld = true
		p.withheld = append(p.withheld, &withheld)
		kept[port] = &withheld
	}
	if len(kept) == 0 || plan.share == nil {
		return
	}
	share := *plan.share
	share.Ports = mapped(share.Ports, func(port *Port) *Port {
		if withheld := kept[port]; withheld != nil {
			return withheld
		}
		return port
	})
	p.share = &share
}

// shared adds that visitors may connect to the ports of the share: an effect for each
// range of addresses, so that fewer of them need no other consent.
func (c *effects) shared(services []*Service) {
	if c.file.Share == nil {
		return
	}
	for _, p := range c.file.Share.Ports {
		if p.Upstream == nil {
			continue // a mistake
		}
		shown, resolved, flow := c.published(p, services)
		block := string(p.Network) + " " + p.Name + ", "
		open := func(to string) string { return block + to + ", to everyone" }
		if p.Access.Public {
			c.publish(Effect{Target: open(shown), Resolved: open(resolved)}, flow, p)
		}
		for _, prefix := range p.Access.Allow {
			only := func(to string, some netip.Prefix) string { return block + to + ", to " + rangeText(some) }
			e := Effect{Target: only(shown, prefix), Resolved: only(resolved, prefix), Within: []string{open(shown)}}
			for bits := range prefix.Bits() {
				wider, _ := prefix.Addr().Prefix(bits) // fewer bits than it has
				e.Within = append(e.Within, only(shown, wider))
			}
			if !p.Access.Flow.Empty() {
				e.Target = block + shown + ", to " + p.Access.Flow.Full()
			}
			c.publish(e, flow, p)
		}
	}
}

// rangeText is a range as people write it: one address without its length.
func rangeText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// publish adds an effect of sharing a port, whose Resolved is not empty.
func (c *effects) publish(e Effect, flow hcl.Flow, p *hcl.Port) {
	e.Kind, e.share = KindPort, true
	for _, f := range []hcl.Flow{flow, p.Access.Flow} {
		if f.Computed { // else visitors do not find the value out
			e.Env, e.Computed = append(e.Env, f.Env...), true
		}
	}
	slices.Sort(e.Env)
	e.Env = slices.Compact(e.Env)
	if flow.Empty() && p.Access.Flow.Empty() {
		e.Resolved = ""
	} else {
		e.Within = nil
	}
	c.add(e, nil, p.Range)
}

// published returns the server that a port leads to, also over other ports, as it may be
// shown and with the values of the environment. Ports that devproxy has chosen are by name.
func (c *effects) published(p *hcl.Port, services []*Service) (shown, resolved string, flow hcl.Flow) {
	for range c.file.Ports { // a circle is a mistake
		if s := p.Upstream.Service; s != nil && s.Container != nil {
			resolved = s.Container.String()
			if s.Container.Port != 0 {
				resolved += " port " + strconv.Itoa(int(s.Container.Port))
			}
			return resolved, resolved, flow
		}
		if len(p.Upstream.Members) == 0 {
			return "", "", hcl.Flow{}
		}
		m := p.Upstream.Members[0]
		if flow.Env = append(flow.Env, m.Flow.Env...); m.Flow.Computed {
			flow.Computed = true
		}
		next := c.portAt(p.Network, m)
		if next == nil {
			resolved = c.asWritten(strings.TrimPrefix(m.Text, ":"), services)
			if m.Socket == "" && m.Host == "" {
				resolved = "port " + resolved
			}
			if m.Flow.Empty() {
				return resolved, resolved, flow
			}
			return m.Flow.Full(), resolved, flow
		}
		p = next
	}
	return "", "", hcl.Flow{}
}

// portAt returns the port of this file that m leads to; nil for another server.
func (c *effects) portAt(network Network, m hcl.Member) *hcl.Port {
	if m.Socket != "" || m.Host != "" && !isLoopback(m.Host) {
		return nil
	}
	i := slices.IndexFunc(c.file.Ports, func(p *hcl.Port) bool {
		return p.Network == network && p.Number == m.Port && p.Upstream != nil
	})
	if i < 0 {
		return nil
	}
	return c.file.Ports[i]
}
