package hcl

import (
	"net/netip"
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
		{name: "password"}, {name: "paths"}, {name: "public"},
		{name: "show", decode: func(f field, s *Share) {
			s.Show = f.names("paths and file names", "an entry of show", `"/rails/mailers"`, place.showEntry)
		}},
		{name: "allow", decode: func(f field, s *Share) { s.Allow = decodeVisitors(f) }},
		{name: "cookies", decode: func(f field, s *Share) { s.SharedCookies = decodeSharedCookies(f.value) }},
		{name: "expires", decode: func(f field, s *Share) { s.Expires = decodeExpires(f.value) }},
	}
}

func (s *scope) decodeShare(b *block) {
	if first := s.file.Share; first != nil {
		s.at(b.header).errorf("the first one is at "+first.Range.line(), "duplicate share block")
		return
	}
	share := &Share{Range: b.header}
	s.file.Share = share
	decodeBlock(s, b, shareEntries(), share)
	s.decodePassword(b, share)
	paths, public := s.decodePaths(b, "paths"), s.decodePaths(b, "public")
	s.findHidden(public, paths)
	share.Paths, share.Public = values(paths), values(public)
	for _, name := range sortedKeys(b.attrs) {
		if name == "password" && share.Unset != "" {
			continue // evaluating it is an error
		}
		f, _ := s.get(b, name)
		flow := f.comesFrom()
		if name == "password" && !flow.Computed {
			continue // visitors have to know it; devproxy does not tell them
		}
		share.Flows = setFlow(share.Flows, name, flow)
	}
}

// decodePassword decodes the password of a share. A variable that is not set is not
// a mistake in the file: people who do not share do not need the password.
func (s *scope) decodePassword(b *block, share *Share) {
	attr := b.attrs["password"]
	if attr == nil {
		return
	}
	if name := variableOf(attr); name != "" && s.env.getenv(name) == "" {
		share.Unset = name
		return
	}
	f, present := s.get(b, "password")
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
	case !strings.HasSuffix(attr.text.name, LocalName) && s.isLiteral(attr.Expr):
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
	name, ok := literalText(call.Args[0])
	if !ok {
		return ""
	}
	return name
}

// isLiteral reports whether expr contains the whole value: it does not refer to
// anything or read the environment.
func (s *scope) isLiteral(expr hclsyntax.Expression) bool {
	p := s.prepare(expr)
	return len(p.references) == 0 && !slices.ContainsFunc(p.calls, func(call *hclsyntax.FunctionCallExpr) bool { return call.Name == "env" })
}

// decodePaths decodes paths that match like those of routes. public may be empty;
// with empty paths nothing would be left.
func (s *scope) decodePaths(b *block, name string) []Name {
	f, present := s.get(b, name)
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

// findHidden warns of public paths that visitors cannot reach.
func (s *scope) findHidden(public, paths []Name) {
	for _, p := range public {
		if len(paths) > 0 && !slices.ContainsFunc(paths, func(shown Name) bool { _, both := Overlap(p.Value, shown.Value); return both }) {
			s.at(p.Range).warnf("add it to paths", "the public path %q is not among the paths of this share", p.Value)
		}
	}
}

func values(names []Name) []string {
	var all []string
	for _, name := range names {
		all = append(all, name.Value)
	}
	return all
}

// showEntry checks an entry of what is not hidden from visitors: paths, file names,
// and parameters of a query.
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
		if i := slices.IndexFunc(hosts, func(host Name) bool { return host.Value == name.Value }); i >= 0 {
			element.errorf("the first one is at "+hosts[i].Range.line(), "duplicate %q", name.Value)
			continue
		}
		if f.scope.isShared(name, text) {
			hosts = append(hosts, name)
		}
	}
	return hosts
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
