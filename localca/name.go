package localca

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// suffix is the DNS name to which the root is constrained. As a constraint it covers itself
// and all names below it (RFC 5280 section 4.2.1.10). With a leading dot it would cover only
// those below, and localhost itself would be refused.
const suffix = "localhost"

// Limits of RFC 1035 section 2.3.4, in bytes of text without a final dot.
const (
	longestName  = 253
	longestLabel = 63
)

// outside is the reason for every well-formed name that the root of a domain may not sign.
func outside(domain string) string {
	if domain != suffix {
		return "this CA can sign only " + domain + " and names that end in ." + domain
	}
	return "this CA can sign only localhost, names that end in .localhost, and loopback addresses"
}

// NameError says why a name gets no leaf: it is not a valid name, or the root may not
// sign it.
type NameError struct {
	Name   string // as the caller gave it, of any length
	Reason string // continues the sentence "no certificate for NAME: "
}

// longestQuote limits how much a client can write into a log.
const longestQuote = 80

// Error is one sentence, in which a long name is cut off.
func (e *NameError) Error() string {
	return fmt.Sprintf("no certificate for %.*q: %s", longestQuote, e.Name, e.Reason)
}

// ranges are the addresses to which the root of a domain is constrained. The root of
// another domain than localhost may sign none: without an exclusion it could sign all (RFC
// 5280 section 4.2.1.10).
func ranges(domain string) (permitted, excluded []*net.IPNet) {
	if domain == suffix {
		return permittedRanges(), nil
	}
	return nil, []*net.IPNet{
		{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
		{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
	}
}

// permittedRanges are the addresses to which the root is constrained: exactly those for
// which netip.Addr.IsLoopback holds.
func permittedRanges() []*net.IPNet {
	return []*net.IPNet{
		{IP: net.IP{127, 0, 0, 0}, Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
}

// san is a subject alternative name in its canonical spelling that satisfies the
// constraints. The zero value is none.
type san struct {
	dns string     // lower case, no final dot; "*." may begin it; empty for an address
	ip  netip.Addr // IPv4 is never in its IPv6-mapped form
}

// String is the key under which a leaf is cached.
func (s san) String() string {
	if s.dns != "" {
		return s.dns
	}
	return s.ip.String()
}

// wildcard reports whether the name matches many.
func (s san) wildcard() bool { return strings.HasPrefix(s.dns, "*.") }

// parseSAN reads a DNS name, in any case and with or without its final dot, or the text of
// an IP address. The name must be one that the root of domain may sign. Every error is a
// *NameError.
func parseSAN(text, domain string) (san, error) {
	refuse := func(reason string) (san, error) {
		return san{}, &NameError{Name: text, Reason: reason}
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		ip = ip.Unmap()
		if ip.Zone() != "" {
			return refuse("an address in a certificate has no zone; leave out the % and what follows")
		}
		if !ip.IsLoopback() || domain != suffix {
			return refuse(outside(domain))
		}
		return san{ip: ip}, nil
	}
	name := strings.TrimSuffix(text, ".")
	base, isWildcard := strings.CutPrefix(name, "*.")
	if reason := faultOf(name, base); reason != "" {
		return refuse(reason)
	}
	name, base = strings.ToLower(name), strings.ToLower(base) // only ASCII, since faultOf found nothing else
	switch {
	case !within(base, domain):
		return refuse(outside(domain))
	case isWildcard && base == suffix:
		return refuse("browsers refuse *.localhost, as they refuse *.com; use single names, or *.app.localhost")
	}
	return san{dns: name}, nil
}

// within reports whether a name is domain or below it.
func within(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }

// faultOf says why name is malformed; empty if it is not. base is name without a wildcard.
func faultOf(name, base string) string {
	if name == "" {
		return "the name is empty"
	}
	if len(name) > longestName {
		return "a DNS name has at most 253 characters"
	}
	for label := range strings.SplitSeq(base, ".") {
		switch {
		case label == "":
			return "it has an empty label: two dots in a row, or one at the start"
		case len(label) > longestLabel:
			return "a label of a DNS name, the part between two dots, has at most 63 characters"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "a label of a DNS name can't begin or end with a hyphen"
		case strings.ContainsFunc(label, notInLabel):
			return "a DNS name has only letters a to z, digits, hyphens and dots; others are written as xn--… (punycode)"
		}
	}
	return ""
}

// notInLabel allows the underscore, although host names formally lack it: names made from
// folders have it, and every client accepts it. It refuses letters that strings.ToLower
// would turn into ASCII, such as the Kelvin sign, and so one name into another.
func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
