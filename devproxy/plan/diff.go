package plan

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
)

// Changes are the differences between two plans, by the identity of routes.
// That lines have moved is not a change.
type Changes struct {
	Added, Removed []*Route
	Changed        []Change
	// AddedPorts, RemovedPorts and ChangedPorts are tcp and udp blocks.
	AddedPorts, RemovedPorts []*Port
	ChangedPorts             []PortChange
	// AddedNames and RemovedNames are aliases of hosts that are in both plans.
	AddedNames, RemovedNames []string
	// Share is true when what both plans have is shared differently. That closes
	// no connection of a route.
	Share bool
	// several is true when there is more than one host to tell routes apart by.
	several bool
}

// Change is a route that is in both plans and is served differently.
type Change struct {
	Old, New *Route
}

// Diff returns what changes when next replaces old, in the order of the plans. A
// nil plan is empty: with a nil old, everything is added.
func Diff(old, next *Plan) Changes {
	old = cmp.Or(old, &Plan{})
	next = cmp.Or(next, &Plan{})
	id := func(r *Route) string { return r.ID }
	before, after := index(old.routes(), id), index(next.routes(), id)
	var c Changes
	for _, r := range old.routes() {
		if after[r.ID] == nil {
			c.Removed = append(c.Removed, r)
		}
	}
	for _, r := range next.routes() {
		was := before[r.ID]
		switch {
		case was == nil:
			c.Added = append(c.Added, r)
		case len(differences(was, r)) > 0:
			c.Changed = append(c.Changed, Change{was, r})
		}
	}
	name := func(h *Host) string { return h.Name }
	oldHosts, newHosts := index(old.hosts, name), index(next.hosts, name)
	c.several = len(merge(oldHosts, newHosts)) > 1
	c.RemovedNames = missingNames(old, newHosts)
	c.AddedNames = missingNames(next, oldHosts)
	c.diffPorts(old.ports, next.ports)
	c.Share = old.share != nil && next.share != nil && old.share.differs(next.share)
	return c
}

// Empty reports whether nothing differs.
func (c Changes) Empty() bool {
	return !c.Share && len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.AddedNames)+len(c.RemovedNames) == 0 &&
		len(c.AddedPorts)+len(c.RemovedPorts)+len(c.ChangedPorts) == 0
}

// String returns the changes in one line: "/api :3000 -> :3001 · + /docs · - /old".
// Routes are named with their host when there are several hosts. It is empty
// when nothing differs.
func (c Changes) String() string {
	var parts []string
	for _, change := range c.Changed {
		parts = append(parts, c.name(change.New)+" "+strings.Join(differences(change.Old, change.New), ", "))
	}
	for _, change := range c.ChangedPorts {
		parts = append(parts, change.String())
	}
	for _, r := range c.Added {
		parts = append(parts, "+ "+c.name(r))
	}
	for _, p := range c.AddedPorts {
		parts = append(parts, "+ "+p.String())
	}
	for _, name := range c.AddedNames {
		parts = append(parts, "+ "+name)
	}
	for _, r := range c.Removed {
		parts = append(parts, "- "+c.name(r))
	}
	for _, p := range c.RemovedPorts {
		parts = append(parts, "- "+p.String())
	}
	for _, name := range c.RemovedNames {
		parts = append(parts, "- "+name)
	}
	if c.Share {
		parts = append(parts, "share changed")
	}
	return strings.Join(parts, " · ")
}

func (c Changes) name(r *Route) string {
	if c.several {
		return r.Host.Name + r.Label()
	}
	return r.Label()
}

// differences lists how b is served differently from a: ":3000 -> :3001",
// "hold 10s -> 0s", or "NAME changed" where values are long.
func differences(a, b *Route) []string {
	list := answerDifferences(a.Answer, b.Answer)
	before := map[string]namedSetting{}
	for _, s := range a.settings() {
		before[s.name] = s
	}
	for _, s := range b.settings() {
		list = append(list, s.change(before[s.name])...)
		delete(before, s.name)
	}
	for _, name := range sortedNames(before) {
		list = append(list, namedSetting{name: name}.change(before[name])...)
	}
	return list
}

// maxChange is how many characters of two values are worth showing.
const maxChange = 60

// change describes how s differs from its previous value; empty if it does not.
func (s namedSetting) change(was namedSetting) []string {
	if s.text == was.text && reflect.DeepEqual(s.value, was.value) {
		return nil
	}
	if s.text == was.text || len(s.text)+len(was.text) > maxChange {
		return []string{s.name + " changed"}
	}
	return []string{s.name + " " + fromTo(was.text, s.text)}
}

// fromTo shows two values, of which one may be empty.
func fromTo(from, to string) string {
	return cmp.Or(from, "none") + " -> " + cmp.Or(to, "none")
}

// answerDifferences names both answers, or says what differs where their names
// are equal.
func answerDifferences(a, b Answer) []string {
	if sameAnswer(a, b) {
		return nil
	}
	if a.String() != b.String() {
		return []string{fromTo(a.String(), b.String())}
	}
	from, isUpstream := a.(*Upstream)
	to, both := b.(*Upstream)
	if isUpstream && both {
		return upstreamDifferences(from, to)
	}
	return []string{b.String() + " reached differently"}
}

// upstreamDifferences says how two upstreams with equal addresses differ.
func upstreamDifferences(a, b *Upstream) []string {
	var list []string
	if a.Balance != b.Balance {
		list = append(list, "balance "+fromTo(string(a.Balance), string(b.Balance)))
	}
	if !reflect.DeepEqual(a.Health, b.Health) {
		list = append(list, "health changed")
	}
	if from, to := textOf(a.Fallback), textOf(b.Fallback); from != to {
		list = append(list, "fallback "+fromTo(from, to))
	}
	if len(list) == 0 {
		list = append(list, b.Text+" reached differently")
	}
	return list
}

// index maps values by their keys.
func index[V any](values []V, key func(V) string) map[string]V {
	byKey := map[string]V{}
	for _, v := range values {
		byKey[key(v)] = v
	}
	return byKey
}

// missingNames returns the aliases of p's hosts that the same hosts lack in
// other.
func missingNames(p *Plan, other map[string]*Host) []string {
	var missing []string
	for _, h := range p.hosts {
		twin := other[h.Name]
		if twin == nil {
			continue
		}
		for _, alias := range h.Aliases {
			if !slices.Contains(twin.Aliases, alias) {
				missing = append(missing, alias)
			}
		}
	}
	return missing
}
