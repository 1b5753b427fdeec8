package scaffold

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

var traefikRule = regexp.MustCompile(`Host\(([^)]*)\)`)

// traefikHosts are the host names in the labels that Traefik reads.
func traefikHosts(labels *yaml.Node, expand func(string) string) (hosts []string) {
	for _, node := range labels.Content {
		for _, m := range traefikRule.FindAllStringSubmatch(node.Value, maxIncludes) {
			for _, name := range strings.Split(m[1], ",") {
				name = strings.Trim(name, " `'\"")
				if name = expand(name); name != "" && plainHost.MatchString(name) && !slices.Contains(hosts, name) {
					hosts = append(hosts, name)
				}
			}
		}
	}
	return hosts
}

// readTraefik gives the services that only Traefik leads to a host each, which
// leads to Traefik under the name of its rule.
func (d *discovery) readTraefik(services []*service) {
	var proxy *candidate
	for _, c := range d.candidates {
		if c.role == container && imageName(c.image) == "traefik" && c.inside != 8080 && proxy == nil {
			proxy = c
		}
	}
	if proxy == nil {
		return
	}
	for _, s := range services {
		if len(s.ports) > 0 || imageName(s.image) == "traefik" {
			continue
		}
		for _, name := range s.hosts {
			h := &host{name: underLocalhost(name), file: s.file, line: s.line}
			h.upstream = proxy.upstream()
			if h.name != name {
				h.set("request_headers", "{ Host = "+quoted(name)+" }")
			}
			d.sites = append(d.sites, h)
			d.say(s.file, name+" through traefik on "+strconv.Itoa(proxy.port))
		}
	}
}
