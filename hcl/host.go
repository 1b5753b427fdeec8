package hcl

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

func hostEntries() []entry[Host] {
	return []entry[Host]{
		{name: "aliases", decode: func(f field, h *Host) {
			h.Aliases = f.names("names", "an alias", `"shop.localhost"`, func(p place, text string) string { return p.hostName(text, true) })
		}},
		{name: "share", decode: func(f field, h *Host) { h.Share = f.boolean() }},
	}
}

func (d *decoder) decodeHost(b *block) *Host {
	host := &Host{Range: b.header}
	if b.label != "" {
		host.Name = Name{Value: d.at(b.labelRange).hostName(b.label, true), Range: b.labelRange}
	}
	decodeBlock(d.scope, b, hostEntries(), host)
	answered := d.decodeSettings(b, &host.Settings, false)
	var routes []*Route
	for _, inner := range b.only("route") {
		route, valid := d.decodeRoute(inner, host, answered)
		if route == nil {
			continue
		}
		routes = append(routes, route)
		if valid && (route.hasAnswer() || host.hasAnswer()) {
			host.Routes = append(host.Routes, route)
		}
	}
	d.findSecondRoutes(host.Name.Value, routes)
	d.findLoneStars(host, routes)
	d.findParameters(routes)
	if !answered && len(b.blocks) == 0 && !b.damaged {
		d.at(b.header).errorf("write upstream = 3000, or add a route", "%s has no upstream, files, redirect or respond", b.title())
	}
	return host
}

// findSecondRoutes reports routes of a host with the same path, exact and match.
func (d *decoder) findSecondRoutes(host string, routes []*Route) {
	first := map[string]*Route{}
	for _, r := range routes {
		id := fmt.Sprintf("%s\n%t", r.Path, r.Exact)
		if r.Match != nil {
			id += fmt.Sprintf("\n%q %q %q", r.Match.Methods, r.Match.Headers, r.Match.Query)
		}
		if before := first[id]; before != nil {
			d.at(r.PathRange).errorf("the first one is at "+before.PathRange.line(), "duplicate route %q in host %q", r.Path, host)
			continue
		}
		first[id] = r
	}
}

// findLoneStars warns of a path that ends with "/*", if no route takes the path
// without it. Other tools write "/api/*" for "/api" and everything below.
func (d *decoder) findLoneStars(host *Host, routes []*Route) {
	for _, r := range routes {
		base, star := strings.CutSuffix(r.Path, "/*")
		if !star || r.Exact || base == "" && host.hasAnswer() {
			continue
		}
		base = cmp.Or(base, "/")
		if !slices.ContainsFunc(routes, func(other *Route) bool { return other.Path != r.Path && within(other.Path, base) }) {
			d.at(r.PathRange).warnf(suggest(base)+", which matches everything below it too; to match one segment only, add exact = true", "route %q does not match %q", r.Path, base)
		}
	}
}

// parameter matches a segment that means any segment in the paths of frameworks:
// ":id", "{id}", "<int:id>". It does not match "[id]", because Next has chunks of
// such names.
var parameter = regexp.MustCompile(`/(:[A-Za-z_]\w*\??|\{[^/{}]*\}|<[^/<>]*>)(?:/|$)`)

// findParameters warns of a path with parameters, which are plain text here.
func (d *decoder) findParameters(routes []*Route) {
	for _, r := range routes {
		m := parameter.FindStringSubmatch(r.Path)
		if m == nil {
			continue
		}
		path := r.Path
		for at := parameter.FindStringSubmatchIndex(path); at != nil; at = parameter.FindStringSubmatchIndex(path) {
			path = path[:at[2]] + "*" + path[at[3]:]
		}
		d.at(r.PathRange).warnf("to match any segment, "+suggest(path), "route %q matches %q literally", r.Path, m[1])
	}
}
