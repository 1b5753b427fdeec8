package plan

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// Effect is something that serving a plan does outside its project, or with
// values of the environment. What it is made of does not depend on where in the
// file it is written.
type Effect struct {
	Kind Kind
	// Target is what is reached, in canonical form and as it may be shown: the
	// real path of a folder or socket, "https://api.example.com" of an
	// upstream. What comes from the environment is in it by name. See Here and
	// Visitors.
	Target string
	// Resolved is Target with the values, where variables flow into Target
	// itself; else empty. It is part of what the effect is, and must not be
	// shown or stored.
	Resolved string
	// Env are the names of the variables whose values leave, sorted.
	Env []string
	// Computed reports that it depends on a value of the environment which effect
	// this is, or whether there is one. A page for clients must not name it then.
	Computed bool
	// Sources are lines that cause it, sorted.
	Sources []Source

	routes map[string]bool // by Route.ID
	alias  string          // the name that it is about; empty for none
	share  bool            // of sharing alone
}

// Kind says in which way an effect reaches outside.
type Kind string

// The kinds of effects.
const (
	KindFiles          Kind = "files"           // a folder outside the project is served
	KindSocket         Kind = "unix socket"     // a unix socket outside the project is connected to
	KindUpstream       Kind = "upstream"        // another machine is connected to
	KindCORS           Kind = "cors"            // pages of another origin may read answers
	KindHostName       Kind = "host name"       // values are in names of hosts
	KindRedirect       Kind = "redirect"        // values are in a redirect
	KindRespond        Kind = "respond"         // values are in a fixed answer
	KindRequestHeader  Kind = "request header"  // values are sent to an upstream
	KindResponseHeader Kind = "response header" // values are sent to visitors
	KindHealth         Kind = "health"          // values are in a health check
	KindRewrite        Kind = "rewrite"         // values are in forwarded paths
	KindMatch          Kind = "match"           // visitors can find values by trying
	KindSetting        Kind = "setting"         // visitors can find out what a setting was computed from
	KindShare          Kind = "share"           // values are in a share's public settings
	KindRelay          Kind = "relay"           // a relay that the Proxyfile alone names gets the traffic of shares
)

// Targets that are no address.
const (
	// Here is any upstream on this machine that is not outside the project.
	Here = "this machine"
	// Visitors are all clients of the plan's hosts.
	Visitors = "visitors"
	// Public is the relay of a share, and everybody who has the link.
	Public = "the relay and visitors"
)

// String returns the effect as one line: "redirect https://example.com with $TOKEN".
func (e *Effect) String() string {
	return string(e.Kind) + " " + e.Reach()
}

