package tunnel

import (
	"fmt"
	"strings"
)

// NameError is a claim that has no public names as it is.
type NameError struct {
	// Reason is what is wrong, Fix the edit or command that mends it.
	Reason, Fix string
}

func (e *NameError) Error() string { return e.Reason }

// sealed is the label below which no certificate of a relay covers names; it
// is nobody's plain name.
const sealed = "s"

// checkClaim says what is wrong with the parts that names are made of.
func checkClaim(c Claim) error {
	if len(c.Hosts) > MaxHosts {
		return &NameError{fmt.Sprintf("%d hosts are more than one share may have, which is %d", len(c.Hosts), MaxHosts), "share fewer: set share = false on some"}
	}
	if err := checkLinkOrName(c); err != nil {
		return err
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
		return &NameError{"a claim has a link or a plain name, not both", "update devproxy at this end"}
	case c.Name != "":
		return checkPlain(c.Name)
	case !isGenerated(c.Link, LinkLength):
		return &NameError{fmt.Sprintf("the link of a claim is not %d characters of %q", LinkLength, Alphabet), "update devproxy at this end"}
	case Label(c.Project) != c.Project:
		return &NameError{fmt.Sprintf("%q cannot begin a public name", c.Project), "use " + Label(c.Project)}
	}
	return nil
}

// checkPlain keeps plain names apart from those that are made from keys, so
// that neither can be mistaken for, or claimed as, the other.
func checkPlain(name string) error {
	refuse := func(reason, fix string) error {
		return &NameError{fmt.Sprintf("the name %q %s", name, reason), fix}
	}
	switch {
	case !isLabel(name) || strings.Contains(name, "_"):
		return refuse("is not one label of a DNS name", `write letters a to z, digits and "-", as in name = "shop"`)
	case strings.Contains(name, joint):
		return refuse(`has "--" in it, which joins the hosts of other shares`, fmt.Sprintf("write name = %q", Label(name)))
	case isTokenName(name):
		return refuse("looks like an unguessable one", fmt.Sprintf("leave the last %d characters out", LinkLength+1))
	case isGenerated(name, ZoneLength):
		return refuse("looks like the zone of a key", fmt.Sprintf("write name = %q", name+"-dev"))
	case name == sealed:
		return refuse("is the relay's own", "choose a longer one")
	}
	return nil
}

func checkHost(host string, c Claim) error {
	if host == "" {
		return nil
	}
	refuse := func(reason, fix string) error {
		return &NameError{fmt.Sprintf("the host %q %s", host, reason), fix}
	}
	base := strings.TrimPrefix(strings.TrimPrefix(host, "*"), ".")
	if isWildcard(host) != strings.Contains(host, "*") || strings.Contains(base, "*") {
		return refuse(`has a wildcard that is not "*" alone in front`, `write one like "*.tenant"`)
	}
	for label := range strings.SplitSeq(base, ".") {
		if !isLabel(label) && host != "*" {
			return refuse("is no name", `write letters a to z, digits and "-", with dots between`)
		}
	}
	if c.Names == NamesByZone && c.Name == "" && strings.HasPrefix(host, "xn--") {
		// Whatever begins with xn-- is punycode to browsers, and with more
		// behind it none (RFC 5890 section 2.3.2.1; WHATWG URL, domain to ASCII).
		return refuse("cannot be part of an unguessable name, since browsers would refuse it", `give the share a plain name, share { name = "…" }, or set share = false on this host`)
	}
	return nil
}

// checkPublic says whether name, what host is called, fits into the DNS.
func checkPublic(host, name string, c Claim) error {
	label, _, _ := strings.Cut(name, ".")
	switch {
	case len(c.Name) == 2 && strings.HasPrefix(label, c.Name+joint):
		// The third and the fourth character would be hyphens (RFC 5891 section 4.2.3.1).
		return &NameError{
			fmt.Sprintf("the public name of host %q would be %s, which browsers refuse since the name %q has two characters", host, name, c.Name),
			`choose a name of three characters or more, or write cookies = "shared" in the share block`,
		}
	case len(label) > maxLabel:
		return &NameError{
			fmt.Sprintf("the public name of host %q, %s…, has %d characters up to its first dot; the DNS allows %d", host, label[:20], len(label), maxLabel),
			"shorten the name of the share or the host, or set share = false on this host",
		}
	case len(name) > maxName:
		return &NameError{
			fmt.Sprintf("the public name of host %q has %d characters; the DNS allows %d", host, len(name), maxName),
			"shorten the host, or set share = false on it",
		}
	}
	return nil
}

func collision(host, other, name string) error {
	if host == other {
		return &NameError{fmt.Sprintf("the host %q is claimed twice", host), "name it once"}
	}
	return &NameError{
		fmt.Sprintf("the hosts %q and %q would both be %s, since dots become %q", other, host, name, joint),
		"rename one of them, or set share = false on it",
	}
}
