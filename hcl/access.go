package hcl

import (
	"net/netip"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Access says which visitors of a share may connect to a port.
type Access struct {
	// Public is true if all may. Allow are the addresses that may otherwise; if it is nil,
	// the port can't be shared.
	Public bool
	Allow  []netip.Prefix // masked, without 4-in-6
	// Flow is what flows into both.
	Flow Flow
}

// decodeAccess decodes allow and public of a port.
func (d *decoder) decodeAccess(b *block, p *Port) {
	allow, limited := d.get(b, "allow")
	if limited {
		allow.notEmpty("write public = true to allow all addresses", "allow needs at least one address")
		p.Access.Allow, p.Access.Flow = []netip.Prefix{}, allow.comesFrom() // an invalid allow admits no address
		if ranges := decodeRanges(allow); ranges != nil {
			p.Access.Allow = append(p.Access.Allow, ranges.Prefixes...)
		}
	}
	public, present := d.get(b, "public")
	if !present {
		return
	}
	if on := public.boolean(); on != nil {
		p.Access.Public = *on
	}
	p.Access.Flow = p.Access.Flow.and(public.comesFrom())
	if p.Access.Public && limited {
		d.at(public.nameAt).errorf("remove one of the two", "%s has allow, and public allows all addresses", b.title())
	}
}

// maxSharedPorts is how many blocks a share can have: relays give no more.
const maxSharedPorts = 8

// decodeSharedPorts decodes which blocks of a network visitors can connect to.
func decodeSharedPorts(f field, network Network) []*Port {
	if !f.isList() {
		if p := portOf(f.Value); p != nil {
			f.errorf("write ["+p.String()+"]", "%s must be a list of %s blocks", f.name, network)
			return nil
		}
	}
	elements, _ := f.list(string(network)+" blocks", string(network)+".NAME")
	var ports []*Port
	var names []Name
	for _, element := range elements {
		p := element.sharedPort(network)
		if p == nil {
			continue
		}
		before := len(names)
		if names = element.place().appendNew(names, Name{Value: p.String(), Range: element.at()}); len(names) > before {
			ports = append(ports, p)
		}
	}
	return ports
}

// sharedPort returns the block that v is, if it can be shared; else nil.
func (v value) sharedPort(network Network) *Port {
	if !v.known() && !v.IsNull() {
		return nil
	}
	p := portOf(v.Value)
	switch {
	case p == nil:
		v.errorf(v.meantPort(network), "an element of %s must be a %s block", network, network)
	case p.Network != network:
		v.errorf("move it to "+string(p.Network)+" = ["+p.String()+"]", "%s is not a %s block", p, network)
	case len(p.Name) > maxLabel:
		v.errorf("use a shorter name for the block at "+p.Range.line(), "the name of a shared block can have at most %d characters", maxLabel)
	case !p.Access.Public && p.Access.Allow == nil:
		v.errorf(`in the block at `+p.Range.line()+`, write allow = ["203.0.113.0/24"] with the addresses of visitors, or public = true`, "%s does not say who may connect", p)
	default:
		return p
	}
	return nil
}

// meantPort is the advice for an element that is not a block.
func (v value) meantPort(network Network) string {
	name := "NAME"
	if v.is(cty.String) {
		text := strings.TrimPrefix(v.AsString(), string(network)+".")
		if v.scope.ports[network][text] != nil {
			name = text
		}
	}
	return "write " + string(network) + "." + name
}
