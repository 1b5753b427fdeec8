package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// DefaultExpires is how long a link lives, unless the Proxyfile says otherwise.
const DefaultExpires = 8 * time.Hour

// Share is how a project is published when someone shares it: the share block
// with its defaults filled in. It is immutable.
type Share struct {
	// Folder is the folder of the Proxyfile.
	Folder string
	// Relays may carry the share; the first that works does. Each is a relay's
	// domain, with its port if that is not 443, the word of a provider, or the URL
	// of an SSH server. Nil means not written.
	Relays []string
	// Domain is the parent of the hosts, "shop.localhost"; if their only parent is
	// "localhost", it is the first host. Project is its first label as the Proxyfile
	// has it.
	Domain, Project string
	// Hosts are the names of the shared hosts in the order of the file,
	// wildcards included. NotShared are the others.
	Hosts     []string
	NotShared []NotShared
	// Listed is true when the share block names the hosts to share.
	Listed bool
	// Name is a plain, permanent label; empty means unguessable names.
	Name string
	// OwnDomain is a domain of the user's own, the public name of OwnHost: the first of
	// Hosts. Both are empty without one.
	OwnDomain, OwnHost string
	// Password is the password that every visitor must enter; empty means none,
	// unless Unset is not empty.
	Password string
	// Unset is the environment variable of Password, if it has no value. Such a
	// share must not start: it would be open.
	Unset string
	// Paths are the prefixes that visitors can reach, nil for all; Public those
	// that need neither secret nor password, nil for none.
	Paths, Public []string
	// Callback are the paths of the first of Hosts that the project's callback host
	// redirects to; nil for none.
	Callback []string
	// Show lists entries that every share hides and this one does not.
	Show []string
	// Allow are the addresses that may visit; nil means all.
	Allow []netip.Prefix
	// SharedCookies is true when the hosts have cookies in common, which needs a
	// public parent of their own.
	SharedCookies bool
	// KeepBodies is true when URLs in bodies stay as they are.
	KeepBodies bool
	// Ports are the tcp blocks that visitors can connect to, and then the udp blocks, those
	// that are withheld among them.
	Ports []*Port
	// Expires is how long the link lives, never 0.
	Expires time.Duration
	// Relocation is where the hosts have moved in a linked worktree, or nil.
	Relocation *Relocation
}

// NotShared is a host that gets no public name.
type NotShared struct {
	Name   string // "mail.shop.localhost"
	Reason string // to be read in parentheses after it: "share = false"
}

// Why a host is not shared.
const (
	reasonKept    = "share = false"
	reasonUnnamed = "not in share.hosts"
	reasonLabel   = "only a label names it"
)

// Share returns how the plan is published; never nil.
func (p *Plan) Share() *Share {
	if p == nil || p.share == nil {
		return &Share{Expires: DefaultExpires}
	}
	return p.share
}

// differs reports whether next shares differently what both have. Hosts that
// were added or removed are reported as routes; the domain may change with them.
func (s *Share) differs(next *Share) bool {
	before, after := s.sharing(), next.sharing()
	for host, shared := range after {
		if was, known := before[host]; known && was != shared {
			return true
		}
	}
	return !reflect.DeepEqual(s.settings(), next.settings()) || maps.Equal(before, after) && s.Domain != next.Domain
}

// sharing maps each host of the plan to whether it is shared.
func (s *Share) sharing() map[string]bool {
	hosts := map[string]bool{}
	for _, host := range s.Hosts {
		hosts[host] = true
	}
	for _, host := range s.NotShared {
		hosts[host.Name] = false
	}
	return hosts
}

// settings returns s with only the share block's attributes, apart from its
// hosts.
func (s *Share) settings() Share {
	return Share{
		Relays: s.Relays, Name: s.Name, OwnDomain: s.OwnDomain, Password: s.Password, Unset: s.Unset, Paths: s.Paths, Public: s.Public, Callback: s.Callback,
		Show: s.Show, Allow: s.Allow, SharedCookies: s.SharedCookies, KeepBodies: s.KeepBodies, Expires: s.Expires,
		Ports: mapped(s.Ports, (*Port).access),
	}
}

