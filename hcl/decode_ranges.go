package hcl

import (
	"net/netip"
	"slices"
)

// decodeRanges decodes allow or deny; nil when it is absent or no list.
func (d *decoder) decodeRanges(b *body, name string) *Ranges {
	attr := b.attrs[name]
	if attr == nil {
		return nil
	}
	if _, present := d.get(b, name); !present {
		return &Ranges{Range: attr.text.rangeOf(attr.Expr.Range())}
	}
	elements, there := d.list(b, name, "CIDR ranges", `"203.0.113.0/24"`)
	if !there {
		return nil
	}
	ranges := &Ranges{Range: attr.text.rangeOf(attr.Expr.Range())}
	for _, element := range elements {
		text, ok := d.str(element, "a CIDR range")
		if !ok {
			continue
		}
		if prefix, ok := d.prefix(text, element.at()); ok && !slices.Contains(ranges.Prefixes, prefix) {
			ranges.Prefixes = append(ranges.Prefixes, prefix)
		}
	}
	if len(elements) > 0 && ranges.Prefixes == nil {
		return nil
	}
	return ranges
}

// prefix is a range of addresses in CIDR notation (RFC 4632 section 3.1, RFC
// 4291 section 2.3), or one address.
func (d *decoder) prefix(text string, at Range) (prefix netip.Prefix, ok bool) {
	const example = `write one like "203.0.113.0/24", or an address`
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		d.errorf(at, example, "%q is no CIDR range", text)
		return netip.Prefix{}, false
	case prefix.Addr().Is4In6():
		// Visitors' addresses are compared as IPv4 ones.
		d.errorf(at, example, "%q is an IPv4 range in IPv6 form", text)
		return netip.Prefix{}, false
	case prefix.Masked() != prefix:
		d.errorf(at, quotef("write %s", prefix.Masked().String()), "%q has bits beyond its length", text)
		return netip.Prefix{}, false
	}
	return prefix, true
}
