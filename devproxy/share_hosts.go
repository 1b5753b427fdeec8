package devproxy

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/tunnel"
)

// ReasonAdded is the reason why a host that a save has added is not shared.
const ReasonAdded = "added after the share started"

// filterHosts returns p with the hosts for which reason returns "". The others are
// not shared, for that reason.
func filterHosts(p *plan.Share, reason func(host string) string) *plan.Share {
	filtered := *p
	filtered.Hosts, filtered.NotShared = nil, slices.Clone(p.NotShared)
	for _, host := range p.Hosts {
		if why := reason(host); why != "" {
			filtered.NotShared = append(filtered.NotShared, plan.NotShared{Name: host, Reason: why})
		} else {
			filtered.Hosts = append(filtered.Hosts, host)
		}
	}
	return &filtered
}

// onlyHosts returns p with only the named hosts, in the plan's order, and no tcp and udp
// blocks; p itself if none is named. A name may leave out the project's domain: "admin" is
// admin.shop.localhost. In a worktree, names as the Proxyfile has them are known too.
func onlyHosts(p *plan.Share, names []string) (*plan.Share, error) {
	if len(names) == 0 {
		return p, nil
	}
	wanted := map[string]bool{}
	for _, name := range names {
		host, err := findHost(p, strings.ToLower(strings.TrimSuffix(name, ".")))
		if err != nil {
			return nil, err
		}
		wanted[host] = true
	}
	only := filterHosts(p, func(host string) string {
		if wanted[host] {
			return ""
		}
		return "not requested"
	})
	only.Ports = nil
	return only, nil
}

func findHost(p *plan.Share, asked string) (string, error) {
	for _, name := range []string{asked, asked + "." + p.Domain, p.Relocation.Moved(asked)} {
		if slices.Contains(p.Hosts, name) {
			return name, nil
		}
		for _, host := range p.NotShared {
			if host.Name == name {
				return "", failure.Errorf("change that in the Proxyfile, then share again", "%s is not shared: %s", name, host.Reason)
			}
		}
	}
	fix := "no host is shared"
	if len(p.Hosts) > 0 {
		fix = "devproxy share " + p.Hosts[0]
	}
	return "", failure.Errorf(fix, "no host is named %q; the hosts are %s", asked, strings.Join(p.Hosts, ", "))
}

// withoutAdded returns p without the hosts that are not in agreed. They were
// added to the Proxyfile after the user last started the share, and may not be
// meant for the public. A share block that lists its hosts is explicit.
func withoutAdded(p *plan.Share, agreed []string) (kept *plan.Share, added []string) {
	if p.Listed {
		return p, nil
	}
	added = slices.DeleteFunc(slices.Clone(p.Hosts), func(host string) bool { return slices.Contains(agreed, host) })
	if len(added) == 0 {
		return p, nil
	}
	return filterHosts(p, func(host string) string {
		if slices.Contains(agreed, host) {
			return ""
		}
		return ReasonAdded
	}), added
}

// withoutWildcards returns p without its wildcard hosts. A provider gives each host
// one name, and nothing below it.
func withoutWildcards(p *plan.Share, provider string) (*plan.Share, error) {
	if !slices.ContainsFunc(p.Hosts, isWildcard) {
		return p, nil
	}
	without := filterHosts(p, func(host string) string {
		if isWildcard(host) {
			return provider + " does not support wildcards"
		}
		return ""
	})
	if len(without.Hosts) == 0 {
		return nil, failure.Errorf("share a host without a \"*\", or use a relay: devproxy relay login HOST", "%s does not support wildcards, and no other host is left to share", provider)
	}
	return without, nil
}

func isWildcard(host string) bool { return strings.HasPrefix(host, "*") }

// checkShare returns an error if p must not be shared.
func checkShare(p *plan.Share) error {
	switch {
	case p.Unset != "":
		return failure.Errorf("export "+p.Unset+"=…, then start devproxy again", "the share's password comes from %s, which is not set: anyone could open the share", p.Unset)
	case len(p.Hosts) == 0:
		return failure.Errorf("remove `share = false` from a host", "no host is left to share")
	}
	return nil
}

// claimOf returns the claim that asks a relay for the names of p.
func claimOf(p *plan.Share, key *credentials.Key) tunnel.Claim {
	claim := tunnel.Claim{Project: tunnel.Label(p.Project), Name: p.Name, Names: key.Names, SharedCookies: p.SharedCookies}
	if claim.Name == "" {
		claim.Link = tunnel.Link(key.Private, key.Generation)
	}
	for _, host := range p.Hosts {
		claim.Hosts = append(claim.Hosts, beforeDomain(host, p.Domain))
	}
	for _, port := range servedPorts(p) {
		claim.Ports = append(claim.Ports, tunnel.Port{Network: string(port.Network), Name: port.Name})
	}
	return claim
}

// beforeDomain returns the part of host before the project's domain: "admin", or
// nothing for the domain itself. A host outside the domain keeps its whole name.
func beforeDomain(host, domain string) string {
	if host == domain {
		return ""
	}
	return strings.TrimSuffix(host, "."+domain)
}

// upstreamsOf returns the addresses of this machine behind the hosts of p, without
// ports in Host.
func upstreamsOf(p *plan.Plan) (all []share.Upstream) {
	for _, host := range p.Hosts() {
		for _, route := range host.Routes {
			upstream, ok := route.Answer.(*plan.Upstream)
			if !ok {
				continue
			}
			leads, path := leadsWhole(route)
			for _, member := range upstream.Members {
				port := member.LocalPort()
				if port == 0 {
					continue
				}
				found := share.Upstream{Authority: "localhost:" + strconv.Itoa(port)}
				if leads {
					found.Host, found.Path = host.Name, path
				}
				if !slices.Contains(all, found) {
					all = append(all, found)
				}
			}
		}
	}
	return all
}

// leadsWhole reports whether every URL of a route's upstream has a URL at its host: the
// same with path before it.
func leadsWhole(route *plan.Route) (whole bool, path string) {
	switch {
	case route.Exact, route.Rewrite != "", !reflect.DeepEqual(route.Match, plan.Conditions{}), strings.Contains(route.Path, "*"):
		return false, ""
	case route.Path == "/":
		return true, ""
	}
	return route.StripPrefix, strings.TrimSuffix(route.Path, "/")
}
