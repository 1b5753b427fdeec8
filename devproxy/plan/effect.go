package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Effect is something that serving a plan does outside its project, or with
// values of the environment. It does not depend on where in the file it is
// written.
type Effect struct {
	Kind Kind
	// Target is the reached target, in canonical form and as it may be shown:
	// the real path of a folder or socket, "https://api.example.com" of an
	// upstream. Values of the environment are in it by name. See Here and
	// Visitors.
	Target string
	// Resolved is Target with the values, if variables are in Target itself; else
	// empty. It is part of the effect's identity, and must not be shown or stored.
	Resolved string
	// Env are the names of the variables whose values leave, sorted.
	Env []string
	// Within are targets of wider effects: consent to one of them is consent to this one.
	Within []string
	// Computed reports whether a value of the environment decides which effect
	// this is, or whether there is one. A page for clients must not name it then.
	Computed bool
	// Sources are lines that cause it, sorted.
	Sources []Source

	routes map[string]bool // by Route.ID
	alias  string          // the host name that it is about; empty for none
	share  bool            // only when the project is shared
	// commands are the services whose command it is, by name.
	commands map[string]bool
	// ports are those that have it, by Port.String.
	ports map[string]bool
	// engine is true for KindContainers, which is about its routes only.
	engine bool
}

// Kind is the way in which an effect reaches outside.
type Kind string

// The kinds of effects.
const (
	KindFiles          Kind = "files"           // a folder outside the project is served
	KindCommand        Kind = "command"         // a command is run
	KindContainers     Kind = "containers"      // the API of a container engine is read
	KindSocket         Kind = "unix socket"     // a unix socket outside the project is connected to
	KindUpstream       Kind = "upstream"        // another machine is connected to
	KindCORS           Kind = "cors"            // pages of another origin may read responses
	KindHostName       Kind = "host name"       // values are in host names
	KindRedirect       Kind = "redirect"        // values are in a redirect
	KindRespond        Kind = "respond"         // values are in a fixed answer
	KindRequestHeader  Kind = "request header"  // values are sent to an upstream
	KindResponseHeader Kind = "response header" // values are sent to clients
	KindHealth         Kind = "health"          // values are in a health check
	KindRewrite        Kind = "rewrite"         // values are in forwarded paths
	KindMatch          Kind = "match"           // clients can find values by trying
	KindSetting        Kind = "setting"         // clients can find out the value that a setting was computed from
	KindShare          Kind = "share"           // values are in a share's public settings
	KindRelay          Kind = "relay"           // a relay that only the Proxyfile names gets the traffic of shares
	KindPort           Kind = "share port"      // visitors of a share may connect to a server that does not speak HTTP
)

// Targets other than addresses.
const (
	// Here is any upstream on this machine that is not outside the project.
	Here = "this machine"
	// Visitors are all clients of the plan's hosts.
	Visitors = "visitors"
	// Public means the relay of a share, and everyone who has the link.
	Public = "the relay and visitors"
)

// String returns the effect as one line: "redirect https://example.com with $TOKEN".
func (e *Effect) String() string {
	return string(e.Kind) + " " + e.Reach()
}

// Reach returns the target and the variables: "https://example.com with $TOKEN".
func (e *Effect) Reach() string {
	if len(e.Env) == 0 {
		return e.Target
	}
	names := make([]string, len(e.Env))
	for i, name := range e.Env {
		if !variable.MatchString(name) {
			name = strconv.Quote(name) // env() accepts any text
		}
		names[i] = "$" + name
	}
	return e.Target + " with " + strings.Join(names, ", ")
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Actual is Target with the values of variables in it. It must not be shown or stored.
func (e *Effect) Actual() string { return cmp.Or(e.Resolved, e.Target) }

// first returns the first line that causes e.
func (e *Effect) first() Source {
	if len(e.Sources) == 0 {
		return Source{}
	}
	return e.Sources[0]
}

// ShareOnly reports whether e happens only when the project is shared.
func (e *Effect) ShareOnly() bool { return e.share }

// Covers reports whether consent to e is consent to other: the same effect or a wider
// one, with at most the same variables. What Resolved is made of does not matter.
func (e *Effect) Covers(other *Effect) bool {
	return e.Kind == other.Kind && e.Resolved == other.Resolved &&
		(e.Resolved != "" || e.Target == other.Target || slices.Contains(other.Within, e.Target)) &&
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

// Withhold returns p without the effects that denied reports. A route with such
// an effect has the answer Withheld and does nothing else; such an alias,
// service or port is left out. Effects of shares stay: the user is asked about them when sharing. It
// returns p itself when nothing is denied.
func (p *Plan) Withhold(denied func(*Effect) bool) *Plan {
	rest := &Plan{share: p.share, mask: p.mask, relocation: p.relocation, notes: p.notes}
	var gone []*Effect
	for _, e := range p.effects {
		if !e.share && denied(e) {
			gone = append(gone, e)
		} else {
			rest.effects = append(rest.effects, e)
		}
	}
	if len(gone) == 0 {
		return p
	}
	rest.services = slices.DeleteFunc(slices.Clone(p.services), func(s *Service) bool {
		return slices.ContainsFunc(gone, func(e *Effect) bool { return e.commands[s.Name] })
	})
	rest.withholdPorts(p, gone)
	rest.hosts = mapped(p.hosts, func(h *Host) *Host { return h.withhold(gone) })
	rest.table = newTable(rest.hosts)
	return rest
}

func (h *Host) withhold(gone []*Effect) *Host {
	host := *h
	hidden := func(alias string) bool {
		return slices.ContainsFunc(gone, func(e *Effect) bool { return e.alias != "" && e.alias == alias })
	}
	host.Aliases = slices.DeleteFunc(slices.Clone(h.Aliases), hidden)
	host.Routes = mapped(h.Routes, func(r *Route) *Route { return r.withhold(&host, gone) })
	host.arrange()
	return &host
}

// withhold returns r for host, with Withheld as its answer if it has one of the
// effects in gone. An effect of unknown routes counts for every route.
func (r *Route) withhold(host *Host, gone []*Effect) *Route {
	next := *r
	next.Host = host
	w := &Withheld{}
	for _, e := range gone {
		if e.routes[r.ID] || len(e.routes) == 0 && e.alias == "" && e.commands == nil && e.ports == nil && !e.engine {
			w.Effects = append(w.Effects, e)
		}
	}
	if len(w.Effects) == 0 {
		return &next
	}
	next.Answer, next.TryFiles = w, nil
	next.StripPrefix, next.Rewrite, next.RequestHeaders, next.ResponseHeaders = false, "", nil, nil
	next.Around = slices.DeleteFunc(slices.Clone(r.Around), func(s Setting) bool { return !admits(s) })
	if slices.ContainsFunc(w.Effects, func(e *Effect) bool { return e.Kind == KindMatch || e.Computed }) {
		// Whether its conditions are met, or which clients get in, reveals the
		// values in them.
		next.Exact, next.Match, next.Around = false, Conditions{}, nil
	}
	return &next
}

// isPublic reports whether visitors or the relay learn an attribute of the share
// block. The relay itself is an effect of its own kind.
func isPublic(attribute string) bool {
	return !slices.Contains([]string{"allow", "expires", "show", "password", "relay"}, attribute)
}

// id tells effects apart while they are collected.
func (e *Effect) id() string {
	return fmt.Sprintf("%q %q %q %t", e.Kind, e.Actual(), e.Env, e.share)
}
