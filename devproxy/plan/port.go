package plan

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// Network is what a Port carries.
type Network = hcl.Network

// The networks of a Port.
const (
	TCP = hcl.TCP
	UDP = hcl.UDP
)

// Port is a stable port of this machine that leads to an upstream: a tcp or udp block.
type Port struct {
	Network Network
	Name    string // "postgres"
	// Addrs are the loopback addresses to listen on, all with the same port. Of several,
	// those whose family this machine lacks are left out.
	Addrs []netip.AddrPort
	// Chosen is true if the port is not in the file.
	Chosen bool
	// Members are the addresses of the upstream: one, or those of the containers of a
	// service. Each connection goes to the first that accepts it.
	Members []Member
	Text    string // ":5432", of Members
	// Group is set if Members are containers; else nil.
	Group *Group
	// Hold is how long a connection waits for an upstream that refuses it; 0 means not.
	Hold time.Duration
	// Public is true if every visitor of a share may connect. Allow are the addresses that
	// may otherwise; nil means that the port is not shared.
	Public bool
	Allow  []netip.Prefix
	// Withheld is true for a port that needs consent: it is not served.
	Withheld bool

	Source Source
}

// String returns the port by its block: "tcp postgres".
func (p *Port) String() string { return string(p.Network) + " " + p.Name }

// Listen is the address that clients of this machine use: "127.0.0.1:15432".
func (p *Port) Listen() string { return p.Addrs[0].String() }

// Key tells sockets apart: ports with the same key share one, so a block can get another
// name and keep its connections.
func (p *Port) Key() string { return string(p.Network) + " " + p.Listen() }

// Ports returns the ports, tcp before udp, each in the order of the file. The caller must
// not change them.
func (p *Plan) Ports() []*Port {
	if p == nil {
		return nil
	}
	return p.ports
}

func (b *builder) ports() []*Port {
	ports := mapped(b.file.Ports, b.port)
	ports = slices.DeleteFunc(ports, func(p *Port) bool { return p == nil })
	b.findCircles(ports)
	return ports
}

// port returns the port of a block; nil if that has a mistake.
func (b *builder) port(p *hcl.Port) *Port {
	if p.Upstream == nil || p.Number == 0 {
		return nil
	}
	port := &Port{Network: p.Network, Name: p.Name, Chosen: p.Chosen, Hold: DefaultHold, Public: p.Access.Public, Allow: p.Access.Allow, Source: b.source(p.Range)}
	addrs := []netip.Addr{p.Address}
	if !p.Address.IsValid() {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	for _, addr := range addrs {
		port.Addrs = append(port.Addrs, netip.AddrPortFrom(addr, p.Number))
	}
	if p.Network == UDP {
		// devproxy itself listens on TCP alone.
		port.Members = mapped(p.Upstream.Members, func(m hcl.Member) Member { return resolve(m, "", false) })
	} else {
		port.Members, port.Group = b.members(p.Upstream, "", false)
	}
	port.Text = textOf(port.Members)
	if port.Group != nil {
		port.Text = port.Group.String()
	}
	if s := p.Upstream.Service; s != nil && s.Hold != nil {
		port.Hold = *s.Hold
	}
	return port
}

// findCircles reports tcp blocks that lead to each other and so to no server.
func (b *builder) findCircles(ports []*Port) {
	next := func(p *Port) *Port {
		i := slices.IndexFunc(ports, func(to *Port) bool {
			return p.Network == to.Network && len(p.Members) == 1 && slices.ContainsFunc(to.Addrs, func(at netip.AddrPort) bool {
				return slices.Contains(p.Members[0].Addrs, at.String())
			})
		})
		if i < 0 {
			return nil
		}
		return ports[i]
	}
	for _, p := range ports {
		way := []string{p.String()}
		at := next(p)
		for at != nil && at != p && len(way) <= len(ports) {
			way = append(way, at.String())
			at = next(at)
		}
		if at == p {
			i := slices.IndexFunc(b.file.Ports, func(w *hcl.Port) bool { return w.Network == p.Network && w.Name == p.Name })
			b.errorf(b.file.Ports[i].Range, "write the port that a server listens on", "%s leads to itself: %s", p, strings.Join(append(way, p.String()), " -> "))
		}
	}
}

// reachPorts adds what the ports do outside the project.
func (c *effects) reachPorts() {
	for _, p := range c.file.Ports {
		if p.Upstream == nil {
			continue
		}
		for _, m := range p.Upstream.Members {
			to := c.member(m)
			if m.Socket == "" && to.Kind != "" {
				target := canonical(string(p.Network), m.Host, strconv.Itoa(int(m.Port)))
				if to.Resolved == "" {
					to.Target = target
				} else {
					to.Resolved = target
				}
			}
			if to.Kind == "" {
				if !m.Flow.Computed {
					continue
				}
				to = Effect{Kind: KindSetting, Target: Visitors}
			}
			to.Env, to.Computed = m.Flow.Env, m.Flow.Computed
			c.add(to, nil, m.Range).notePort(p)
		}
	}
}

// notePort notes that e is an effect of a port.
func (e *Effect) notePort(p *hcl.Port) {
	if e.ports == nil {
		e.ports = map[string]bool{}
	}
	e.ports[string(p.Network)+" "+p.Name] = true
}

// PortChange is a port that is in both plans and leads elsewhere.
type PortChange struct {
	Old, New *Port
}

// String is "tcp postgres :5432 -> :5433".
func (c PortChange) String() string {
	switch {
	case c.Old.Listen() != c.New.Listen():
		return c.New.String() + " " + fromTo(c.Old.Listen(), c.New.Listen())
	case c.Old.Text != c.New.Text:
		return c.New.String() + " " + fromTo(c.Old.Text, c.New.Text)
	}
	return c.New.String() + " changed"
}

// differs reports whether next works differently from p. Its line, and the health of
// containers, are not part of that.
func (p *Port) differs(next *Port) bool {
	return !slices.Equal(p.Addrs, next.Addrs) || p.Text != next.Text || p.Hold != next.Hold ||
		!slices.Equal(mapped(p.Members, Member.key), mapped(next.Members, Member.key))
}

// diffPorts adds the differences of the ports.
func (c *Changes) diffPorts(old, next []*Port) {
	before, after := index(old, (*Port).String), index(next, (*Port).String)
	for _, p := range old {
		if after[p.String()] == nil {
			c.RemovedPorts = append(c.RemovedPorts, p)
		}
	}
	for _, p := range next {
		switch was := before[p.String()]; {
		case was == nil:
			c.AddedPorts = append(c.AddedPorts, p)
		case was.differs(p):
			c.ChangedPorts = append(c.ChangedPorts, PortChange{was, p})
		}
	}
}
