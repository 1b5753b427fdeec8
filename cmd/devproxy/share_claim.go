package main

import (
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel"
)

// onlyHosts is p for some of its hosts alone, in the plan's order; for none it
// is p itself. A host is asked for by its name, or by what stands before the
// project's domain: "admin" is admin.shop.localhost.
func onlyHosts(p *plan.Share, asked []string) (*plan.Share, error) {
	if len(asked) == 0 {
		return p, nil
	}
	wanted := map[string]bool{}
	for _, name := range asked {
		host, err := findShared(p, strings.ToLower(strings.TrimSuffix(name, ".")))
		if err != nil {
			return nil, err
		}
		wanted[host] = true
	}
	only := *p
	only.Hosts, only.NotShared = nil, slices.Clone(p.NotShared)
	for _, host := range p.Hosts {
		if wanted[host] {
			only.Hosts = append(only.Hosts, host)
		} else {
			only.NotShared = append(only.NotShared, plan.NotShared{Name: host, Reason: "not asked for"})
		}
	}
	return &only, nil
}

// reasonAdded is why a host that a save has added is not shared.
const reasonAdded = "added after the share started"

// withoutAdded is p without the hosts that are not in agreed: they were added to
// the Proxyfile after the user has last asked to share it, and may not be meant
// for the public. A share block that names its hosts says what is meant.
func withoutAdded(p *plan.Share, agreed []string) (kept *plan.Share, added []string) {
	if p.Listed {
		return p, nil
	}
	without := *p
	without.Hosts, without.NotShared = nil, slices.Clone(p.NotShared)
	for _, host := range p.Hosts {
		if slices.Contains(agreed, host) {
			without.Hosts = append(without.Hosts, host)
		} else {
			without.NotShared = append(without.NotShared, plan.NotShared{Name: host, Reason: reasonAdded})
			added = append(added, host)
		}
	}
	if len(added) == 0 {
		return p, nil
	}
	return &without, added
}

// withoutWildcards is p without its wildcard hosts: a provider gives each host one
// name, and nothing below it.
func withoutWildcards(p *plan.Share, provider string) (*plan.Share, error) {
	if !slices.ContainsFunc(p.Hosts, isWildcard) {
		return p, nil
	}
	without := *p
	without.Hosts, without.NotShared = nil, slices.Clone(p.NotShared)
	for _, host := range p.Hosts {
		if isWildcard(host) {
			without.NotShared = append(without.NotShared, plan.NotShared{Name: host, Reason: provider + " carries no wildcard"})
		} else {
			without.Hosts = append(without.Hosts, host)
		}
	}
	if len(without.Hosts) == 0 {
		return nil, failf("share a host without a \"*\", or through a relay: devproxy relay login HOST", "%s carries no wildcard, and no other host is left to share", provider)
	}
	return &without, nil
}

func isWildcard(host string) bool { return strings.HasPrefix(host, "*") }

func findShared(p *plan.Share, asked string) (string, error) {
	for _, name := range []string{asked, asked + "." + p.Domain} {
		if slices.Contains(p.Hosts, name) {
			return name, nil
		}
		for _, host := range p.NotShared {
			if host.Name == name {
				return "", failf("change that in the Proxyfile, then again", "%s is kept out of shares: %s", name, host.Reason)
			}
		}
	}
	fix := "no host is shared"
	if len(p.Hosts) > 0 {
		fix = "devproxy share " + p.Hosts[0]
	}
	return "", failf(fix, "no host is named %s; there are %s", printable(asked), strings.Join(p.Hosts, ", "))
}

// mayShare is why p must not be shared as it is.
func mayShare(p *plan.Share) error {
	switch {
	case p.Unset != "":
		return failf("export "+p.Unset+"=…, then start devproxy again", "the share's password comes from %s, which is not set: the share would be open", p.Unset)
	case len(p.Hosts) == 0:
		return failf("take share = false away from one", "no host is left to share")
	}
	return nil
}

// claimOf is what the relay is asked for.
func claimOf(p *plan.Share, key *shareKey) tunnel.Claim {
	claim := tunnel.Claim{Project: tunnel.Label(p.Project), Name: p.Name, Names: key.Names, SharedCookies: p.SharedCookies}
	if claim.Name == "" {
		claim.Link = tunnel.Link(key.Key, key.Generation)
	}
	for _, host := range p.Hosts {
		claim.Hosts = append(claim.Hosts, beforeDomain(host, p.Domain))
	}
	return claim
}

// beforeDomain is what stands before the project's domain: "admin", nothing
// for the domain itself. A host that is elsewhere keeps its name.
func beforeDomain(host, domain string) string {
	if host == domain {
		return ""
	}
	return strings.TrimSuffix(host, "."+domain)
}
