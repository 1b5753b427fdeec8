package share

import "strings"

// outwardSource makes one source of a Content-Security-Policy public (CSP level 3
// section 2.3.1): a host with or without scheme, port
// and path, "*." before it for every host below, ":*" behind it for every port.
func (s *Share) outwardSource(source string) string {
	ref, isURL := cutReference(source)
	if !isURL {
		host, _, _ := strings.Cut(source, "/")
		ref = reference{authority: host, rest: source[len(host):]}
	}
	public, ok := s.publicSource(ref.authority, ref.defaultPort())
	if !ok {
		return source
	}
	if !isURL {
		return public + ref.rest
	}
	ref.authority = public
	ref.secure()
	return ref.String()
}

func (s *Share) publicSource(text, port string) (public string, ok bool) {
	name, anyPort := strings.CutSuffix(text, ":*")
	local, _ := parseAuthority(name, port)
	if !anyPort {
		public, ok := s.sourceOf(local)
		return public.String(), ok
	}
	for _, host := range s.table.hosts {
		if public, ok := s.sourceOf(authority{local.name, host.local.port}); ok {
			return public.name + ":*", true
		}
	}
	return "", false
}

func (s *Share) sourceOf(local authority) (authority, bool) {
	if public, ok := s.table.public(local); ok {
		return public, true
	}
	return s.sourceBelow(local)
}

// sourceBelow is for "*.shop.localhost": every host of the project below it. In
// public they are below the zone, where no stranger's are.
func (s *Share) sourceBelow(local authority) (authority, bool) {
	parent, wild := strings.CutPrefix(local.name, "*.")
	if !wild || s.zone == "" || !within(parent, s.localZone) {
		return authority{}, false
	}
	for _, host := range s.table.hosts {
		if host.local.port == local.port && host.local.name != parent && within(host.local.name, parent) {
			return authority{"*." + s.below(parent), s.table.shown(host.public).port}, true
		}
	}
	return authority{}, false
}
