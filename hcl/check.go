package hcl

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// check looks at the file as a whole.
func (d *decoder) check(root *body) {
	d.findSecondNames()
	if len(d.file.Hosts) == 0 && !root.damaged && !d.diags.HasErrors() {
		at := Range{File: d.firstSource()}
		if isBlank(d.file.Sources[at.File]) {
			where := newFolder(d.file.Dir, nil)
			d.errorf(at, "write "+smallestFor(where)+"; or delete the file and run devproxy init", "%s is empty", at.File)
			return
		}
		d.errorf(at, `write host "shop.localhost" { upstream = 5173 }`, "%s has no host", at.File)
	}
	if !d.diags.HasErrors() {
		d.findUnused()
	}
}

func (d *decoder) firstSource() string {
	names := sortedKeys(d.file.Sources)
	if len(names) == 0 {
		return "Proxyfile"
	}
	return names[0]
}

// findSecondNames reports names that two hosts claim, be it as an alias.
func (d *decoder) findSecondNames() {
	first := map[string]Name{}
	claim := func(what string, name Name) {
		if name.Value == "" {
			return
		}
		if before, taken := first[name.Value]; taken {
			d.errorf(name.Range, "the first is at "+place(before.Range), "a second %s %q", what, name.Value)
			return
		}
		first[name.Value] = name
	}
	for _, h := range d.file.Hosts {
		claim("host", h.Name)
	}
	for _, h := range d.file.Hosts {
		for _, alias := range h.Aliases {
			claim("host or alias", alias)
		}
	}
}

// findSecondRoutes reports routes of a host with the same path, exact and
// match.
func (d *decoder) findSecondRoutes(host string, routes []*Route) {
	first := map[string]*Route{}
	for _, r := range routes {
		id := fmt.Sprintf("%s\n%t", r.Path, r.Exact)
		if r.Match != nil {
			id += fmt.Sprintf("\n%q %q %q", r.Match.Methods, r.Match.Headers, r.Match.Query)
		}
		if before := first[id]; before != nil {
			d.errorf(r.PathRange, "the first is at "+place(before.PathRange), "a second route %q in host %q", r.Path, host)
			continue
		}
		first[id] = r
	}
}

// findLoneStars warns of a path that ends in a segment of any name, where nothing
// takes the path without it. Other tools write "/api/*" for "/api" and all below.
func (d *decoder) findLoneStars(host *Host, routes []*Route) {
	for _, r := range routes {
		base, lone := strings.CutSuffix(r.Path, "/*")
		if !lone || r.Exact || base == "" && hasAnswer(&host.Settings) {
			continue
		}
		base = cmp.Or(base, "/")
		if !slices.ContainsFunc(routes, func(other *Route) bool { return other.Path != r.Path && within(other.Path, base) }) {
			d.warnf(r.PathRange, quotef("write %s, which matches it too; for one segment below it, add exact = true", base), "route %q does not match %q", r.Path, base)
		}
	}
}

// parameter matches a segment that stands for any in the paths of frameworks: ":id",
// "{id}", "<int:id>". Not "[id]": Next has chunks of such names.
var parameter = regexp.MustCompile(`/(:[A-Za-z_]\w*\??|\{[^/{}]*\}|<[^/<>]*>)(?:/|$)`)

// findParameters warns of a path with parameters, which are plain text here.
func (d *decoder) findParameters(routes []*Route) {
	for _, r := range routes {
		m := parameter.FindStringSubmatch(r.Path)
		if m == nil {
			continue
		}
		path := r.Path
		for parameter.MatchString(path) {
			at := parameter.FindStringSubmatchIndex(path)
			path = path[:at[2]] + "*" + path[at[3]:]
		}
		d.warnf(r.PathRange, quotef("for any segment, write %s", path), "route %q matches %q as it is written", r.Path, m[1])
	}
}

// findUnused warns of what nothing refers to.
func (d *decoder) findUnused() {
	for _, service := range d.file.Services {
		if n := d.scope.services[service.Name]; n != nil && !n.used {
			d.warnf(service.Range, "write upstream = service."+service.Name+" in a host or route", "service %q is not used", service.Name)
		}
	}
}
