package share

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// names says which public name belongs to which local one. Each public name has one
// local name, and leads back to it.
type names struct {
	hosts     []pair // in the order of Options.Hosts; a wildcard's names contain "*"
	toPublic  map[authority]authority
	toLocal   map[authority]authority
	wildcards []pair // the longest public name first
	notShared map[string]bool
	// port is the port of every public name; empty when they differ. seen is the port
	// that a visitor used, if that is another one.
	port, seen string

	zone, localZone string // in lower case; empty for none
	named           bool
	alone           bool // each host is separate: cookies have no common parent
	texts           *texts
}

// pair is a host with both of its names.
type pair struct{ local, public authority }

// isWildcard reports whether a contains a "*".
func isWildcard(a authority) bool { return strings.Contains(a.name, "*") }

// seenAt returns the names for a visitor that used a port. A relay may be reached by
// another port than the one in its links, through a port mapping.
func (n names) seenAt(port string) names {
	if n.port != "" && port != n.port {
		n.seen = port
	}
	return n
}

// shown returns a public authority with the port that the visitor used.
func (n *names) shown(public authority) authority {
	if n.seen != "" {
		public.port = n.seen
	}
	return public
}

// public returns the public name of a local authority.
func (n *names) public(local authority) (public authority, ok bool) {
	if public, ok = n.toPublic[local]; ok {
		return n.shown(public), true
	}
	for _, w := range n.wildcards {
		label, fits := w.local.label(local)
		if !fits {
			continue
		}
		public = w.public.with(label)
		// "a--b" for "*" can have the same spelling as the host "a.b", which takes
		// precedence.
		if back, known := n.local(public); known && back == local {
			return n.shown(public), true
		}
	}
	return authority{}, false
}

// local returns the local name of a public authority.
func (n *names) local(public authority) (local authority, ok bool) {
	if n.seen != "" && public.port == n.seen {
		public.port = n.port
	}
	if local, ok = n.toLocal[public]; ok {
		return local, true
	}
	for _, w := range n.wildcards {
		if label, fits := w.public.label(public); fits {
			local = w.local.with(label)
			return local, !n.taken(local)
		}
	}
	return authority{}, false
}

// taken reports whether local does not belong to a wildcard that it matches: another
// host has it, with its own public name or without one.
func (n *names) taken(local authority) bool {
	_, shared := n.toPublic[local]
	return shared || n.notShared[local.name]
}

// below returns the public parent of the hosts below a local name: the zone or a
// subdomain of it.
func (n *names) below(local string) string {
	if !n.named {
		return n.zone // unguessable names are all directly in the zone
	}
	return strings.TrimSuffix(local, n.localZone) + n.zone
}

// hasBelow reports whether a shared host, other than except, is within a local name.
func (n *names) hasBelow(name, except string) bool {
	return slices.ContainsFunc(n.hosts, func(host pair) bool {
		return host.local.name != except && within(host.local.name, name)
	})
}

// publicOrigin returns the local origin for a public one (RFC 6454 section 6.1).
// Only https origins are public.
func (n *names) publicOrigin(origin string) (local string, ok bool) {
	if ref, _ := cutReference(origin); ref.rest != "" {
		return "", false
	}
	return n.localReference(origin)
}

// localReference makes a URL of a public origin local. It reports false for any
// other URL.
func (n *names) localReference(text string) (string, bool) {
	ref, _ := cutReference(text)
	if lower(ref.scheme) != "https:" {
		return text, false
	}
	public, _ := parseAuthority(ref.authority, httpsPort)
	local, ok := n.local(public)
	if !ok {
		return text, false
	}
	ref.authority = local.String()
	return ref.String(), true
}

// publicReference makes a URL of a local host public, absolute or relative to
// its scheme. Any other URL stays unchanged.
func (n *names) publicReference(text string) string {
	ref, _ := cutReference(text)
	local, _ := parseAuthority(ref.authority, ref.defaultPort())
	public, ok := n.public(local)
	if !ok {
		return text
	}
	ref.authority = public.String()
	ref.secure()
	return ref.String()
}

// isStarred reports whether a has exactly one "*", in its first label.
func isStarred(a authority) bool {
	first, rest, _ := strings.Cut(a.name, ".")
	return strings.Count(first, "*") == 1 && !strings.Contains(rest, "*")
}