// share returns how the file is published.
func (b *builder) share() *Share {
	s := &Share{Folder: b.file.Dir, Domain: projectDomain(b.file), Expires: DefaultExpires}
	s.Project, _, _ = strings.Cut(b.file.Relocation.Original(s.Domain), ".")
	s.Relocation = b.file.Relocation
	w := cmp.Or(b.file.Share, &hcl.Share{})
	s.Relays = mapped(w.Relays, func(relay hcl.Name) string { return relay.Value })
	s.Name, s.Password, s.Unset = w.Name, w.Password, w.Unset
	s.Paths, s.Public, s.Callback, s.Allow = w.Paths, w.Public, w.Callback, w.Allow
	s.SharedCookies, s.KeepBodies = w.SharedCookies, w.KeepBodies
	if w.Expires != 0 {
		s.Expires = w.Expires
	}
	b.show(s, w)
	b.shareHosts(s, w)
	if w.Domain != "" && len(s.Hosts) > 0 {
		s.OwnDomain, s.OwnHost = w.Domain, s.Hosts[0]
	}
	b.findCollision(s)
	b.findCallback(s)
	return s
}

// show sets the entries that the share does not hide.
func (b *builder) show(s *Share, w *hcl.Share) {
	for _, entry := range w.Show {
		s.Show = append(s.Show, entry.Value)
		if b.env.CheckShow == nil {
			continue
		}
		near, ok := b.env.CheckShow(entry.Value)
		if ok {
			continue
		}
		detail := "to see what hides a path: devproxy explain --share PATH"
		if near != "" {
			detail = fmt.Sprintf("did you mean %q?", near)
		}
		b.errorf(entry.Range, detail, "%q in show is not hidden by a share", entry.Value)
	}
}

// shareHosts sets which hosts are shared, and why the others are not.
func (b *builder) shareHosts(s *Share, w *hcl.Share) {
	named := map[string]bool{}
	for _, host := range w.Hosts {
		named[host.Value] = true
	}
	s.Listed = len(named) > 0
	for _, h := range b.file.Hosts {
		name := h.Name.Value
		switch {
		case b.labelledHosts[h]:
			s.NotShared = append(s.NotShared, NotShared{name, reasonLabel})
		case h.Share != nil && !*h.Share:
			s.NotShared = append(s.NotShared, NotShared{name, reasonKept})
		case len(named) > 0 && !named[name]:
			s.NotShared = append(s.NotShared, NotShared{name, reasonUnnamed})
		default:
			s.Hosts = append(s.Hosts, name)
		}
	}
}

// findCallback warns about callbacks that lead nowhere, since the first shared host has no
// name of its own.
func (b *builder) findCallback(s *Share) {
	if len(s.Callback) > 0 && len(s.Hosts) > 0 && strings.HasPrefix(s.Hosts[0], "*") {
		b.warnf(b.file.Share.Range, "move a host without a * to the top of the file", "callbacks lead to the first shared host, and %q is a wildcard", s.Hosts[0])
	}
}

// CallbackOwner returns the name of the host that the callback host belongs to: the first of
// Hosts, as the Proxyfile of every worktree and clone has it. So a callback leads to no
// other local host. It is empty without callbacks, and if that host is a wildcard.
func (s *Share) CallbackOwner() string {
	if len(s.Callback) == 0 || len(s.Hosts) == 0 || strings.HasPrefix(s.Hosts[0], "*") {
		return ""
	}
	return s.Relocation.Original(s.Hosts[0])
}

// projectDomain returns the name of the project. "localhost" belongs to all
// projects; a wildcard is used only if nothing else names it.
func projectDomain(file *hcl.File) string {
	if domain := file.Relocation.Original(file.Domain); domain != "" && domain != "localhost" {
		return file.Domain
	}
	first := ""
	for _, h := range file.Hosts {
		base, wildcard := strings.CutPrefix(h.Name.Value, "*.")
		if !wildcard {
			return base
		}
		first = cmp.Or(first, base)
	}
	return first
}

// findCollision warns about shared hosts that would have the same public name, or
// one that browsers refuse: a host becomes a part of one label, whose dots are
// "--", unless a plain name is the parent of all hosts. They still work on this
// machine, so it is not an error.
func (b *builder) findCollision(s *Share) {
	if s.Name != "" && s.SharedCookies {
		return
	}
	if len(s.Name) == 2 && len(s.Hosts) > 1 {
		b.warnf(b.file.Share.Range, "write a name of three characters or more", "the name %q is too short to share several hosts: browsers refuse names such as %s--admin", s.Name, s.Name)
	}
	shared := s.sharing()
	taken := map[string]string{}
	for _, h := range b.file.Hosts {
		name := h.Name.Value
		if !shared[name] {
			continue
		}
		label := strings.ReplaceAll(strings.TrimSuffix(name, "."+s.Domain), ".", "--")
		if other := taken[label]; other != "" && other != name {
			b.warnf(h.Name.Range, "rename one of them, or write share = false in it",
				"%q and %q cannot be shared together: their public names would be the same", other, name)
		}
		taken[label] = name
	}
}
