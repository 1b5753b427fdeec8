package share

import "strings"

// table says which public name stands for which local one. Each public name
// has one local name, and leads back to it. What is no authority has none.
type table struct {
	hosts     []pair // in the order of Options.Hosts; a wildcard's names begin with "*"
	toPublic  map[authority]authority
	toLocal   map[authority]authority
	wildcards []wildcard // the longest public name first
	notShared map[string]bool
	// port is the port of every public name; empty when they have several. seen
	// is the one that a visitor came by, when that is another.
	port, seen string
}

// seenAt is the table of a visitor who came by a port. A relay may be reached by
// another port than the one in its links, through a port mapping.
func (t table) seenAt(port string) table {
	if t.port != "" && port != t.port {
		t.seen = port
	}
	return t
}

// shown is a public authority with the port that the visitor came by.
func (t *table) shown(public authority) authority {
	if t.seen != "" {
		public.port = t.seen
	}
	return public
}

// pair is a host by both of its names.
type pair struct{ local, public authority }

// isWildcard reports whether a has a "*" in it.
func isWildcard(a authority) bool { return strings.Contains(a.name, "*") }

// public is the public name of a local authority.
func (t *table) public(local authority) (public authority, ok bool) {
	if public, ok = t.toPublic[local]; ok {
		return t.shown(public), true
	}
	for _, w := range t.wildcards {
		label, fits := w.local.label(local)
		if !fits {
			continue
		}
		public = w.public.with(label)
		// "a--b" for "*" can be spelled like the host "a.b": that one has it.
		if back, known := t.local(public); known && back == local {
			return t.shown(public), true
		}
	}
	return authority{}, false
}

// local is the local name of a public authority.
func (t *table) local(public authority) (local authority, ok bool) {
	if t.seen != "" && public.port == t.seen {
		public.port = t.port
	}
	if local, ok = t.toLocal[public]; ok {
		return local, true
	}
	for _, w := range t.wildcards {
		if label, fits := w.public.label(public); fits {
			local = w.local.with(label)
			return local, !t.taken(local)
		}
	}
	return authority{}, false
}

// taken reports whether local is no name of a wildcard's, though it looks like
// one: another host has it, with its own public name or with none.
func (t *table) taken(local authority) bool {
	_, shared := t.toPublic[local]
	return shared || t.notShared[local.name]
}

// wildcard is a wildcard host by both of its names.
type wildcard struct{ local, public starred }

// starred is an authority with a "*" in its first label: what is before it, what is
// after it, and the port.
type starred struct{ before, after, port string }

// newStarred cuts a at its "*"; ok is false unless there is exactly one, in the
// first label.
func newStarred(a authority) (p starred, ok bool) {
	before, after, found := strings.Cut(a.name, "*")
	return starred{before, after, a.port}, found && !strings.Contains(before, ".") && !strings.Contains(after, "*")
}

// label returns what "*" stands for in a.
func (p starred) label(a authority) (label string, ok bool) {
	rest, ok := strings.CutPrefix(a.name, p.before)
	if !ok {
		return "", false
	}
	label, ok = strings.CutSuffix(rest, p.after)
	first, _, _ := strings.Cut(a.name, ".")
	return label, ok && a.port == p.port && isLabel(label) && len(first) <= maxLabel
}

func (p starred) length() int { return len(p.before) + len(p.after) }

func (p starred) with(label string) authority { return authority{p.before + label + p.after, p.port} }

// publicOrigin is the local origin that a public one stands for (RFC 6454
// section 6.1). Only https origins are public.
func (t *table) publicOrigin(origin string) (local string, ok bool) {
	if ref, _ := cutReference(origin); ref.rest != "" {
		return "", false
	}
	return t.localReference(origin)
}

// localReference is a URL of a public origin as the project knows it; false
// when it is of none of them.
func (t *table) localReference(text string) (string, bool) {
	ref, _ := cutReference(text)
	if lower(ref.scheme) != "https:" {
		return text, false
	}
	public, _ := parseAuthority(ref.authority, httpsPort)
	local, ok := t.local(public)
	if !ok {
		return text, false
	}
	ref.authority = local.String()
	return ref.String(), true
}

// publicReference is a URL that names a local host, absolute or relative to its
// scheme, with the public name in its place. Everything else stays as it is.
func (t *table) publicReference(text string) string {
	ref, _ := cutReference(text)
	local, _ := parseAuthority(ref.authority, ref.defaultPort())
	public, ok := t.public(local)
	if !ok {
		return text
	}
	ref.authority = public.String()
	ref.secure()
	return ref.String()
}
