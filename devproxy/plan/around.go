package plan

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"github.com/devproxy/devproxy/hcl"
)

// inheritAround is what route leaves out of the settings around an answer taken
// from host. Users and ranges are taken whole: half of another list would let
// in, or shut out, whom nobody thinks of.
func inheritAround(s, host, route *hcl.Settings) {
	s.CORS = cmp.Or(route.CORS, host.CORS)
	s.BasicAuth = cmp.Or(route.BasicAuth, host.BasicAuth)
	s.Allow = cmp.Or(route.Allow, host.Allow)
	s.Deny = cmp.Or(route.Deny, host.Deny)
	s.RateLimit = cmp.Or(route.RateLimit, host.RateLimit)
	s.Compress = cmp.Or(route.Compress, host.Compress)
	s.Cache = cmp.Or(route.Cache, host.Cache)
	s.MaxBody = cmp.Or(route.MaxBody, host.MaxBody)
	s.Simulate = cmp.Or(route.Simulate, host.Simulate)
}

// around fills in what is put around r's answer.
func (b *builder) around(r *Route, s *hcl.Settings) {
	r.Access = Access{Allow: prefixes(s.Allow), Deny: prefixes(s.Deny)}
	if l := s.RateLimit; l != nil && !l.Off {
		r.RateLimit = &RateLimit{Count: l.Count, Per: l.Per, Burst: l.Burst, By: l.By}
	}
	r.CORS = b.cors(s.CORS)
	r.Users = users(s.BasicAuth)
	if s.MaxBody != nil {
		r.MaxBody = *s.MaxBody
	}
	r.Compress = s.Compress != nil && *s.Compress
	if _, forwards := r.Answer.(*Upstream); forwards && s.Cache != nil && !s.Cache.Off {
		r.Cache = &Cache{Size: s.Cache.Size}
	}
	if m := s.Simulate; m != nil && !m.Off && (m.Delay > 0 || m.Errors > 0 || m.Bandwidth > 0) {
		r.Simulate = &Simulate{Delay: m.Delay, Errors: m.Errors, Bandwidth: m.Bandwidth}
	}
}

// prefixes are the ranges of a list, sorted; none within another.
func prefixes(r *hcl.Ranges) []netip.Prefix {
	if r == nil {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(r.Prefixes), netip.Prefix.Compare)
	var kept []netip.Prefix
	for _, p := range sorted {
		if !covered(p, kept) {
			kept = append(kept, p)
		}
	}
	return kept
}

// covered reports whether all of p is in one of ranges.
func covered(p netip.Prefix, ranges []netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(wide netip.Prefix) bool {
		return wide.Bits() <= p.Bits() && wide.Contains(p.Addr())
	})
}

func users(auth *hcl.BasicAuth) []User {
	if auth == nil || auth.Off {
		return nil
	}
	var list []User
	for _, name := range slices.Sorted(maps.Keys(auth.Users)) {
		list = append(list, User{Name: name, Hash: auth.Users[name]})
	}
	return list
}

func (b *builder) cors(c *hcl.CORS) *CORS {
	switch {
	case c == nil || c.Off:
		return nil
	case c.Own:
		return &CORS{Hosts: b.allNames()}
	}
	return &CORS{Any: c.Any, Origins: slices.Sorted(slices.Values(c.Origins))}
}

// allNames are the names of all hosts of the file, aliases among them.
func (b *builder) allNames() []string {
	var names []string
	for _, h := range b.file.Hosts {
		names = append(names, h.Name.Value)
		for _, alias := range h.Aliases {
			names = append(names, alias.Value)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
