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
	publics := s.publicSources(ref.authority, ref.defaultPort())
	if len(publics) == 0 {
		return source
	}
	ref.secure()
	for i, public := range publics {
		if ref.authority = public; isURL {
			publics[i] = ref.String()
		} else {
			publics[i] = public + ref.rest
		}
	}
	return strings.Join(publics, " ")
}

// publicSources are the public names of what a source names; nil for what is not
// of this share.
func (s *Share) publicSources(text, port string) []string {
	name, anyPort := strings.CutSuffix(text, ":*")
	local, _ := parseAuthority(name, port)
	if !anyPort {
		return names(s.sourcesOf(local), authority.String)
	}
	for _, host := range s.table.hosts {
		if found := s.sourcesOf(authority{local.name, host.local.port}); len(found) > 0 {
			return names(found, func(a authority) string { return a.name + ":*" })
		}
	}
	return nil
}

func names(all []authority, text func(authority) string) []string {
	var texts []string
	for _, a := range all {
		texts = append(texts, text(a))
	}
	return texts
}

func (s *Share) sourcesOf(local authority) []authority {
	if public, ok := s.table.public(local); ok {
		return []authority{public}
	}
	return s.sourcesBelow(local)
}

// sourcesBelow is for "*.shop.localhost": every host of the project below it. In
// public they are below the zone, where no stranger's are. Without a zone they are
// listed, but for those of a wildcard host: a source that fits these would fit
// strangers' names too (CSP has "*" for whole labels alone).
func (s *Share) sourcesBelow(local authority) (found []authority) {
	parent, wild := strings.CutPrefix(local.name, "*.")
	if !wild || !within(parent, s.localZone) {
		return nil
	}
	for _, host := range s.table.hosts {
		if host.local.port != local.port || host.local.name == parent || !within(host.local.name, parent) {
			continue
		}
		if s.zone != "" {
			return []authority{{"*." + s.below(parent), s.table.shown(host.public).port}}
		}
		if !isWildcard(host.public) {
			found = append(found, s.table.shown(host.public))
		}
	}
	return found
}
