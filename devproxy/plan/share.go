package plan

import (
	"net/netip"
	"slices"
	"time"
)

// DefaultExpires is how long a link lives when nothing else is written.
const DefaultExpires = 8 * time.Hour

// Share says how a project is published once somebody asks for it: the share
// block with its defaults filled in. It is never changed.
type Share struct {
	// Folder is the folder of the Proxyfile.
	Folder string
	// Relays may carry the share, the first that works: a relay's domain, with its
	// port where that is not 443, a provider's word, or an SSH server's URL. Nil
	// means not written.
	Relays []string
	// Domain is the parent of the hosts, "shop.localhost"; where they have none
	// but "localhost", it is the first host. Project is its first label.
	Domain, Project string
	// Hosts are the names of the shared hosts in the order of the file,
	// wildcards included. NotShared are the others.
	Hosts     []string
	NotShared []NotShared
	// Listed is true when the share block names the hosts to share.
	Listed bool
	// Name is a plain, lasting label; empty means unguessable names.
	Name string
	// Password is asked of every visitor; empty means none, unless Unset is
	// not empty.
	Password string
	// Unset is the environment variable that Password was to come from and
	// that has no value. Such a share must not start: it would be open.
	Unset string
	// Paths are the prefixes that exist outside, nil for all; Public those that
	// need neither secret nor password, nil for none.
	Paths, Public []string
	// Show lists entries that every share hides and this one does not hide.
	Show []string
	// Allow are the addresses that may visit; nil means everybody.
	Allow []netip.Prefix
	// SharedCookies is true when the hosts have cookies in common, which needs a
	// public parent of their own.
	SharedCookies bool
	// Expires is how long the link lives, never 0.
	Expires time.Duration
	// Source is the line of the share block; its zero value means none.
	Source Source
}

// NotShared is a host that gets no public name.
type NotShared struct {
	Name   string // "mail.shop.localhost"
	Reason string // to be read in brackets behind it: "share = false"
}

// Why a host is not shared.
const (
	reasonKept    = "share = false"
	reasonUnnamed = "not in share.hosts"
)

// Share is how the plan is published; never nil. Of a plan merged of several
// folders it is the first folder's.
func (p *Plan) Share() *Share {
	if p == nil || len(p.shares) == 0 {
		return &Share{Expires: DefaultExpires}
	}
	return p.shares[0]
}

// differs reports whether next shares differently what both have. Hosts that
// came or went are named as routes; the domain may move with them.
func (s *Share) differs(next *Share) bool {
	before, after := s.sharing(), next.sharing()
	same := len(before) == len(after)
	for host, shared := range after {
		was, known := before[host]
		if known && was != shared {
			return true
		}
		same = same && known
	}
	return !s.sameSettings(next) || same && s.Domain != next.Domain
}

// sharing says of every host of the plan if it is shared.
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

// sameSettings compares what is said of a share beside its hosts.
func (s *Share) sameSettings(other *Share) bool {
	return slices.Equal(s.Relays, other.Relays) && s.Name == other.Name && s.SharedCookies == other.SharedCookies && s.Expires == other.Expires &&
		s.Password == other.Password && s.Unset == other.Unset &&
		slices.Equal(s.Paths, other.Paths) && slices.Equal(s.Public, other.Public) && slices.Equal(s.Show, other.Show) && slices.Equal(s.Allow, other.Allow)
}
