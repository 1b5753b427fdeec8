package hcl

import (
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Network is what a Port carries.
type Network string

// The networks of a Port, which are also the types of its block.
const (
	TCP Network = "tcp" // connections
	UDP Network = "udp" // datagrams
)

// Port is a tcp or udp block: a stable port of this machine that leads to an upstream.
// devproxy passes the bytes on and does not read them.
type Port struct {
	Network Network
	Name    string
	// Address is the loopback address to listen on; the zero Addr means all of them.
	Address netip.Addr
	Number  uint16
	// Chosen is true if listen is left out, so that Number is not in the file.
	Chosen bool
	// Upstream is one address, or a service, which may be containers.
	Upstream *Upstream
	// Access says which visitors of a share may connect; the zero Access says nothing.
	Access Access
	// ListenRange is the place of listen; the block's header without one.
	ListenRange Range
	// Range is the block's header: tcp "NAME".
	Range Range
}

// String returns the port as expressions refer to it: "tcp.postgres".
func (p *Port) String() string { return string(p.Network) + "." + p.Name }

// Listen returns the address as people know it: "127.0.0.1:15432".
func (p *Port) Listen() string {
	host := loopbackHost
	if p.Address.IsValid() {
		host = p.Address.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(p.Number)))
}

// loopbackHost is where clients of this machine find a port.
const loopbackHost = "127.0.0.1"

// portAttributes are the attributes of tcp and udp blocks.
func portAttributes() []string { return []string{"listen", "upstream", "allow", "public"} }

// portKey is the attribute of a port's value that holds its *Port; no expression can
// name it.
const portKey = " port"

// portType is the type of that attribute.
var portType = cty.Capsule("port", reflect.TypeFor[Port]())

// addPort makes b the target of tcp.NAME or udp.NAME.
func (d *decoder) addPort(b *block) {
	network := Network(b.kind)
	if b.label == "" {
		d.decodePort(b, &Port{Network: network}) // its name was reported
		return
	}
	if !identifier.MatchString(b.label) {
		d.at(b.labelRange).errorf(`write letters, digits, "-" and "_"`, "%q is not a valid name for a %s block", b.label, network)
	}
	nodes := d.ports[network]
	if first := nodes[b.label]; first != nil {
		d.at(b.labelRange).errorf("the first one is at "+first.at.line(), "duplicate %s %q", network, b.label)
		d.decodePort(b, &Port{Network: network, Name: b.label})
		return
	}
	port := &Port{Network: network, Name: b.label}
	d.file.Ports = append(d.file.Ports, port)
	// Only its address is a value, so that the upstream may be anything that refers to it.
	nodes[b.label] = &node{title: port.String(), at: b.labelRange, attr: b.attrs["listen"], eval: func() cty.Value {
		port.Range, port.ListenRange = b.header, b.header
		var flow Flow
		if f, present := d.get(b, "listen"); present {
			port.ListenRange, flow = f.at(), f.comesFrom()
			port.Address, port.Number = decodePortListen(f)
			if f.known() && f.computed {
				// It is bound before there is anything to withhold.
				f.errorf(`write env("NAME", "15432") and nothing else`, "listen must not be computed from an environment variable")
			}
		} else {
			_, port.Number = d.env.ports(string(network) + " " + b.label)
			port.Chosen = true
		}
		if port.Number == 0 {
			return cty.DynamicVal
		}
		return cty.ObjectVal(map[string]cty.Value{
			portKey:   cty.CapsuleVal(portType, port),
			"port":    cty.NumberIntVal(int64(port.Number)).WithMarks(flow.marks()),
			"address": cty.StringVal(port.Listen()).WithMarks(flow.marks()),
		})
	}}
}

// decodePorts decodes the upstreams of all ports, and checks the ports together.
func (d *decoder) decodePorts(root *block) {
	for _, b := range append(root.only(string(TCP)), root.only(string(UDP))...) {
		if n := d.ports[Network(b.kind)][b.label]; n != nil && n.at == b.labelRange {
			d.demand(n, n.at)
			i := slices.IndexFunc(d.file.Ports, func(p *Port) bool { return string(p.Network) == b.kind && p.Name == b.label })
			d.decodePort(b, d.file.Ports[i])
		}
	}
	first := map[string]*Port{}
	for _, p := range d.file.Ports {
		key := string(p.Network) + strconv.Itoa(int(p.Number))
		if p.Number == 0 || p.Chosen {
			continue
		}
		if before := first[key]; before != nil {
			d.at(p.ListenRange).errorf("remove listen, so that devproxy chooses a port; the first one is at "+before.ListenRange.line(), "%s and %s have the same port", before, p)
			continue
		}
		first[key] = p
	}
}

