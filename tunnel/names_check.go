package tunnel

import (
	"fmt"
	"strings"
)

// NameError is the error of a claim from which no public names can be made.
type NameError struct {
	// Reason says why the name is refused, and Fix is the edit or command that
	// corrects it.
	Reason, Fix string
}

func (e *NameError) Error() string { return e.Reason }

func nameErrorf(fix, format string, args ...any) error {
	return &NameError{Reason: fmt.Sprintf(format, args...), Fix: fix}
}

// updateFix is the fix for claims that no current devproxy makes.
const updateFix = "update devproxy at this end"

// sealed is the label below which no certificate of a relay covers names. No share
// can have it as its plain name.
const sealed = "s"

// checkClaim checks the parts that names are made of.
func checkClaim(c Claim) error {
	if len(c.Hosts) > MaxHosts {
		return nameErrorf("share fewer: set share = false on some", "a share can have at most %d hosts, not %d", MaxHosts, len(c.Hosts))
	}
	if err := checkLinkOrName(c); err != nil {
		return err
	}
	if c.Domain != "" && isWildcard(c.Hosts[0]) {
		return nameErrorf("share another host first, or remove domain", "the domain %.100q cannot be the name of the wildcard host %q", c.Domain, c.Hosts[0])
	}
	for _, host := range c.Hosts {
		if err := checkHost(host, c); err != nil {
			return err
		}
	}
	return nil
}

func checkLinkOrName(c Claim) error {
	switch {
	case c.Name != "" && c.Link != "":
		return nameErrorf(updateFix, "a claim has a link or a plain name, not both")
	case c.Name != "":
		return checkPlain(c.Name)
	case !isGenerated(c.Link, LinkLength):
		return nameErrorf(updateFix, "the link of a claim is not %d characters of %q", LinkLength, Alphabet)
	case Label(c.Project) != c.Project:
		return nameErrorf("use "+Label(c.Project), "%q cannot begin a public name", c.Project)
	}
	return nil
}

// checkPlain refuses plain names that look like those made from keys, so that neither
// can be mistaken for, or claimed as, the other.
func checkPlain(name string) error {
	reason, fix := "", ""
	switch {
	case !isLabel(name) || strings.Contains(name, "_"):
		reason, fix = "is not one label of a DNS name", `write letters a to z, digits and "-", as in name = "shop"`
	case strings.Contains(name, joint):
		reason, fix = `has "--" in it, which joins the hosts of other shares`, fmt.Sprintf("write name = %q", Label(name))
	case isTokenName(name):
		reason, fix = "looks like an unguessable one", fmt.Sprintf("leave the last %d characters out", LinkLength+1)
	case isGenerated(name, ZoneLength):
		reason, fix = "looks like the zone of a key", fmt.Sprintf("write name = %q", name+"-dev")
	case name == sealed:
		reason, fix = "is the relay's own", "choose a longer one"
	default:
		return nil
	}
	return nameErrorf(fix, "the name %q %s", name, reason)
}

func checkHost(host string, c Claim) error {
	if host == "" {
		return nil
	}
	base := strings.TrimPrefix(strings.TrimPrefix(host, "*"), ".")
	if isWildcard(host) != strings.Contains(host, "*") || strings.Contains(base, "*") {
		return nameErrorf(`write one like "*.tenant"`, `the host %q has a wildcard that is not "*" alone in front`, host)
	}
	for label := range strings.SplitSeq(base, ".") {
		if !isLabel(label) && host != "*" {
			return nameErrorf(`write letters a to z, digits and "-", with dots between`, "the host %q is not a valid name", host)
		}
	}
	if c.Names == NamesByZone && c.Name == "" && strings.HasPrefix(host, "xn--") {
		// To browsers, a label that begins with xn-- is punycode, and it is invalid
		// with more after it (RFC 5890 section 2.3.2.1; WHATWG URL, domain to ASCII).
		return nameErrorf(`give the share a plain name, share { name = "…" }, or set share = false on this host`,
			"the host %q cannot be part of an unguessable name, since browsers would refuse it", host)
	}
	return nil
}

// checkPublic checks whether name, the public name of host, fits into the DNS.
func checkPublic(host, name string, c Claim) error {
	label, _, _ := strings.Cut(name, ".")
	switch {
	case len(c.Name) == 2 && strings.HasPrefix(label, c.Name+joint):
		// The third and the fourth character would be hyphens (RFC 5891 section 4.2.3.1).
		return nameErrorf(`choose a name of three characters or more, or write cookies = "shared" in the share block`,
			"the public name of host %q would be %s, which browsers refuse since the name %q has two characters", host, name, c.Name)
	case len(label) > maxLabel:
		return nameErrorf("shorten the name of the share or the host, or set share = false on this host",
			"the public name of host %q, %s…, has %d characters up to its first dot; the DNS allows %d", host, label[:20], len(label), maxLabel)
	case len(name) > maxName:
		return nameErrorf("shorten the host, or set share = false on it", "the public name of host %q has %d characters; the DNS allows %d", host, len(name), maxName)
	}
	return nil
}

func collision(host, other, name string) error {
	if host == other {
		return nameErrorf("name it once", "the host %q is claimed twice", host)
	}
	return nameErrorf("rename one of them, or set share = false on it", "the hosts %q and %q would both be %s, since dots become %q", other, host, name, joint)
}
