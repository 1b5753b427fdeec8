package hcl

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// shareEntries are the attributes of the share block. decodePassword decodes the
// password, decodeShare the paths.
func shareEntries() []entry[Share] {
	return []entry[Share]{
		{name: "relay", decode: func(f field, s *Share) { s.Relays = decodeRelays(f.value) }},
		{name: "hosts", decode: func(f field, s *Share) { s.Hosts = decodeSharedHosts(f) }},
		{name: "name", decode: func(f field, s *Share) { s.Name = decodePublicName(f.value) }},
		{name: "domain", decode: func(f field, s *Share) { s.Domain = decodeShareDomain(f.value) }},
		{name: "password"}, {name: "paths"}, {name: "public"}, {name: "callback"},
		{name: "show", decode: func(f field, s *Share) {
			s.Show = f.names("paths and file names", "an entry of show", `"/rails/mailers"`, place.showEntry)
		}},
		{name: "allow", decode: func(f field, s *Share) { s.Allow = decodeVisitors(f) }},
		{name: "cookies", decode: func(f field, s *Share) { s.SharedCookies = decodeSharedCookies(f.value) }},
		{name: "rewrite_body", decode: func(f field, s *Share) {
			on := f.boolean()
			s.KeepBodies = on != nil && !*on
		}},
		{name: "tcp", decode: func(f field, s *Share) { s.Ports = append(s.Ports, decodeSharedPorts(f, TCP)...) }},
		{name: "udp", decode: func(f field, s *Share) { s.Ports = append(s.Ports, decodeSharedPorts(f, UDP)...) }},
		{name: "expires", decode: func(f field, s *Share) { s.Expires = decodeExpires(f.value) }},
	}
}

func (d *decoder) decodeShare(b *block) {
	if first := d.file.Share; first != nil {
		d.at(b.header).errorf("the first one is at "+first.Range.line(), "duplicate share block")
		return
	}
	share := &Share{Range: b.header}
	d.file.Share = share
	decodeBlock(d.scope, b, shareEntries(), share)
	d.checkShareDomain(b, share)
	if n := len(share.Ports); n > maxSharedPorts {
		d.at(share.Ports[maxSharedPorts].Range).errorf("remove some from tcp and udp of the share block", "a share can have at most %d tcp and udp blocks, not %d", maxSharedPorts, n)
	}
	d.decodePassword(b, share)
	paths, public := d.decodePaths(b, "paths"), d.decodePaths(b, "public")
	callback := d.decodeCallback(b)
	d.findHidden("public path", public, paths)
	d.findHidden("callback", callback, paths)
	share.Paths, share.Public, share.Callback = values(paths), values(public), values(callback)
	for _, name := range sortedKeys(b.attrs) {
		if name == "password" && share.Unset != "" {
			continue // evaluating it is an error
		}
		f, _ := d.get(b, name)
		flow := f.comesFrom()
		if (name == "password" || name == string(TCP) || name == string(UDP)) && !flow.Computed {
			continue // visitors have to know a password; of a block, only its name leaves
		}
		share.Flows = setFlow(share.Flows, name, flow)
	}
}

// decodePassword decodes the password of a share. A variable that is not set is not
// a mistake in the file: people who do not share do not need the password.
func (d *decoder) decodePassword(b *block, share *Share) {
	attr := b.attrs["password"]
	if attr == nil {
		return
	}
	if name := variableOf(attr); name != "" && d.env.getenv(name) == "" {
		share.Unset = name
		return
	}
	f, present := d.get(b, "password")
	if !present {
		return
	}
	text, ok := f.str("password")
	switch {
	case !ok:
		return
	case text == "":
		f.errorf("remove it for no password", "password is empty")
		return
	case !strings.HasSuffix(attr.text.name, LocalName) && d.isLiteral(attr.Expr):
		f.warnf(`write env("SHARE_PASSWORD"), or move it to `+LocalName, "other people can read this file and the password")
	}
	share.Password = text
}

// variableOf returns NAME of the expression env("NAME"), and "" for any other.
func variableOf(attr *attribute) string {
	call, is := attr.Expr.(*hclsyntax.FunctionCallExpr)
	if !is || call.Name != "env" || len(call.Args) != 1 || call.ExpandFinal || attr.text.isRepaired(attr.Expr.Range()) {
		return ""
	}
	name, _ := literalText(call.Args[0])
	return name
}

// isLiteral reports whether expr contains the whole value: it does not refer to
// anything or read the environment.
func (s *scope) isLiteral(expr hclsyntax.Expression) bool {
	p := s.prepare(expr)
	return len(p.references) == 0 && !p.hasCall("env")
}

