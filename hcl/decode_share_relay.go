package hcl

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const relayExample = `write one like "t.example.com"`

// providers are words of relay that are no domain of a relay.
func providers() []string { return []string{"cloudflare", "localhost.run", "pinggy"} }

// relays decodes who may carry the bytes of a share: one, or a list of them that
// is tried in order.
func (d *decoder) relays(v value) []Name {
	if !v.isList() && !v.writtenOut() {
		return d.relay(nil, v)
	}
	elements := d.elements(v)
	if len(elements) == 0 {
		d.errorf(v.at(), relayExample+", or leave it out", "relay is empty")
	}
	var relays []Name
	for _, element := range elements {
		relays = d.relay(relays, element)
	}
	return relays
}

// relay adds one of them to relays.
func (d *decoder) relay(relays []Name, v value) []Name {
	text, ok := d.str(v, "relay")
	if !ok {
		return relays
	}
	name := d.relayName(v, text)
	switch i := slices.IndexFunc(relays, func(r Name) bool { return r.Value == name }); {
	case name == "":
		return relays
	case i >= 0:
		d.errorf(v.at(), "the first is at "+place(relays[i].Range), "a second %q", name)
		return relays
	}
	return append(relays, Name{Value: name, Range: v.at(), Flow: d.comesFrom(v)})
}

// relayName is one relay as it is dialled; empty for one that cannot be meant.
func (d *decoder) relayName(v value, text string) string {
	name := pasted(strings.ToLower(text))
	domain, port, hasPort := strings.Cut(name, ":")
	scheme, rest, isURL := strings.Cut(name, "://")
	switch {
	case text == "":
		d.errorf(v.at(), relayExample+", or leave it out", "relay is empty")
	case slices.Contains(providers(), name):
		return name
	case name == "ngrok":
		d.errorf(v.at(), "name a relay's domain, or one of "+strings.Join(providers(), ", "), "relay %q is not built yet", text)
	case isURL && scheme == "ssh":
		return d.sshRelay(v, text)
	case isURL:
		rest, _, _ = strings.Cut(rest, "/")
		d.errorf(v.at(), quotef("write %s", rest), "a relay has no scheme")
	case strings.Contains(name, "/"):
		rest, _, _ = strings.Cut(name, "/")
		d.errorf(v.at(), quotef("write %s", rest), "a relay has no path")
	case isAddress(name):
		d.errorf(v.at(), relayExample+": visitors' names are below it", "%q is an address, not a domain", text)
	case !d.relayDomain(domain, text, v.at()):
	case !hasPort:
		return domain
	case !allDigits.MatchString(port):
		d.errorf(v.at(), quotef("write %s, or one with a port behind the colon", domain), "%q is no port", port)
	default:
		return d.relayPort(v, domain, port)
	}
	return ""
}

// sshExample is how a server is named that forwards over SSH.
const sshExample = `write one like "ssh://me@vps.example.com", or "ssh://me@vps.example.com?listen=8080&url=https://demo.example.com"`

// sshRelay checks the shape of an SSH server's URL. What belongs to one is the
// concern of package provider, which reads it when somebody shares.
func (d *decoder) sshRelay(v value, text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		d.errorf(v.at(), sshExample, "%q is no URL of an SSH server", text)
	case u.User != nil && strings.Contains(u.User.String(), ":"):
		d.errorf(v.at(), "take it out: devproxy uses your SSH agent and ~/.ssh", "a password does not belong in a Proxyfile")
	case u.Path != "" && u.Path != "/" || u.Fragment != "":
		d.errorf(v.at(), sshExample, "an SSH server has no path")
	default:
		return strings.TrimSuffix(text, "/")
	}
	return ""
}

// pasted is a relay as people copy it from a browser's address bar, without the
// scheme that every relay has and the "/" that is no path.
func pasted(name string) string {
	if rest, isURL := strings.CutPrefix(name, "https://"); isURL {
		return strings.TrimSuffix(rest, "/")
	}
	return name
}

// relayPort is the relay with its port where that has to be said.
func (d *decoder) relayPort(v value, domain, digits string) string {
	switch port := d.port(v, digits); port {
	case 0:
		return ""
	case 443:
		return domain
	default:
		return fmt.Sprintf("%s:%d", domain, port)
	}
}

func isAddress(text string) bool {
	if _, err := netip.ParseAddrPort(text); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return err == nil
}

// relayDomain checks the domain of a relay, which text was written for.
func (d *decoder) relayDomain(domain, text string, at Range) bool {
	write := func(domain string) string { return quotef("write %s", domain) }
	switch base, wildcard := strings.CutPrefix(domain, "*."); {
	case wildcard:
		d.errorf(at, write(base), "a relay has no wildcard")
	case strings.HasSuffix(domain, "."):
		d.errorf(at, write(strings.TrimRight(domain, ".")), `a name does not end with "."`)
	case len(domain) > maxName:
		d.errorf(at, "", "a name has at most %d characters", maxName)
	case !d.hostLabels(domain, text, relayExample, at):
	case !strings.Contains(domain, "."):
		// Browsers take no certificate for the names below a single label.
		d.errorf(at, didYouMean(domain, providers(), relayExample), "%q is no relay's domain", text)
	default:
		return true
	}
	return false
}

// hostLabels checks that name has the labels of a host name (RFC 1123 section
// 2.1): unlike names of this machine's own, those in certificates have no "_".
func (d *decoder) hostLabels(name, text, example string, at Range) bool {
	switch {
	case slices.Contains(strings.Split(name, "."), ""):
		d.errorf(at, example, "%q has an empty part", text)
	case strings.Contains(name, "_"):
		d.errorf(at, quotef("write %s", strings.ReplaceAll(name, "_", "-")), `%q has a "_"`, text)
	default:
		return d.labels(name, text, at)
	}
	return false
}
