package plan

import (
	"fmt"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// share is how the file is published.
func (b *builder) share() *Share {
	s := &Share{Folder: b.file.Dir, Domain: projectDomain(b.file), Expires: DefaultExpires}
	s.Project, _, _ = strings.Cut(s.Domain, ".")
	if w := b.file.Share; w != nil {
		for _, relay := range w.Relays {
			s.Relays = append(s.Relays, relay.Value)
		}
		s.Name, s.Password, s.Unset = w.Name, w.Password, w.Unset
		s.Paths, s.Public, s.Allow = w.Paths, w.Public, w.Allow
		s.SharedCookies = w.SharedCookies
		s.Source = b.source(w.Range)
		if w.Expires != 0 {
			s.Expires = w.Expires
		}
	}
	b.show(s)
	b.shareHosts(s)
	b.findCollision(s)
	return s
}

// show is what the share does not hide.
func (b *builder) show(s *Share) {
	if b.file.Share == nil {
		return
	}
	for _, entry := range b.file.Share.Show {
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
		b.errorf(entry.Range, detail, "%q in show names nothing that a share hides", entry.Value)
	}
}

// shareHosts says which hosts are shared, and of the others why not.
func (b *builder) shareHosts(s *Share) {
	named := map[string]bool{}
	if w := b.file.Share; w != nil {
		for _, host := range w.Hosts {
			named[host.Value] = true
		}
	}
	s.Listed = len(named) > 0
	for _, h := range b.file.Hosts {
		name := h.Name.Value
		switch {
		case h.Share != nil && !*h.Share:
			s.NotShared = append(s.NotShared, NotShared{name, reasonKept})
		case len(named) > 0 && !named[name]:
			s.NotShared = append(s.NotShared, NotShared{name, reasonUnnamed})
		default:
			s.Hosts = append(s.Hosts, name)
		}
	}
}

// projectDomain is the name the project goes by. "localhost" is everybody's;
// a wildcard is no name unless there is no other.
func projectDomain(file *hcl.File) string {
	if file.Domain != "" && file.Domain != "localhost" {
		return file.Domain
	}
	first := ""
	for _, h := range file.Hosts {
		base, wildcard := strings.CutPrefix(h.Name.Value, "*.")
		if !wildcard {
			return base
		}
		if first == "" {
			first = base
		}
	}
	return first
}

// findCollision warns of shared hosts that would have one public name, or one that
// browsers refuse: a host becomes a part of one label, whose dots are "--", unless
// a plain name is the parent of all hosts. They are served well on this machine, so
// it is not an error.
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
		label := strings.ReplaceAll(strings.TrimSuffix(name, "."+s.Domain), ".", "--")
		if !shared[name] {
			continue
		}
		if other := taken[label]; other != "" && other != name {
			b.warnf(h.Name.Range, "rename one of them, or write share = false in it",
				"%q and %q cannot be shared together: their public names would be the same", other, name)
		}
		taken[label] = name
	}
}