// label returns the text in a that the "*" of wildcard matches.
func (wildcard authority) label(a authority) (label string, ok bool) {
	before, after, _ := strings.Cut(wildcard.name, "*")
	rest, ok := strings.CutPrefix(a.name, before)
	if !ok {
		return "", false
	}
	label, ok = strings.CutSuffix(rest, after)
	first, _, _ := strings.Cut(a.name, ".")
	return label, ok && a.port == wildcard.port && isLabel(label) && len(first) <= maxLabel
}

// with returns the authority with label in place of its "*".
func (wildcard authority) with(label string) authority {
	return authority{strings.Replace(wildcard.name, "*", label, 1), wildcard.port}
}

// nameBuilder builds names, and collects everything that is wrong with them.
type nameBuilder struct {
	names
	claimed map[authority]string // by which local host
	errs    []error
}

func newNames(opts *Options) (names, error) {
	b := nameBuilder{
		names: names{
			toPublic: map[authority]authority{}, toLocal: map[authority]authority{}, notShared: map[string]bool{},
			zone: lower(opts.Zone), localZone: lower(opts.LocalZone), named: opts.Named,
		},
		claimed: map[authority]string{},
	}
	if len(opts.Hosts) == 0 {
		b.wrong("no host to share: remove `share = false` from a host, or name one in `share { hosts }`")
	}
	for _, host := range opts.Hosts {
		b.host(host, opts.Zone)
	}
	for _, name := range opts.NotShared {
		b.notShared[strings.TrimSuffix(lower(name), ".")] = true
	}
	hasOther := func(host pair) bool { return host.public.port != b.hosts[0].public.port }
	if len(b.hosts) > 0 && !slices.ContainsFunc(b.hosts, hasOther) {
		b.port = b.hosts[0].public.port
	}
	b.alone = b.zone == "" || len(b.hosts) == 1 && b.zone == b.hosts[0].public.name
	slices.SortStableFunc(b.wildcards, func(x, y pair) int { return len(y.public.name) - len(x.public.name) })
	b.texts = newTexts(&b.names, opts)
	return b.names, errors.Join(b.errs...)
}

func (b *nameBuilder) wrong(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

// host adds a host and its aliases, or the reason why it cannot be shared.
func (b *nameBuilder) host(host Host, zone string) {
	local, localOK := parseAuthority(host.Local, httpsPort)
	public, publicOK := parseAuthority(host.Public, httpsPort)
	switch {
	case !localOK:
		b.wrong("cannot share the host %q: not a valid host name; rename the host", host.Local)
		return
	case !publicOK:
		b.wrong("the relay calls %s %q, which is not a valid host name; try another relay, or a newer devproxy", host.Local, host.Public)
		return
	case zone != "" && !within(public.name, lower(zone)):
		b.wrong("the relay calls %s %q, which is not below its zone %q; try another relay, or a newer devproxy", host.Local, host.Public, zone)
		return
	}
	both := pair{local, public}
	b.claim(local, host.Local)
	b.claim(public, host.Local)
	b.add(both, host)
	b.hosts = append(b.hosts, both)
	b.aliases(host, public)
}

// add adds the two names of a host.
func (b *nameBuilder) add(both pair, host Host) {
	wild := isStarred(both.local) && strings.HasPrefix(both.local.name, "*.")
	if wild != isStarred(both.public) || !wild && (isWildcard(both.local) || isWildcard(both.public)) {
		b.wrong(`%s and %s do not match: either both have a "*" (the first label of the local name, part of the first label of the public one), or neither has`, host.Local, host.Public)
	}
	if wild {
		b.wildcards = append(b.wildcards, both)
		return
	}
	b.toPublic[both.local], b.toLocal[both.public] = both.public, both.local
}

// aliases adds further local names of a host. Those of a wildcard host have no
// public name and stay unchanged.
func (b *nameBuilder) aliases(host Host, public authority) {
	for _, text := range host.Aliases {
		alias, ok := parseAuthority(text, httpsPort)
		switch {
		case !ok:
			b.wrong("the alias %q of %s is not a valid host name; rename it", text, host.Local)
		case b.claimed[alias] == host.Local || isWildcard(public):
		default:
			b.claim(alias, host.Local)
			b.toPublic[alias] = public
		}
	}
}

// claim gives a name to owner, unless another host has it.
func (b *nameBuilder) claim(a authority, owner string) {
	other, taken := b.claimed[a]
	switch {
	case other == owner:
		b.wrong("%s has the name %s twice: as two hosts, or both locally and in public; rename one", owner, a)
	case taken:
		b.wrong("both %s and %s have the name %s: each host of a share needs its own; rename one of the hosts", other, owner, a)
	default:
		b.claimed[a] = owner
	}
}
