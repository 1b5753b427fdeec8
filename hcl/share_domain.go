package hcl

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// domainExample is the form of a domain of the user's own.
const domainExample = `write one like "demo.example.com"`

// decodeShareDomain decodes a domain of the user's own: a public name in lower case, in
// punycode. The relay checks that it belongs to the user.
func decodeShareDomain(v value) string {
	text, ok := v.str("domain")
	if !ok {
		return ""
	}
	name := strings.ToLower(text)
	host := name
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		host = u.Hostname() // of a URL from the address bar
	}
	base, wildcard := strings.CutPrefix(name, "*.")
	p := v.place()
	good := p.passes(
		when(text == "", "remove it for a name of the relay", "domain is empty"),
		when(strings.Contains(name, "://"), suggest(host), "domain can't have a scheme"),
		when(isAddress(name), domainExample, "%q is an IP address, not a domain", text),
		when(strings.Contains(name, "/"), suggest(upTo(name, "/")), "domain can't have a path"),
		when(strings.Contains(name, ":"), suggest(upTo(name, ":"))+"; visitors use the port of the relay", "domain can't have a port"),
		when(strings.HasSuffix(name, "."), suggest(strings.TrimRight(name, ".")), `a name must not end with "."`),
		when(wildcard, suggest(base)+"; the other hosts have names of the relay", "domain can't have a wildcard"),
	) && p.ascii(name, text) && p.passes(
		when(len(name) > maxName, "", "a name can have at most %d characters", maxName),
	) && p.publicLabels(name, text, domainExample) && p.passes(
		when(!strings.Contains(name, "."), domainExample, "%q is not a domain", text),
		when(isWithin(name, "localhost"), "write a domain that you own; local names go in host blocks", "%q exists only on this machine", text),
	)
	if !good {
		return ""
	}
	return name
}

// upTo returns text before the first mark.
func upTo(text, mark string) string {
	before, _, _ := strings.Cut(text, mark)
	return before
}

// ascii reports a name with letters that the DNS does not have, which was written as text.
func (p place) ascii(name, text string) bool {
	if !strings.ContainsFunc(name, notASCII) {
		return true
	}
	advice := domainExample
	if punycode, err := idna.Lookup.ToASCII(name); err == nil {
		advice = suggest(punycode) + ", which is its form in the DNS"
	}
	p.errorf(advice, "%q is not ASCII", text)
	return false
}

// checkShareDomain reports what a share can't have together with a domain of the user's
// own, which is the public name of its first host.
func (d *decoder) checkShareDomain(b *block, share *Share) {
	if share.Domain == "" {
		return
	}
	at := d.at(b.attrs["domain"].nameRange())
	switch first := d.firstShared(share); {
	case share.Name != "":
		at.errorf("remove one of the two", "a share can have a domain or a name, not both")
	case share.SharedCookies:
		at.errorf(`remove cookies = "shared", or remove domain`, "the hosts of a share with a domain can't share cookies: only the first host is in it")
	case d.ofRelay(share) != "":
		at.errorf(fmt.Sprintf("choose another, or write name = %q", firstLabel(share.Domain)), "%q belongs to the relay %s", share.Domain, d.ofRelay(share))
	case len(share.Relays) > 0 && !slices.ContainsFunc(share.Relays, isOwnRelay):
		at.errorf(`write relay = "t.example.com", a relay, or remove domain`, "%s can't carry a share with a domain", share.Relays[0].Value)
	case strings.HasPrefix(first, "*."):
		at.errorf("write a host without a wildcard before it", "domain is the public name of the first shared host, and %q is a wildcard", first)
	default:
		return
	}
	share.Domain = ""
}

// ofRelay returns the relay whose own names share.Domain is one of.
func (d *decoder) ofRelay(share *Share) string {
	for _, relay := range share.Relays {
		domain := upTo(relay.Value, ":")
		if isOwnRelay(relay) && (isWithin(share.Domain, domain) || isWithin(domain, share.Domain)) {
			return domain
		}
	}
	return ""
}

// isOwnRelay reports whether a relay is one of devproxy, and not a provider.
func isOwnRelay(relay Name) bool {
	return !slices.Contains(providers(), relay.Value) && !strings.Contains(relay.Value, "://")
}

func firstLabel(name string) string { return upTo(name, ".") }

// firstShared returns the first host of the file that is shared; empty without one.
func (d *decoder) firstShared(share *Share) string {
	for _, h := range d.file.Hosts {
		named := func(name Name) bool { return name.Value == h.Name.Value }
		if h.Name.Value != "" && (h.Share == nil || *h.Share) && (len(share.Hosts) == 0 || slices.ContainsFunc(share.Hosts, named)) {
			return h.Name.Value
		}
	}
	return ""
}
