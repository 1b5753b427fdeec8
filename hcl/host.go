package hcl

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
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

// routeEntries are the attributes that only routes have.
func routeEntries() []entry[Route] {
	return []entry[Route]{
		{name: "exact", decode: func(f field, r *Route) { r.Exact = f.isTrue() }},
		{name: "match", decode: func(f field, r *Route) { r.Match = decodeMatch(f.value) }},
		{name: "strip_prefix", decode: func(f field, r *Route) { r.StripPrefix = f.isTrue() }},
		{name: "rewrite", decode: func(f field, r *Route) { r.Rewrite, r.RewriteFlow = decodeRewrite(f, r.StripPrefix), f.flow() }},
	}
}

// decodeRoute decodes a route of host, whose own attributes are decoded. It returns
// nil without a path. The route is not valid if its own answer has a mistake: then
// it must not take the host's instead.
func (d *decoder) decodeRoute(b *block, host *Host, hostAnswers bool) (route *Route, valid bool) {
	route = &Route{Range: b.header, PathRange: b.labelRange}
	decodeBlock(d.scope, b, routeEntries(), route)
	if b.label != "" {
		route.Path, valid = d.at(b.labelRange).routePath(b.label, route.Exact)
	}
	answered := d.decodeSettings(b, &route.Settings, route.Exact)
	d.findIdleRewrite(b, route)
	if route.TryFiles != nil && !answered && hostAnswers && host.Upstream == nil {
		d.at(b.attrs["try_files"].nameRange()).errorf("add upstream", "try_files needs upstream")
	}
	if !answered && !hostAnswers && !b.damaged {
		d.at(b.header).errorf("write upstream = 3000; or add one of them to the host", "%s has no upstream, files, redirect or respond", b.title())
	}
	if !valid {
		return nil, false
	}
	return route, answered == route.hasAnswer()
}

// findIdleRewrite reports rewrite next to an answer that forwards nothing. Package
// plan warns if that answer is the host's.
func (d *decoder) findIdleRewrite(b *block, route *Route) {
	attr := b.attrs["rewrite"]
	if attr == nil || route.Rewrite == "" {
		return
	}
	at := d.at(attr.nameRange())
	switch {
	case route.Files != nil:
		at.errorf("remove it: files looks up what follows the route's path; name another folder, or the file with exact = true", "rewrite can't be combined with files")
	case route.Redirect != nil:
		at.errorf("remove it: write the path in redirect", "rewrite can't be combined with redirect")
	case route.Respond != nil:
		at.errorf("remove it: respond does not use the path", "rewrite can't be combined with respond")
	}
}

func decodeMatch(v value) *Match {
	if !v.IsKnown() {
		return nil
	}
	if !v.isObject() {
		v.errorf(`write match = { methods = ["GET"] }`, "match must be an object with methods, headers or query")
		return nil
	}
	match := &Match{Flow: v.flow()}
	decodeObject(v, "match", []entry[Match]{
		{name: "methods", decode: func(f field, m *Match) { m.Methods = decodeMethods(f.value) }},
		{name: "headers", decode: func(f field, m *Match) { m.Headers = decodeConditions(f, field.fieldName) }},
		{name: "query", decode: func(f field, m *Match) {
			m.Query = decodeConditions(f, func(f field) (string, bool) { return f.name, true })
		}},
	}, match)
	if match.Methods == nil && match.Headers == nil && match.Query == nil && match.Flow.Empty() {
		return nil
	}
	return match
}

func decodeMethods(v value) []string {
	if !v.IsWhollyKnown() {
		return nil
	}
	if !v.isList() {
		v.errorf("write ["+v.written()+"]", "methods must be a list")
		return nil
	}
	var methods []string
	for element, method := range texts(v.elements(), "a method") {
		if !isToken(method) {
			element.errorf(`write one like "GET"`, "%q is not an HTTP method", method)
			continue
		}
		methods = append(methods, strings.ToUpper(method))
	}
	return methods
}

// decodeConditions decodes headers and query of match. name returns the name of
// the header field or parameter.
func decodeConditions(f field, name func(field) (string, bool)) map[string]string {
	if !f.IsKnown() {
		return nil
	}
	if !f.isObject() {
		f.errorf("write "+f.name+` = { NAME = "VALUE" }`, "%s must be an object", f.name)
		return nil
	}
	var all map[string]string
	for _, condition := range f.fields() {
		key, ok := name(condition)
		if !ok {
			continue
		}
		if text, ok := condition.scalar("a value of " + f.name); ok {
			all = put(all, key, text)
		}
	}
	return all
}

// decodeRewrite decodes the path to forward; "" for a mistake.
func decodeRewrite(f field, strip bool) string {
	target, ok := f.str("rewrite")
	if !ok {
		return ""
	}
	if strip {
		f.scope.at(f.nameAt).errorf("remove one of them", "rewrite and strip_prefix can't be combined")
	}
	other := strings.ReplaceAll(target, "{rest}", "")
	plain, _, query := strings.Cut(strings.Replace(target, "#", "?", 1), "?")
	p := f.place()
	if !p.passes(
		when(target == "{rest}", "write strip_prefix = true", "{rest} can be empty, and an empty path is not valid"),
		when(!strings.HasPrefix(target, "/"), suggest("/"+target), `a path must begin with "/"`),
		when(strings.HasPrefix(target, "//"), suggest("/"+strings.TrimLeft(target, "/")), "a path can't have an empty segment"),
		when(query, suggest(plain)+": the query is kept", "rewrite must be a path without query and fragment"),
	) || !p.checkTarget(target, false) || !p.passes(
		when(placeholder.MatchString(other), restAdvice, "unknown placeholder %s", placeholder.FindString(other)),
	) {
		return ""
	}
	return target
}

// identityOf returns a text that is the same for equal values. It is empty for a
// value that has no effect.
func identityOf(v cty.Value) string {
	if !v.IsKnown() || v.IsNull() || v.RawEquals(cty.False) {
		return ""
	}
	return fmt.Sprintf("%#v", v)
}
