package plan

import "slices"

// Withheld is the answer of a route that the user has not allowed: a page that
// says so.
type Withheld struct {
	// Effects are those that the user has not allowed, never empty.
	Effects []*Effect
}

func (w *Withheld) String() string { return "needs consent" }

func (*Withheld) answer() {}

// Withhold returns p without the effects that denied reports: routes that have one
// answer with Withheld and do nothing else, and aliases that are made of one are
// left out. Effects of shares alone stay: the user is asked about them when they
// share. It returns p itself when nothing is denied.
func (p *Plan) Withhold(denied func(*Effect) bool) *Plan {
	var gone []*Effect
	for _, e := range p.effects {
		if !e.share && denied(e) {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return p
	}
	rest := &Plan{shares: p.shares, mask: p.mask}
	for _, e := range p.effects {
		if !slices.Contains(gone, e) {
			rest.effects = append(rest.effects, e)
		}
	}
	for _, h := range p.hosts {
		rest.hosts = append(rest.hosts, h.withhold(gone))
	}
	rest.table = newTable(rest.hosts)
	return rest
}

func (h *Host) withhold(gone []*Effect) *Host {
	host := *h
	hidden := func(alias string) bool {
		return slices.ContainsFunc(gone, func(e *Effect) bool { return e.alias != "" && e.alias == alias })
	}
	host.Aliases = slices.DeleteFunc(slices.Clone(h.Aliases), hidden)
	host.names = slices.DeleteFunc(slices.Clone(h.names), func(n name) bool { return n.value != h.Name && hidden(n.value) })
	host.Routes = nil
	for _, r := range h.Routes {
		host.Routes = append(host.Routes, r.withhold(&host, gone))
	}
	slices.SortStableFunc(host.Routes, order)
	host.tree = newTree(host.Routes)
	host.guarded = anyGuarded(host.Routes)
	compareRoutes(host.Routes)
	return &host
}

// withhold is r for host, with Withheld as its answer if it has one of gone, or
// if it is not known which routes do.
func (r *Route) withhold(host *Host, gone []*Effect) *Route {
	next := *r
	next.Host = host
	w := &Withheld{}
	for _, e := range gone {
		if e.routes[r.ID] || len(e.routes) == 0 && e.alias == "" {
			w.Effects = append(w.Effects, e)
		}
	}
	if len(w.Effects) == 0 {
		return &next
	}
	next.Answer, next.TryFiles = w, nil
	next.StripPrefix, next.Rewrite, next.RequestHeaders, next.ResponseHeaders = false, "", nil, nil
	next.CORS, next.Cache, next.Compress, next.Simulate = nil, nil, false, nil
	if slices.ContainsFunc(w.Effects, func(e *Effect) bool { return e.Kind == KindMatch || e.Computed }) {
		// Whether its conditions hold, or somebody gets in, tells what they are
		// made of.
		next.Exact, next.Match = false, Conditions{}
		next.Access, next.RateLimit, next.Users, next.MaxBody = Access{}, nil, nil, 0
	}
	return &next
}