// decodePort decodes the upstream of a port, and who may connect to it.
func (d *decoder) decodePort(b *block, p *Port) {
	d.decodeAccess(b, p)
	f, present := d.get(b, "upstream")
	if !present {
		if !b.damaged {
			d.at(b.header).errorf("write upstream = 5432", "%s has no upstream", b.title())
		}
		return
	}
	example := `write upstream = 5432, "host:5432" or service.NAME`
	if f.known() && f.Type() == cty.String {
		text := f.AsString()
		scheme, rest, isURL := strings.Cut(text, "://")
		if isURL {
			if at := strings.LastIndexByte(rest, '@'); at >= 0 {
				rest = rest[at+1:]
			}
			rest, _, _ = strings.Cut(rest, "/")
			if _, _, err := net.SplitHostPort(rest); err == nil && !strings.Contains(text, "${") {
				example = suggest(rest)
			}
			f.errorf(example, "%s has an upstream without a scheme, not %q", b.title(), scheme+"://")
			return
		}
		if p.Network == UDP && strings.HasPrefix(text, "unix:") {
			f.errorf(example, "a unix socket can't be the upstream of %s", b.title())
			return
		}
	}
	if f.isList() {
		f.errorf(example, "%s has one upstream, not a list", b.title())
		return
	}
	u := decodeUpstream(f.value)
	if u == nil {
		return
	}
	switch s := u.Service; {
	case p.Network == UDP && s != nil && s.Container != nil:
		f.errorf("write the port of this machine that compose publishes, as in upstream = 5353", "containers can't be the upstream of %s", b.title())
	case p.Network == UDP && len(u.Members) > 0 && u.Members[0].Socket != "":
		f.errorf(example, "a unix socket can't be the upstream of %s", b.title())
	case len(u.Members) > 1:
		f.errorf("write upstream = "+strings.TrimPrefix(u.Members[0].Text, ":")+", or another of them", "%s has one upstream, and service %q has %d addresses", b.title(), s.Name, len(u.Members))
	case p.Number != 0 && p.Network == TCP && u.ownPortOf() == p.Number:
		f.errorf("write the port that your server listens on, and another for listen", "%s leads to itself", b.title())
	default:
		p.Upstream = u
	}
}

// ownPortOf is ownPort, of a service too.
func (u *Upstream) ownPortOf() uint16 {
	if len(u.Members) != 1 || u.Members[0].Socket != "" || !isPlainLoopback(u.Members[0].Host) {
		return 0
	}
	return u.Members[0].Port
}

// decodePortListen decodes a port, ":PORT" or "ADDRESS:PORT"; 0 for a mistake. The zero
// Addr means all loopback addresses.
func decodePortListen(f field) (netip.Addr, uint16) {
	const (
		example = `write a port like 15432, or "127.0.0.1:15432"`
		choice  = "write a number from 1 to 65535, or remove listen: then devproxy chooses a port"
	)
	if !f.known() {
		return netip.Addr{}, 0
	}
	text := ""
	if n, is := integer(f.Value); is {
		text = strconv.Itoa(n)
	} else if f.Type() == cty.String {
		text = f.AsString()
	}
	host, digits, err := net.SplitHostPort(text)
	if err != nil {
		host, digits = "", text
	}
	number, err := strconv.ParseUint(digits, 10, 16)
	address, _ := netip.ParseAddr(host)
	if !f.place().passes(
		when(!allDigits.MatchString(digits), example, "listen must be a port or an address"),
		when(err != nil || number == 0, choice, "port %s is out of range", digits),
		when(host != "" && host != "localhost" && !address.IsLoopback(),
			suggest(":"+digits)+"; to give others access, use devproxy share", "devproxy listens on loopback addresses only"),
	) {
		return netip.Addr{}, 0
	}
	return address.Unmap(), uint16(number)
}

// portOf returns the port that v is; nil if it is something else.
func portOf(v cty.Value) *Port {
	if !v.IsKnown() || v.IsNull() || !v.Type().IsObjectType() || !v.Type().HasAttribute(portKey) {
		return nil
	}
	return v.GetAttr(portKey).EncapsulatedValue().(*Port)
}

// checkPortAttribute reports tcp.NAME.WORD if a port does not have WORD.
func (s *scope) checkPortAttribute(root string, step hcl.Traverser, t *text) bool {
	attr, is := step.(hcl.TraverseAttr)
	if names := []string{"port", "address"}; is && !slices.Contains(names, attr.Name) {
		s.at(t.rangeOf(attr.SrcRange)).errorf(didYouMean(attr.Name, names, "it has port and address"), "a %s block has no attribute %q", root, attr.Name)
		return false
	}
	return true
}
