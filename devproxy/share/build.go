package share

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// builder collects a table and everything that is wrong with it.
type builder struct {
	table
	claimed map[authority]string // what is claimed, by whom
	errs    []error
}

func newTable(opts *Options) (table, error) {
	b := builder{
		table: table{
			toPublic: map[authority]authority{}, toLocal: map[authority]authority{}, notShared: map[string]bool{},
		},
		claimed: map[authority]string{},
	}
	if len(opts.Hosts) == 0 {
		b.wrong("there is no host to share: remove `share = false` of one, or name it in `share { hosts }`")
	}
	for _, host := range opts.Hosts {
		b.host(host, opts.Zone)
	}
	for _, name := range opts.NotShared {
		b.notShared[strings.TrimSuffix(lower(name), ".")] = true
	}
	b.port = portOf(b.hosts)
	slices.SortStableFunc(b.wildcards, func(x, y wildcard) int { return y.public.length() - x.public.length() })
	return b.table, errors.Join(b.errs...)
}

// portOf is the port of every public name; empty when they have several.
func portOf(hosts []pair) string {
	port := ""
	for i, host := range hosts {
		if i > 0 && host.public.port != port {
			return ""
		}
		port = host.public.port
	}
	return port
}

func (b *builder) wrong(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

// host adds a host, its aliases, and what keeps it from being shared.
func (b *builder) host(host Host, zone string) {
	local, ok := parseAuthority(host.Local, httpsPort)
	public, fine := parseAuthority(host.Public, httpsPort)
	switch {
	case !ok:
		b.wrong("the host %q cannot be shared: its name is no host name; rename the host", host.Local)
		return
	case !fine:
		b.wrong("the relay calls %s %q, which is no host name; try another relay, or a newer devproxy", host.Local, host.Public)
		return
	case zone != "" && !within(public.name, lower(zone)):
		b.wrong("the relay calls %s %q, which is not below its zone %q; try another relay, or a newer devproxy", host.Local, host.Public, zone)
		return
	}
	both := pair{local, public}
	b.claim(local, host.Local)
	b.claim(public, host.Local)
	b.names(both, host)
	b.hosts = append(b.hosts, both)
	b.aliases(host, public)
}

// names enters the two names of a host.
func (b *builder) names(both pair, host Host) {
	local, wild := newStarred(both.local)
	public, wildToo := newStarred(both.public)
	wild = wild && local.before == "" && strings.HasPrefix(local.after, ".")
	if wild != wildToo || !wild && strings.ContainsRune(both.local.name+both.public.name, '*') {
		b.wrong(`%s and %s cannot stand for each other: a "*" is the first label of the local name and in the first label of the public one, or in neither`, host.Local, host.Public)
	}
	if wild {
		b.wildcards = append(b.wildcards, wildcard{local, public})
		return
	}
	b.toPublic[both.local], b.toLocal[both.public] = both.public, both.local
}

// aliases enters further local names of a host. Those of a wildcard host have
// no public name of their own and stay as they are.
func (b *builder) aliases(host Host, public authority) {
	for _, text := range host.Aliases {
		alias, ok := parseAuthority(text, httpsPort)
		switch {
		case !ok:
			b.wrong("the alias %q of %s is no host name; rename it", text, host.Local)
		case b.claimed[alias] == host.Local || isWildcard(public):
		default:
			b.claim(alias, host.Local)
			b.toPublic[alias] = public
		}
	}
}

// claim makes a name owner's, unless another has it.
func (b *builder) claim(a authority, owner string) {
	other, taken := b.claimed[a]
	switch {
	case other == owner:
		b.wrong("%s has the name %s twice: as two hosts, or in public as well as locally; rename one", owner, a)
	case taken:
		b.wrong("%s is a name of %s and of %s: a share needs one name for each; rename one of the hosts", a, other, owner)
	default:
		b.claimed[a] = owner
	}
}
