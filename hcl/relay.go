package hcl

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

const (
	relayExample = `write one like "t.example.com"`
	// sshExample is the form of a server that forwards over SSH.
	sshExample = `write one like "ssh://me@vps.example.com", or "ssh://me@vps.example.com?listen=8080&url=https://demo.example.com"`
)

// providers returns the values of relay that are not a relay's domain.
func providers() []string { return []string{"cloudflare", "localhost.run", "pinggy"} }

// decodeRelays decodes what may carry a share: one relay, or a list that is tried
// in order.
func decodeRelays(v value) []Name {
	elements := []value{v}
	if v.isList() {
		elements = v.elements()
		if len(elements) == 0 {
			v.errorf(relayExample+", or leave it out", "relay is empty")
		}
	}
	var relays []Name
	for element, text := range texts(elements, "relay") {
		name := element.place().relay(text)
		i := slices.IndexFunc(relays, func(r Name) bool { return r.Value == name })
		switch {
		case name == "":
		case i >= 0:
			element.errorf("the first one is at "+relays[i].Range.line(), "duplicate %q", name)
		default:
			relays = append(relays, Name{Value: name, Range: element.at(), Flow: element.comesFrom()})
		}
	}
	return relays
}

// relay returns a relay as it is dialled; "" for a mistake.
func (p place) relay(text string) string {
	name := strings.ToLower(text)
	if rest, isURL := strings.CutPrefix(name, "https://"); isURL {
		// People copy it from the address bar. Every relay has this scheme, and a
		// single "/" is not a path.
		name = strings.TrimSuffix(rest, "/")
	}
	domain, port, hasPort := strings.Cut(name, ":")
	scheme, rest, isURL := strings.Cut(name, "://")
	switch {
	case text == "":
		p.errorf(relayExample+", or leave it out", "relay is empty")
	case slices.Contains(providers(), name):
		return name
	case name == "ngrok":
		p.errorf("write the domain of a relay, or one of "+strings.Join(providers(), ", "), "relay %q is not built yet", text)
	case isURL && scheme == "ssh":
		return p.sshRelay(text)
	case isURL:
		rest, _, _ = strings.Cut(rest, "/")
		p.errorf(suggest(rest), "a relay can't have a scheme")
	case strings.Contains(name, "/"):
		rest, _, _ := strings.Cut(name, "/")
		p.errorf(suggest(rest), "a relay can't have a path")
	case isAddress(name):
		p.errorf(relayExample+": the public names are below it", "%q is an IP address, not a domain", text)
	case !p.relayDomain(domain, text):
	case !hasPort:
		return domain
	case !allDigits.MatchString(port):
		p.errorf(suggest(domain)+", or add a port after the colon", "%q is not a valid port", port)
	default:
		switch n := p.port(port); n {
		case 0:
		case 443:
			return domain
		default:
			return fmt.Sprintf("%s:%d", domain, n)
		}
	}
	return ""
}

// sshRelay checks the form of an SSH server's URL. Package provider reads it when
// a share starts.
func (p place) sshRelay(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		u = &url.URL{}
	}
	_, password := u.User.Password()
	if !p.passes(
		when(u.Hostname() == "", sshExample, "%q is not the URL of an SSH server", text),
		when(password, "remove it: devproxy uses your SSH agent and ~/.ssh", "a Proxyfile must not contain the password of a server"),
		when(u.Path != "" && u.Path != "/" || u.Fragment != "", sshExample, "the URL of an SSH server can't have a path"),
	) {
		return ""
	}
	return strings.TrimSuffix(text, "/")
}

// isAddress reports an IP address, with or without a port.
func isAddress(text string) bool {
	_, err := netip.ParseAddrPort(text)
	return err == nil || isIP(strings.Trim(text, "[]"))
}

// relayDomain checks the domain of a relay, which was written as text.
func (p place) relayDomain(domain, text string) bool {
	base, wildcard := strings.CutPrefix(domain, "*.")
	return p.passes(
		when(wildcard, suggest(base), "a relay can't have a wildcard"),
		when(strings.HasSuffix(domain, "."), suggest(strings.TrimRight(domain, ".")), `a name must not end with "."`),
		when(len(domain) > maxName, "", "a name can have at most %d characters", maxName),
	) && p.publicLabels(domain, text, relayExample) && p.passes(
		// Browsers do not accept certificates for names directly below one label.
		when(!strings.Contains(domain, "."), didYouMean(domain, providers(), relayExample), "%q is not the domain of a relay", text),
	)
}