// decodePaths decodes paths that match like those of routes. public may be
// empty; empty paths would share nothing.
func (d *decoder) decodePaths(b *block, name string) []Name {
	f, present := d.get(b, name)
	if !present {
		return nil
	}
	if name == "paths" {
		f.notEmpty("remove it to share all paths", "a share needs at least one path")
	}
	return f.names("paths", "a path", `"/"`, place.sharedPath)
}

// sharedPath is path without the advice that is only for routes.
func (p place) sharedPath(text string) string {
	before, _, query := strings.Cut(text, "?")
	if !p.passes(
		when(strings.Contains(text, "://"), `write "/PATH"; it applies to all hosts`, "a path can't be a URL"),
		when(query, suggest(before), "a path can't have a query"),
	) {
		return ""
	}
	path, _ := p.path(text)
	return path
}

// findHidden warns of paths that visitors cannot reach. what says which they are.
func (d *decoder) findHidden(what string, listed, paths []Name) {
	for _, p := range listed {
		if len(paths) > 0 && !slices.ContainsFunc(paths, func(shown Name) bool { _, both := Overlap(p.Value, shown.Value); return both }) {
			d.at(p.Range).warnf("add it to paths", "the %s %q is not among the paths of this share", what, p.Value)
		}
	}
}

func values(names []Name) []string {
	return mapped(names, func(name Name) string { return name.Value })
}

// showEntry checks an entry of show: paths, file names, and parameters of a
// query.
func (p place) showEntry(text string) string {
	if !p.passes(
		when(text == "" || text == "/", `write one like "/rails/mailers"`, "%q in show is not a hidden entry", text),
		when(strings.Contains(text, "://"), `write "/PATH"; it applies to all hosts`, "an entry of show can't be a URL"),
	) {
		return ""
	}
	return text
}

// decodeVisitors decodes the addresses of allow.
func decodeVisitors(f field) []netip.Prefix {
	f.notEmpty("remove it to allow all addresses", "allow needs at least one address")
	elements, _ := f.list("CIDR ranges", `"203.0.113.0/24"`)
	var allow []netip.Prefix
	for element, text := range texts(elements, "a CIDR range") {
		if prefix, ok := element.place().prefix(text); ok {
			allow = append(allow, prefix)
		}
	}
	return allow
}

// decodeSharedCookies decodes cookies, whose only value is "shared".
func decodeSharedCookies(v value) bool {
	if !v.known() || v.Type() == cty.String && v.AsString() == "shared" {
		return v.known()
	}
	v.errorf(`write "shared", or remove it: then each host has its own cookies`, `cookies can only be "shared"`)
	return false
}

// decodeExpires decodes how long a link is valid.
func decodeExpires(v value) time.Duration {
	duration, ok := v.duration()
	if ok && duration <= 0 {
		v.errorf(`write one like "8h", which is the default`, "expires must be longer than zero")
		return 0
	}
	return duration
}

// decodeSharedHosts decodes which hosts of this file get a public name.
func decodeSharedHosts(f field) []Name {
	f.notEmpty("remove it to share all hosts without share = false", "a share needs at least one host")
	elements, _ := f.list("host names of this file", `"shop.localhost"`)
	var hosts []Name
	for element, text := range texts(elements, "a host") {
		name := Name{Value: strings.ToLower(text), Range: element.at()}
		if f.scope.isShared(name, text) {
			hosts = element.place().appendNew(hosts, name)
		}
	}
	return hosts
}

// appendNew adds name to names, which it must not repeat.
func (p place) appendNew(names []Name, name Name) []Name {
	i := slices.IndexFunc(names, func(first Name) bool { return first.Value == name.Value })
	if i >= 0 {
		p.errorf("the first one is at "+names[i].Range.line(), "duplicate %q", name.Value)
		return names
	}
	return append(names, name)
}

// isShared reports whether name, written as text, is a host that can be shared.
// Mistakes in the host itself have been reported.
func (s *scope) isShared(name Name, text string) bool {
	at := s.at(name.Range)
	for _, h := range s.file.Hosts {
		switch {
		case h.Name.Value == name.Value && h.Share != nil && !*h.Share:
			at.errorf("remove one of the two; the host is at "+h.Range.line(), "host %q has share = false", name.Value)
			return false
		case h.Name.Value == name.Value:
			return true
		case slices.ContainsFunc(h.Aliases, func(alias Name) bool { return alias.Value == name.Value }):
			at.errorf(suggest(h.Name.Value)+": only hosts get public names", "%q is an alias", text)
			return false
		}
	}
	if !slices.Contains(s.hostNames, name.Value) {
		at.errorf(s.meantHost(name.Value), "unknown host %q", text)
	}
	return false
}

