package hcl

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

const (
	// maxName and maxLabel are the longest name and label in text form (RFC 1035
	// section 2.3.4).
	maxName  = 253
	maxLabel = 63
)

const suffix = ".localhost"

// OwnHost is the host of devproxy's own page, which no Proxyfile may have.
const OwnHost = "devproxy" + suffix

var (
	labelPattern = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)
	hostPattern  = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)
	// urlHost matches the host of a URL, with a scheme or without.
	urlHost   = regexp.MustCompile(`^(?:.*?://)?([^/:]*)`)
	allDigits = regexp.MustCompile(`^[0-9]+$`)
)

// hostName checks the name of a host, or without wildcard of a domain, and
// returns it in lower case. It returns "" for a mistake.
func (p place) hostName(text string, wildcard bool) string {
	name := strings.ToLower(text)
	base, isWildcard := strings.CutPrefix(name, "*.")
	plain := suggest(urlHost.FindStringSubmatch(name)[1])
	good := p.passes(
		when(strings.Contains(name, "://"), plain, "a host name can't have a scheme"),
		when(isIP(strings.Trim(name, "[]")), `write one like "shop.localhost"`, "%q is an IP address, not a host name", text),
		when(strings.Contains(name, "/"), plain+`, and in it route "/PATH"`, "a host name can't have a path"),
		when(strings.Contains(name, ":"), plain+"; ports go in a listen block", "a host name can't have a port"),
		when(strings.HasSuffix(name, "."), suggest(strings.TrimRight(name, ".")), `a name must not end with "."`),
		when(isWildcard && !wildcard, suggest(base), "domain can't have a wildcard"),
		when(strings.Contains(base, "*"), `write one like "*.tenant.shop.localhost"`, `"*." is only allowed at the beginning, for one label`),
		when(len(name) > maxName, "", "a name can have at most %d characters", maxName),
	) && p.labels(base, text) && p.passes(
		when(!p.servable(base), outsideAdvice(name, base), "%q is not below .localhost", text),
		when(name == OwnHost && wildcard, suggest("app."+OwnHost), "%q is the page that devproxy open shows", text),
	)
	if !good {
		return ""
	}
	return name
}

// outsideAdvice says what to do about a name outside .localhost, whose base is without its
// wildcard.
func outsideAdvice(name, base string) string {
	advice := suggest(underLocalhost(name))
	if strings.Contains(base, ".") {
		advice += "; to use this name anyway: devproxy trust --domain " + base
	}
	return advice
}

// servable reports whether a host may have a name: below .localhost, or in a domain that
// the user trusts.
func (p place) servable(name string) bool {
	return isWithin(name, "localhost") || slices.ContainsFunc(p.reporter.domains, func(domain string) bool { return isWithin(name, domain) })
}

// labels checks the labels of a name, which was written as text.
func (p place) labels(name, text string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if !p.passes(
			when(label == "", `write one like "shop.localhost"`, "%q has an empty part", text),
			when(len(label) > maxLabel, "", "the part of a name between two dots can have at most %d characters", maxLabel),
			when(strings.ContainsFunc(label, notASCII), "write its xn-- form, which you can copy from the browser's address bar", "%q is not ASCII", text),
			when(!labelPattern.MatchString(label), `write letters, digits and "-"`, "%q is not a valid name", text),
		) {
			return false
		}
	}
	return true
}

func notASCII(r rune) bool { return r >= 0x80 }

// publicLabels checks that name, which was written as text, has the labels of a
// host name (RFC 1123 section 2.1). Names in public certificates have no "_";
// local names may have one.
func (p place) publicLabels(name, text, example string) bool {
	return p.passes(
		when(slices.Contains(strings.Split(name, "."), ""), example, "%q has an empty part", text),
		when(strings.Contains(name, "_"), suggest(strings.ReplaceAll(name, "_", "-")), `%q contains "_"`, text),
	) && p.labels(name, text)
}

// underLocalhost returns name below .localhost: "shop.test" and "shop" become
// "shop.localhost", "app.example.com" becomes "app.example.localhost".
func underLocalhost(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 && name[:i] != "*" {
		name = name[:i]
	}
	return name + suffix
}

// commonParent returns the longest name that all hosts have or are below.
func commonParent(hosts []string) string {
	var common []string
	for _, name := range hosts {
		if name == "" {
			continue
		}
		labels := strings.Split(strings.TrimPrefix(name, "*."), ".")
		if common == nil {
			common = labels
			continue
		}
		n := 0
		for n < len(common) && n < len(labels) && common[len(common)-1-n] == labels[len(labels)-1-n] {
			n++
		}
		common = common[len(common)-n:]
	}
	return strings.Join(common, ".")
}

func isIP(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// isDialable reports whether host is a name or an IP address, without a port.
func isDialable(host string) bool {
	return len(host) <= maxName && (isIP(host) || hostPattern.MatchString(host) && !strings.Contains(host, ".."))
}

// isPlainLoopback reports a host that only means "this machine".
func isPlainLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// prefix parses a range of addresses in CIDR notation (RFC 4632 section 3.1, RFC
// 4291 section 2.3), or a single address.
func (p place) prefix(text string) (prefix netip.Prefix, ok bool) {
	const example = `write one like "203.0.113.0/24", or an IP address`
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix, p.passes(
		when(err != nil, example, "%q is not a valid CIDR range", text),
		// Client addresses are compared as IPv4 addresses.
		when(prefix.Addr().Is4In6(), example, "%q is an IPv4 range in IPv6 form", text),
		when(prefix.Masked() != prefix, suggest(prefix.Masked().String()), "%q has bits set after the prefix", text),
	)
}
