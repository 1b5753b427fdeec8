package plan

import (
	"cmp"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// effects collects the effects of a plan while it is built.
type effects struct {
	file *hcl.File
	root string // of the project, with links resolved
	all  []*Effect
	byID map[string]*Effect
	// routes are those that the attributes of a block apply to, by the header of
	// a host, route or service.
	routes map[hcl.Range][]*Route
}

func newEffects(file *hcl.File, root string) *effects {
	return &effects{file: file, root: root, byID: map[string]*Effect{}, routes: map[hcl.Range][]*Route{}}
}

// maxSources bounds the lines that are named for one effect.
const maxSources = 8

// add adds an effect of a route, or nil for an effect of no route. It returns the effect
// with all its routes.
func (c *effects) add(e Effect, route *Route, at hcl.Range) *Effect {
	known := c.byID[e.id()]
	if known == nil {
		known = &e
		known.routes = map[string]bool{}
		c.byID[e.id()] = known
		c.all = append(c.all, known)
	}
	known.Computed = known.Computed || e.Computed
	if route != nil {
		known.routes[route.ID] = true
	}
	source := sourceOf(c.file, at)
	if source.Line > 0 && len(known.Sources) < maxSources && !slices.ContainsFunc(known.Sources, func(s Source) bool { return s.compare(source) == 0 }) {
		known.Sources = append(known.Sources, source)
	}
	return known
}

// flow adds an effect that sends variables somewhere, if there are any.
func (c *effects) flow(e Effect, f hcl.Flow, route *Route) {
	if !f.Empty() {
		e.Env, e.Computed = f.Env, f.Computed
		c.add(e, route, f.Range)
	}
}

// reach adds an effect on target, which is shown without the values that are in
// it.
func (c *effects) reach(kind Kind, target string, f hcl.Flow, route *Route, at hcl.Range) {
	e := Effect{Kind: kind, Target: target, Env: f.Env, Computed: f.Computed, share: kind == KindRelay}
	if !f.Empty() {
		e.Target, e.Resolved = f.Full(), target
	}
	c.add(e, route, at)
}

// setting adds the effect that clients can find out the values that a setting
// of route was computed from. A setting that is a variable's value as it is
// does not help them to find out that value.
func (c *effects) setting(route *Route, f hcl.Flow) {
	if f.Computed {
		c.flow(Effect{Kind: KindSetting, Target: Visitors}, f, route)
	}
}

// inside reports whether a real path is in the project.
func (c *effects) inside(path string) bool {
	return c.root != "" && Within(path, c.root)
}

// Within reports whether path is folder or lies below it. Both are absolute and
// have their links resolved.
func Within(path, folder string) bool {
	below, err := filepath.Rel(folder, path)
	return err == nil && below != ".." && !strings.HasPrefix(below, ".."+string(filepath.Separator))
}

// boundary returns the folder that a real path must stay in, when links may lead
// elsewhere later: the project, or for a path outside the project that path.
func (c *effects) boundary(path string) string {
	if c.inside(path) {
		return c.root
	}
	return path
}

// route adds the effects of a route: s are its settings with the inherited
// ones, w is its own block.
func (c *effects) route(r *Route, s *hcl.Settings, w *hcl.Route) {
	c.own(r, s, w)
	switch {
	case s.Upstream != nil:
		c.upstream(r, s, w)
		if s.TryFiles != nil {
			c.files(r, s.TryFiles)
		}
	case s.Files != nil:
		c.files(r, s.Files)
	case s.Redirect != nil:
		target, resolved := redirectTarget(s.Redirect)
		c.flow(Effect{Kind: KindRedirect, Target: target, Resolved: resolved}, s.Redirect.Flow, r)
	case s.Respond != nil:
		c.flow(Effect{Kind: KindRespond, Target: Visitors}, s.Respond.Flow, r)
	}
	for _, name := range sortedNames(s.ResponseFlows) {
		c.flow(Effect{Kind: KindResponseHeader, Target: Visitors}, s.ResponseFlows[name], r)
	}
	if w.Match != nil {
		c.flow(Effect{Kind: KindMatch, Target: Visitors}, w.Match.Flow, r)
	}
	c.cors(r, s)
}

// own notes that the attributes of w and of the services of s apply to r.
func (c *effects) own(r *Route, s *hcl.Settings, w *hcl.Route) {
	note := func(header hcl.Range) (isNew bool) {
		if header == (hcl.Range{}) || slices.Contains(c.routes[header], r) {
			return false
		}
		c.routes[header] = append(c.routes[header], r)
		return true
	}
	note(w.Range)
	var services func(u *hcl.Upstream)
	services = func(u *hcl.Upstream) {
		if u != nil && u.Service != nil && note(u.Service.Range) {
			services(u.Service.Upstream)
			services(u.Service.Fallback)
		}
	}
	services(s.Upstream)
}

// files adds that a folder or file is served.
func (c *effects) files(r *Route, f *hcl.Files) {
	if real := cmp.Or(f.Real, f.Dir); c.inside(real) {
		c.setting(r, f.Flow)
	} else {
		c.reach(KindFiles, real, f.Flow, r, f.Range)
	}
}

// upstream adds the connected upstream, and the values of the environment that
// it is sent.
func (c *effects) upstream(r *Route, s *hcl.Settings, w *hcl.Route) {
	for i, container := range reachedContainers(s.Upstream) {
		c.sends(r, Effect{Target: Here}, s, w, i == 0 && s.Upstream.Service.Container == container)
	}
	for i, m := range reached(s.Upstream) {
		to := c.member(m)
		if to.Kind != "" {
			to.Env, to.Computed = m.Flow.Env, m.Flow.Computed
			c.add(to, r, m.Range)
		} else {
			c.setting(r, m.Flow)
		}
		c.sends(r, to, s, w, i < len(s.Upstream.Members)) // fallbacks have no health checks
	}
}

// sends adds the values of the environment that a route sends to one of its upstreams.
func (c *effects) sends(r *Route, to Effect, s *hcl.Settings, w *hcl.Route, checked bool) {
	flow := func(kind Kind, f hcl.Flow) {
		c.flow(Effect{Kind: kind, Target: to.Target, Resolved: to.Resolved}, f, r)
	}
	for _, name := range sortedNames(s.RequestFlows) {
		flow(KindRequestHeader, s.RequestFlows[name])
	}
	flow(KindRewrite, w.RewriteFlow)
	if service := s.Upstream.Service; checked && service != nil && service.Health != nil {
		flow(KindHealth, service.Health.Flow)
	}
}

// reachedContainers returns the containers that an upstream may connect to, fallbacks
// included.
func reachedContainers(u *hcl.Upstream) []*hcl.Container {
	var all []*hcl.Container
	for s := u.Service; s != nil; s = s.Fallback.Service {
		if s.Container != nil {
			all = append(all, s.Container)
		}
		if s.Fallback == nil {
			break
		}
	}
	return all
}

// reached returns all members that an upstream may connect to, fallbacks included.
func reached(u *hcl.Upstream) []hcl.Member {
	all := slices.Clone(u.Members)
	for s := u.Service; s != nil && s.Fallback != nil; s = s.Fallback.Service {
		all = append(all, s.Fallback.Members...)
	}
	return all
}

// member returns the effect of connecting to m. It has no kind for a member on
// this machine.
func (c *effects) member(m hcl.Member) Effect {
	e := Effect{Kind: KindUpstream}
	switch {
	case m.Socket != "":
		e.Kind, e.Target = KindSocket, realSocket(m)
		if c.inside(e.Target) {
			return Effect{Target: Here}
		}
	case isLoopback(m.Host):
		return Effect{Target: Here}
	default:
		e.Target = canonical(string(m.Scheme), m.Host, strconv.Itoa(int(m.Port)))
	}
	if !m.Flow.Empty() {
		e.Target, e.Resolved = m.Flow.Full(), e.Target
	}
	return e
}

func realSocket(m hcl.Member) string { return cmp.Or(m.RealSocket, m.Socket) }

// canonical returns one form of a scheme and its authority: lower case, without a
// trailing dot, without the port that the scheme implies.
func canonical(scheme, host, port string) string {
	host = normal(strings.Trim(host, "[]"))
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	scheme = strings.ToLower(scheme)
	return scheme + "://" + hostPort(scheme, host, port)
}

// redirectTarget returns where a redirect leads: an authority, or this host.
func redirectTarget(r *hcl.Redirect) (shown, resolved string) {
	u, err := url.Parse(strings.ReplaceAll(r.Target, restMark, ""))
	if err != nil {
		return r.Flow.Full(), r.Target
	}
	if u.Host == "" {
		return Visitors, ""
	}
	resolved = canonical(u.Scheme, u.Hostname(), u.Port())
	if shown, err := url.Parse(strings.ReplaceAll(r.Flow.Whole, restMark, "")); err == nil {
		if canonical(shown.Scheme, shown.Hostname(), shown.Port()) == resolved {
			return resolved, "" // no variable is in the authority
		}
	}
	if scheme, rest, isURL := strings.Cut(r.Flow.Whole, "://"); isURL && strings.EqualFold(scheme, u.Scheme) {
		return r.Flow.WithLocals(strings.ToLower(scheme) + "://" + authorityOfShown(rest)), resolved
	}
	return r.Flow.Full(), resolved
}

// authorityOfShown returns the text before the path of a shown URL. A ${…} is
// part of it.
func authorityOfShown(text string) string {
	depth := 0
	for i, c := range text {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case depth == 0 && strings.ContainsRune("/?#", c):
			return text[:i]
		}
	}
	return text
}