// Reach returns the target and the variables: "https://example.com with $TOKEN".
func (e *Effect) Reach() string {
	names := make([]string, len(e.Env))
	for i, name := range e.Env {
		names[i] = "$" + name
		if !variable.MatchString(name) {
			names[i] = "$" + strconv.Quote(name) // any text may stand in env()
		}
	}
	if len(names) == 0 {
		return e.Target
	}
	return e.Target + " with " + strings.Join(names, ", ")
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// first is the first line that causes e.
func (e *Effect) first() Source {
	if len(e.Sources) == 0 {
		return Source{}
	}
	return e.Sources[0]
}

func (s Source) compare(other Source) int {
	return cmp.Or(cmp.Compare(s.File, other.File), cmp.Compare(s.Line, other.Line))
}

// ShareOnly reports whether e happens only when the project is shared.
func (e *Effect) ShareOnly() bool { return e.share }

// Covers reports whether consent to e is consent to other: the same effect, with
// at most the same variables.
func (e *Effect) Covers(other *Effect) bool {
	same := e.Target == other.Target
	if e.Resolved != "" {
		same = true // however it is put together
	}
	return e.Kind == other.Kind && same && e.Resolved == other.Resolved &&
		!slices.ContainsFunc(other.Env, func(name string) bool { return !slices.Contains(e.Env, name) })
}

// Effects returns the effects of serving and sharing the plan, in the order of the
// file. The caller must not change them.
func (p *Plan) Effects() []*Effect {
	if p == nil {
		return nil
	}
	return p.effects
}

// EffectsOf returns the effects of one route, in the same order.
func (p *Plan) EffectsOf(r *Route) []*Effect {
	var list []*Effect
	for _, e := range p.Effects() {
		if e.routes[r.ID] {
			list = append(list, e)
		}
	}
	return list
}

// Mask takes values of the environment out of texts that are shown; it may be
// nil, which takes nothing out.
func (p *Plan) Mask() *hcl.Mask {
	if p == nil {
		return nil
	}
	return p.mask
}

// effects collects the effects of a plan while it is built.
type effects struct {
	root string // of the project, links followed
	all  []*Effect
	byID map[string]*Effect
	// routes are those that the attributes of a block are about, by the header
	// of a host, route or service.
	routes map[hcl.Range][]*Route
}

// maxSources bounds the lines that are named for one effect.
const maxSources = 8

// add notes an effect of route; nil is for what no route has.
func (c *effects) add(e Effect, route *Route, at Source) {
	id := fmt.Sprintf("%q %q %q %t", e.Kind, cmp.Or(e.Resolved, e.Target), e.Env, e.share)
	known := c.byID[id]
	if known == nil {
		known = &e
		known.routes = map[string]bool{}
		c.byID[id] = known
		c.all = append(c.all, known)
	}
	known.Computed = known.Computed || e.Computed
	if route != nil {
		known.routes[route.ID] = true
	}
	if at.Line > 0 && len(known.Sources) < maxSources && !slices.ContainsFunc(known.Sources, func(s Source) bool { return s.File == at.File && s.Line == at.Line }) {
		known.Sources = append(known.Sources, at)
	}
}

// inside reports whether a real path is in the project.
func (c *effects) inside(path string) bool {
	return c.root != "" && Within(path, c.root)
}

// boundary is the folder that a real path must not leave later, when links may
// lead elsewhere: the project, or for a path outside that path.
func (c *effects) boundary(path string) string {
	if c.inside(path) {
		return c.root
	}
	return path
}

// target is how a member is named by effects: Here, or by its address.
func (c *effects) target(m hcl.Member) (kind Kind, shown, resolved string) {
	switch {
	case m.Socket != "" && c.inside(realSocket(m)):
		return "", Here, ""
	case m.Socket != "":
		kind, resolved = KindSocket, realSocket(m)
	case isLoopback(m.Host):
		return "", Here, ""
	default:
		kind, resolved = KindUpstream, canonical(string(m.Scheme), m.Host, strconv.Itoa(int(m.Port)))
	}
	if m.Flow.Empty() {
		return kind, resolved, ""
	}
	return kind, m.Flow.Shown, resolved
}

func realSocket(m hcl.Member) string { return cmp.Or(m.RealSocket, m.Socket) }

// canonical is one form of an authority with its scheme: lower case, without a
// trailing dot, without the port that its scheme has anyway.
func canonical(scheme, host, port string) string {
	host = normal(strings.Trim(host, "[]"))
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	scheme = strings.ToLower(scheme)
	if port == "" || port == map[string]string{"http": "80", "https": "443", "h2c": "80"}[scheme] {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return scheme + "://" + host
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// route notes what route does: s is what it is made of, w its own match.
func (c *effects) route(b *builder, r *Route, s *hcl.Settings, w *hcl.Route) {
	at := func(f hcl.Flow) Source { return b.source(f.Range) }
	c.own(r, s, w)
	env := func(kind Kind, target, resolved string, f hcl.Flow) {
		if !f.Empty() {
			c.add(Effect{Kind: kind, Target: target, Resolved: resolved, Env: f.Env, Computed: f.Computed}, r, at(f))
		}
	}
	switch {
	case s.Upstream != nil:
		c.upstream(b, r, s, w)
		if s.TryFiles != nil {
			c.files(b, r, s.TryFiles)
		}
	case s.Files != nil:
		c.files(b, r, s.Files)
	case s.Redirect != nil:
		target, resolved := redirectTarget(s.Redirect)
		env(KindRedirect, target, resolved, s.Redirect.Flow)
	case s.Respond != nil:
		env(KindRespond, Visitors, "", s.Respond.Flow)
	}
	for _, name := range sortedNames(s.ResponseFlows) {
		env(KindResponseHeader, Visitors, "", s.ResponseFlows[name])
	}
	if w.Match != nil {
		env(KindMatch, Visitors, "", w.Match.Flow)
	}
	c.cors(b, r, s.CORS)
	// The fields of CORS written by hand do what cors does.
	if origin := s.ResponseHeaders[allowOrigin]; origin != nil {
		c.origin(r, *origin, s.ResponseFlows[allowOrigin], r.Source)
	}
	if s.Respond != nil {
		if origin, said := s.Respond.Headers[allowOrigin]; said {
			c.origin(r, origin, s.Respond.Flow, b.source(s.Respond.Range))
		}
	}
}

// files notes that a folder is served, or a file.
func (c *effects) files(b *builder, r *Route, f *hcl.Files) {
	real := cmp.Or(f.Real, f.Dir)
	if c.inside(real) {
		c.setting(b, r, f.Flow)
		return
	}
	e := Effect{Kind: KindFiles, Target: real}
	if flow := f.Flow; !flow.Empty() {
		e.Target, e.Resolved, e.Env, e.Computed = flow.Shown, real, flow.Env, flow.Computed
	}
	c.add(e, r, b.source(f.Range))
}

// allowOrigin is the field that says whose pages may read an answer.
const allowOrigin = "Access-Control-Allow-Origin"

// upstream notes who is connected to, and what of the environment they are sent.
func (c *effects) upstream(b *builder, r *Route, s *hcl.Settings, w *hcl.Route) {
	for i, m := range reached(s.Upstream) {
		kind, target, resolved := c.target(m)
		if kind != "" {
			c.add(Effect{Kind: kind, Target: target, Resolved: resolved, Env: m.Flow.Env, Computed: m.Flow.Computed}, r, b.source(m.Range))
		} else {
			c.setting(b, r, m.Flow)
		}
		sends := func(kind Kind, f hcl.Flow) {
			if !f.Empty() {
				c.add(Effect{Kind: kind, Target: target, Resolved: resolved, Env: f.Env, Computed: f.Computed}, r, b.source(f.Range))
			}
		}
		for _, name := range sortedNames(s.RequestFlows) {
			sends(KindRequestHeader, s.RequestFlows[name])
		}
		sends(KindRewrite, w.RewriteFlow)
		checked := i < len(s.Upstream.Members) // nobody asks fallbacks for their health
		if service := s.Upstream.Service; checked && service != nil && service.Health != nil {
			sends(KindHealth, service.Health.Flow)
		}
	}
}

// setting notes that visitors can find out what a setting of route was computed
// from. One that is a variable's value as it is tells them nothing that helps to
// spell it out.
func (c *effects) setting(b *builder, route *Route, f hcl.Flow) {
	if f.Computed {
		c.add(Effect{Kind: KindSetting, Target: Visitors, Env: f.Env, Computed: true}, route, b.source(f.Range))
	}
}

// own notes that the attributes of w and of the services of s are about r.
func (c *effects) own(r *Route, s *hcl.Settings, w *hcl.Route) {
	about := func(header hcl.Range) {
		if header != (hcl.Range{}) && !slices.Contains(c.routes[header], r) {
			c.routes[header] = append(c.routes[header], r)
		}
	}
	about(w.Range)
	var services func(u *hcl.Upstream)
	services = func(u *hcl.Upstream) {
		if u != nil && u.Service != nil && !slices.Contains(c.routes[u.Service.Range], r) {
			about(u.Service.Range)
			services(u.Service.Upstream)
			services(u.Service.Fallback)
		}
	}
	services(s.Upstream)
}

// reached are all members that an upstream may connect to, fallbacks included.
func reached(u *hcl.Upstream) []hcl.Member {
	all := slices.Clone(u.Members)
	for s := u.Service; s != nil && s.Fallback != nil; s = s.Fallback.Service {
		all = append(all, s.Fallback.Members...)
	}
	return all
}

// redirectTarget is where a redirect leads: an authority, or this host.
func redirectTarget(r *hcl.Redirect) (shown, resolved string) {
	u, err := url.Parse(strings.ReplaceAll(r.Target, restMark, ""))
	if err != nil {
		return r.Flow.Shown, r.Target
	}
	if u.Host == "" {
		return Visitors, ""
	}
	resolved = canonical(u.Scheme, u.Hostname(), u.Port())
	if shown, err := url.Parse(strings.ReplaceAll(r.Flow.Shown, restMark, "")); err == nil {
		if same := canonical(shown.Scheme, shown.Hostname(), shown.Port()); same == resolved {
			return resolved, "" // nothing flows into the authority
		}
	}
	if scheme, rest, isURL := strings.Cut(r.Flow.Shown, "://"); isURL && strings.EqualFold(scheme, u.Scheme) {
		return strings.ToLower(scheme) + "://" + authorityOfShown(rest), resolved
	}
	return r.Flow.Shown, resolved
}

// authorityOfShown is what comes before the path of a shown URL. What stands in
// ${…} is part of it.
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

// cors notes the origins that are not of this machine.
func (c *effects) cors(b *builder, r *Route, cors *hcl.CORS) {
	if cors == nil || cors.Off || cors.Own {
		return
	}
	at := b.source(cors.Range)
	if cors.Any {
		c.origin(r, "*", cors.Flows["*"], at)
	}
	for _, origin := range cors.Origins {
		c.origin(r, origin, cors.Flows[origin], at)
	}
}

// origin notes that pages of an origin may read answers, unless it is one of
// this machine.
func (c *effects) origin(r *Route, origin string, f hcl.Flow, at Source) {
	origin = strings.ToLower(strings.TrimSpace(origin))
	if origin == "https://{host}" || origin == "http://{host}" {
		return // the host that was asked, whose pages can read its answers anyway
	}
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && isLoopback(u.Hostname()) && (f.Empty() || isBare(u) && !f.Computed) {
		return
	}
	e := Effect{Kind: KindCORS, Target: origin, Env: f.Env, Computed: f.Computed}
	if !f.Empty() {
		e.Target, e.Resolved = f.Shown, origin
	}
	c.add(e, r, at)
}

// names notes variables in names of hosts.
func (c *effects) names(b *builder, h *hcl.Host) {
	for _, alias := range h.Aliases {
		if f := alias.Flow; !f.Empty() {
			c.add(Effect{Kind: KindHostName, Target: f.Shown, Resolved: alias.Value, Env: f.Env, Computed: f.Computed, alias: alias.Value}, nil, b.source(f.Range))
		}
	}
}

// sharing notes what is told to a relay and its visitors once the project is
// shared.
func (c *effects) sharing(b *builder) {
	note := func(f hcl.Flow) {
		if !f.Empty() {
			c.add(Effect{Kind: KindShare, Target: Public, Env: f.Env, share: true}, nil, b.source(f.Range))
		}
	}
	note(b.file.DomainFlow)
	w := b.file.Share
	if w == nil {
		return
	}
	for _, name := range sortedNames(w.Flows) {
		if carries("share."+name) || w.Flows[name].Computed && (name != "relay" || w.Relays == nil) {
			note(w.Flows[name])
		}
	}
	for _, relay := range w.Relays {
		if isLoopback(relayHost(relay.Value)) {
			if relay.Flow.Computed {
				note(relay.Flow)
			}
			continue
		}
		e := Effect{Kind: KindRelay, Target: relay.Value, share: true}
		if f := relay.Flow; !f.Empty() {
			e.Target, e.Resolved, e.Env = f.Shown, relay.Value, f.Env
		}
		c.add(e, nil, b.source(relay.Range))
	}
}

// widen makes the effects that values of env have by an attribute those of all
// routes that the attribute is about, as a setting is: which routes are withheld
// must not depend on what was computed. It reports whether there are any.
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

// about are the routes that the attributes of a block are about: all of them
// where the block is not known.
func (c *effects) about(b *builder, header hcl.Range, hosts []*Host) []*Route {
	if routes := c.routes[header]; routes != nil || slices.ContainsFunc(b.file.Services, func(s *hcl.Service) bool { return s.Range == header }) {
		return routes // none of a service that no route uses
	}
	var all []*Route
	for _, h := range hosts {
		all = append(all, h.Routes...)
	}
	return all
}

// isBare reports a URL whose scheme and host say nothing but "a web page of this
// machine", so that a value that flows into it can only be its port.
func isBare(u *url.URL) bool {
	_, err := netip.ParseAddr(u.Hostname())
	return (u.Scheme == "http" || u.Scheme == "https") && (err == nil || u.Hostname() == "localhost")
}

func relayHost(relay string) string {
	host, _, err := net.SplitHostPort(relay)
	if err != nil {
		return relay
	}
	return host
}

// rest notes flows into attributes that nothing above knows of, so that an
// attribute that is new does not carry anything out unseen; and the settings that
// decide something and carry nothing.
func (c *effects) rest(b *builder, hosts []*Host) {
	for _, f := range b.file.Flows {
		sink, known := sinks()[f.Attribute]
		switch {
		case !known:
			c.add(Effect{Kind: Kind(f.Attribute), Target: Visitors, Env: f.Env}, nil, b.source(f.Range))
		case !f.Computed || f.Attribute == "domain" || b.file.Share != nil && f.Block == b.file.Share.Range:
			// It is harmless, or is noted above.
		case f.Attribute == "share":
			c.add(Effect{Kind: KindShare, Target: Public, Env: f.Env, share: true}, nil, b.source(f.Range))
		case len(sink.kinds) > 0 && !f.Whole:
			// There is something in it, which is noted above.
		default:
			routes := c.about(b, f.Block, hosts)
			if !f.Bare && c.widen(sink.kinds, f.Env, routes) {
				continue
			}
			for _, r := range routes {
				c.setting(b, r, f.Flow)
			}
		}
	}
	for _, e := range c.all {
		slices.SortFunc(e.Sources, Source.compare)
	}
	slices.SortStableFunc(c.all, func(x, y *Effect) int { return x.first().compare(y.first()) })
}
