package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// Changes is what differs between two plans, by the identity of routes. Lines
// that moved are no change.
type Changes struct {
	Added, Removed []*Route
	Changed        []Change
	// AddedNames and RemovedNames are aliases of hosts that are in both plans.
	AddedNames, RemovedNames []string
	// Share is true when what both plans have is shared differently. It closes
	// nothing: that is the business of whoever shares.
	Share bool
	// several says that there is more than one host to tell routes apart by.
	several bool
}

// Change is a route that is in both plans and is served differently.
type Change struct {
	Old, New *Route
}

// Diff is what changes when next takes the place of old. Nil plans are empty:
// with a nil old, everything is added. Everything is in the order of the plans.
func Diff(old, next *Plan) Changes {
	before, after := routesByID(old), routesByID(next)
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
	hosts := map[string]bool{}
	oldHosts, newHosts := hostsByName(old, hosts), hostsByName(next, hosts)
	c.several = len(hosts) > 1
	c.RemovedNames = missingNames(old, newHosts)
	c.AddedNames = missingNames(next, oldHosts)
	c.Share = sharesDiffer(old, next)
	return c
}

// Empty reports whether nothing differs.
func (c Changes) Empty() bool {
	return !c.Share && len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.AddedNames)+len(c.RemovedNames) == 0
}

// String is the changes in one line: "/api :3000 -> :3001 · + /docs · - /old".
// Routes are named with their host when there are several hosts. It is empty
// when nothing differs.
func (c Changes) String() string {
	var parts []string
	for _, change := range c.Changed {
		parts = append(parts, c.name(change.New)+" "+strings.Join(differences(change.Old, change.New), ", "))
	}
	for _, r := range c.Added {
		parts = append(parts, "+ "+c.name(r))
	}
	for _, name := range c.AddedNames {
		parts = append(parts, "+ "+name)
	}
	for _, r := range c.Removed {
		parts = append(parts, "- "+c.name(r))
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

// differences says in what b is served differently from a: ":3000 -> :3001",
// "hold 10s -> 0s", or the attribute's name where values are long.
func differences(a, b *Route) []string {
	var list []string
	add := func(differ bool, text string) {
		if differ {
			list = append(list, text)
		}
	}
	list = append(list, answerDifferences(a.Answer, b.Answer)...)
	add(differ(a.TryFiles, b.TryFiles), "try_files "+tryFilesText(a)+" -> "+tryFilesText(b))
	add(a.StripPrefix != b.StripPrefix, "strip_prefix")
	add(a.Rewrite != b.Rewrite, "rewrite")
	add(!slices.Equal(a.RequestHeaders, b.RequestHeaders), "request_headers")
	add(!slices.Equal(a.ResponseHeaders, b.ResponseHeaders), "response_headers")
	add(a.ForwardedHTTP != b.ForwardedHTTP, "forwarded_proto "+a.forwardedProto()+" -> "+b.forwardedProto())
	add(a.Timeout != b.Timeout, "timeout "+fromTo(a.Timeout, b.Timeout))
	add(a.Hold != b.Hold, "hold "+fromTo(a.Hold, b.Hold))
	return append(list, aroundDifferences(a, b)...)
}

// forwardedProto is the setting as it is written.
func (r *Route) forwardedProto() string {
	if r.ForwardedHTTP {
		return string(hcl.ForwardedHTTP)
	}
	return string(hcl.ForwardedHTTPS)
}

// answerDifferences names both answers, or what is different where their names
// are the same.
func answerDifferences(a, b Answer) []string {
	if sameAnswer(a, b) {
		return nil
	}
	if a.String() != b.String() {
		return []string{a.String() + " -> " + b.String()}
	}
	from, isUpstream := a.(*Upstream)
	to, both := b.(*Upstream)
	if isUpstream && both {
		return upstreamDifferences(from, to)
	}
	return []string{b.String() + " reached differently"}
}

func tryFilesText(r *Route) string {
	if r.TryFiles == nil {
		return "none"
	}
	return r.TryFiles.Text
}

func fromTo(a, b time.Duration) string {
	return fmt.Sprintf("%s -> %s", a, b)
}

// sameAnswer compares what answers do; how people write them is no difference.
func sameAnswer(a, b Answer) bool {
	switch a := a.(type) {
	case *Upstream:
		b, ok := b.(*Upstream)
		return ok && a.Key == b.Key
	case *Files:
		b, ok := b.(*Files)
		return ok && a.Dir == b.Dir && a.SPA == b.SPA && a.Within == b.Within
	case *Redirect:
		b, ok := b.(*Redirect)
		return ok && *a == *b
	case *Withheld:
		b, ok := b.(*Withheld)
		return ok && slices.EqualFunc(a.Effects, b.Effects, func(x, y *Effect) bool { return x.Covers(y) && y.Covers(x) })
	case *Respond:
		b, ok := b.(*Respond)
		return ok && a.Status == b.Status && a.Body == b.Body && slices.Equal(a.Headers, b.Headers)
	}
	return false
}

// routes are all routes of a plan, which may be nil, host by host.
func (p *Plan) routes() []*Route {
	if p == nil {
		return nil
	}
	var all []*Route
	for _, h := range p.hosts {
		all = append(all, h.Routes...)
	}
	return all
}

func routesByID(p *Plan) map[string]*Route {
	byID := map[string]*Route{}
	for _, r := range p.routes() {
		byID[r.ID] = r
	}
	return byID
}

// hostsByName indexes the hosts of a plan, which may be nil, and notes their
// names in seen.
func hostsByName(p *Plan, seen map[string]bool) map[string]*Host {
	byName := map[string]*Host{}
	if p == nil {
		return byName
	}
	for _, h := range p.hosts {
		byName[h.Name] = h
		seen[h.Name] = true
	}
	return byName
}

// sharesDiffer compares the shares of the folders that both plans have.
func sharesDiffer(old, next *Plan) bool {
	if old == nil || next == nil {
		return false
	}
	for _, s := range next.shares {
		if i := slices.IndexFunc(old.shares, func(was *Share) bool { return was.Folder == s.Folder }); i >= 0 && old.shares[i].differs(s) {
			return true
		}
	}
	return false
}

// missingNames are the aliases of p's hosts that the same hosts lack in other.
func missingNames(p *Plan, other map[string]*Host) []string {
	if p == nil {
		return nil
	}
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