// allowOrigin is the field that says whose pages may read a response.
const allowOrigin = "Access-Control-Allow-Origin"

// cors adds the origins that are allowed, by cors or by fields that do the same.
func (c *effects) cors(r *Route, s *hcl.Settings) {
	if cors := s.CORS; cors != nil && !cors.Off && !cors.Own {
		if cors.Any {
			c.origin(r, "*", cors.Flows["*"], cors.Range)
		}
		for _, origin := range cors.Origins {
			c.origin(r, origin, cors.Flows[origin], cors.Range)
		}
	}
	if origin := s.ResponseHeaders[allowOrigin]; origin != nil {
		c.origin(r, *origin, s.ResponseFlows[allowOrigin], *answerRange(s))
	}
	if s.Respond != nil {
		if origin, said := s.Respond.Headers[allowOrigin]; said {
			c.origin(r, origin, s.Respond.Flow, s.Respond.Range)
		}
	}
}

// origin adds that pages of an origin may read responses, unless the origin is on
// this machine.
func (c *effects) origin(r *Route, origin string, f hcl.Flow, at hcl.Range) {
	origin = strings.ToLower(strings.TrimSpace(origin))
	if origin == "https://{host}" || origin == "http://{host}" {
		return // the requested host, whose pages can read its responses anyway
	}
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && isLoopback(u.Hostname()) && (f.Empty() || isBare(u) && !f.Computed) {
		return
	}
	c.reach(KindCORS, origin, f, r, at)
}