// meantHost returns the advice for an unknown host name.
func (s *scope) meantHost(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	for _, probable := range []string{"*." + parent, name + "." + s.file.Domain} {
		if slices.Contains(s.hostNames, probable) {
			return suggest(probable)
		}
	}
	return didYouMean(name, s.hostNames, "hosts: "+strings.Join(s.hostNames, ", "))
}

// Relays make unguessable names and zones of Crockford's base32, without its upper
// case. A plain name of the same form could take the place of another key's.
var (
	tokenForm = regexp.MustCompile(`-[0-9a-hjkmnp-tv-z]{16}$`)
	zoneForm  = regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{4})([0-9a-hjkmnp-tv-z]{4})$`)
)

// sealedLabel is the parent of sealed names at every relay.
const sealedLabel = "s"

// decodePublicName decodes the plain name of a share: one label, in lower case.
func decodePublicName(v value) string {
	text, ok := v.str("name")
	if !ok {
		return ""
	}
	name := strings.ToLower(text)
	first, _, dotted := strings.Cut(name, ".")
	p := v.place()
	good := p.passes(
		when(text == "", "remove it for an unguessable name", "name is empty"),
		when(dotted && first != "", suggest(first)+"; the domain of the relay is added", "name can't contain dots"),
		// Its xn-- form would contain "--".
		when(strings.ContainsFunc(name, notASCII), `write letters a to z, digits and "-"`, "%q is not ASCII", text),
	) && p.publicLabels(name, text, `write one like "shop"`) && p.passes(
		when(strings.Contains(name, "--"), suggest(hyphens.ReplaceAllString(name, "-")), `name can't contain "--", which marks unguessable names`),
		when(tokenForm.MatchString(name), "use fewer characters after the last hyphen, or remove name", "%q has the form of an unguessable name, which can't be chosen", text),
		when(zoneForm.MatchString(name), "write one with more or fewer than 8 characters, or "+zoneForm.ReplaceAllString(name, `"$1-$2"`), "%q has the form of the zone of a key, which can't be chosen", text),
		when(name == sealedLabel, `write a longer one, like "shop"`, "%q is reserved for sealed shares", text),
	)
	if !good {
		return ""
	}
	return name
}

var hyphens = regexp.MustCompile(`-+`)

const (
	relayExample = `write one like "t.example.com"`
	// sshExample is the form of a server that forwards over SSH.
	sshExample = `write one like "ssh://me@vps.example.com", or "ssh://me@vps.example.com?listen=8080&url=https://demo.example.com"`
)

// providers returns the values of relay that are not a relay's domain.
func providers() []string { return []string{"cloudflare", "localhost.run", "pinggy"} }

// decodeRelays decodes the relays of a share: one, or a list that is tried in
// order.
func decodeRelays(v value) []Name {
	elements := v.oneOrMore(relayExample+", or leave it out", "relay is empty")
	var relays []Name
	for element, text := range texts(elements, "relay") {
		if name := element.place().relay(text); name != "" {
			relays = element.place().appendNew(relays, Name{Value: name, Range: element.at(), Flow: element.comesFrom()})
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
	rest, _, _ = strings.Cut(rest, "/")
	host, _, hasPath := strings.Cut(name, "/")
	switch {
	case slices.Contains(providers(), name):
		return name
	case isURL && scheme == "ssh":
		return p.sshRelay(text)
	}
	if !p.passes(
		when(text == "", relayExample+", or leave it out", "relay is empty"),
		when(name == "ngrok", "write the domain of a relay, or one of "+strings.Join(providers(), ", "), "relay %q is not built yet", text),
		when(isURL, suggest(rest), "a relay can't have a scheme"),
		when(hasPath, suggest(host), "a relay can't have a path"),
		when(isAddress(name), relayExample+": the public names are below it", "%q is an IP address, not a domain", text),
	) || !p.relayDomain(domain, text) || !p.passes(
		when(hasPort && !allDigits.MatchString(port), suggest(domain)+", or add a port after the colon", "%q is not a valid port", port),
	) {
		return ""
	}
	if !hasPort {
		return domain
	}
	switch n := p.port(port); n {
	case 0:
		return ""
	case 443:
		return domain
	default:
		return fmt.Sprintf("%s:%d", domain, n)
	}
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