// isBare reports whether the scheme and host of u say nothing but "a web page of
// this machine", so that a value in it can only be its port.
func isBare(u *url.URL) bool {
	_, err := netip.ParseAddr(u.Hostname())
	return (u.Scheme == "http" || u.Scheme == "https") && (err == nil || u.Hostname() == "localhost")
}

// names adds variables in names of hosts. All worktrees of a project share a consent.
func (c *effects) names(h *hcl.Host) {
	for _, alias := range h.Aliases {
		c.flow(Effect{Kind: KindHostName, Target: alias.Flow.Full(), Resolved: c.file.Relocation.Original(alias.Value), alias: alias.Value}, alias.Flow, nil)
	}
}

// sharing adds the values that a relay and its visitors learn when the project
// is shared.
func (c *effects) sharing() {
	c.public(c.file.DomainFlow)
	w := cmp.Or(c.file.Share, &hcl.Share{})
	for _, name := range sortedNames(w.Flows) {
		if isPublic(name) || w.Flows[name].Computed && (name != "relay" || w.Relays == nil) {
			c.public(w.Flows[name])
		}
	}
	for _, relay := range w.Relays {
		switch {
		case !isLoopback(withoutPort(relay.Value)):
			c.reach(KindRelay, relay.Value, relay.Flow, nil, relay.Range)
		case relay.Flow.Computed:
			c.public(relay.Flow)
		}
	}
}

func (c *effects) public(f hcl.Flow) {
	if !f.Empty() {
		c.add(Effect{Kind: KindShare, Target: Public, Env: f.Env, share: true}, nil, f.Range)
	}
}

// rest adds flows into attributes that nothing above handles, so that a new
// attribute cannot leak values unnoticed, and the settings that decide something
// without sending a value.
func (c *effects) rest(all []*Route) {
	for _, f := range c.file.Flows {
		sink, known := sinks[f.Attribute]
		switch {
		case !known:
			c.add(Effect{Kind: Kind(f.Attribute), Target: Visitors, Env: f.Env}, nil, f.Range)
		case !f.Computed || f.Attribute == "domain" || c.file.Share != nil && f.Block == c.file.Share.Range:
			// It is harmless, or added above.
		case f.Attribute == "share":
			c.public(f.Flow)
		case len(sink.kinds) > 0 && !f.Whole:
			// The values in it are added above.
		default:
			routes := c.about(f.Block, all)
			if !f.Bare && c.widen(sink.kinds, f.Env, routes) {
				continue
			}
			for _, r := range routes {
				c.setting(r, f.Flow)
			}
		}
	}
	for _, e := range c.all {
		slices.SortFunc(e.Sources, Source.compare)
	}
	slices.SortStableFunc(c.all, func(x, y *Effect) int { return x.first().compare(y.first()) })
}

// about returns the routes that the attributes of a block apply to, or all routes
// if the block is unknown.
func (c *effects) about(header hcl.Range, all []*Route) []*Route {
	isService := slices.ContainsFunc(c.file.Services, func(s *hcl.Service) bool { return s.Range == header })
	isPort := slices.ContainsFunc(c.file.Ports, func(p *hcl.Port) bool { return p.Range == header })
	if routes := c.routes[header]; routes != nil || isService || isPort {
		return routes // none for a service that no route uses
	}
	return all
}

// widen makes the computed effects of kinds and env those of all routes: which
// routes are withheld must not depend on a computed value. It reports whether
// any exist.
func (c *effects) widen(kinds []Kind, env []string, routes []*Route) (found bool) {
	for _, e := range c.all {
		if !e.Computed || !slices.Contains(kinds, e.Kind) || slices.ContainsFunc(env, func(name string) bool { return !slices.Contains(e.Env, name) }) {
			continue
		}
		found = true
		for _, r := range routes {
			e.routes[r.ID] = true
		}
	}
	return found
}
