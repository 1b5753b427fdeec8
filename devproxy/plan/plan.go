// Package plan turns a checked Proxyfile into an immutable plan and finds the
// route of a request. It does no I/O and holds no lock: a plan is built,
// matched and compared.
package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/devproxy/devproxy/hcl"
)

// Plan lists the hosts that devproxy serves and their routes, with everything
// inherited filled in. Plans are immutable and safe for concurrent use.
type Plan struct {
	hosts []*Host
	table table
	share *Share // nil in a plan that Build has not made
	// services are those that have a command.
	services []*Service
	ports    []*Port
	withheld []*Port
	notes    []Note

	effects    []*Effect
	mask       *hcl.Mask
	relocation *Relocation
}

// Relocation is where the hosts of a linked worktree move.
type Relocation = hcl.Relocation

// Relocation returns where the hosts have moved in a linked worktree; nil if they
// have not.
func (p *Plan) Relocation() *Relocation {
	if p == nil {
		return nil
	}
	return p.relocation
}

// Hosts returns the plan's hosts in the order of the file. The caller must not
// change them.
func (p *Plan) Hosts() []*Host { return p.hosts }

// routes returns all routes, host by host.
func (p *Plan) routes() []*Route {
	var all []*Route
	for _, h := range p.hosts {
		all = append(all, h.Routes...)
	}
	return all
}

// Mask returns the mask that removes values of the environment from texts that
// are shown. It may be nil, which removes nothing.
func (p *Plan) Mask() *hcl.Mask {
	if p == nil {
		return nil
	}
	return p.mask
}

// Host is one host of a plan.
type Host struct {
	Name    string   // "shop.localhost" or "*.tenant.shop.localhost"
	Aliases []string // more names of the same form
	// Folder is the folder of the Proxyfile that has the host.
	Folder string
	// Routes are in the order in which they are tried: the longest path first,
	// fewer stars before more, exact before prefix, more conditions before fewer.
	Routes []*Route
	Source Source

	// Labelled is true for a host that only the labels of containers name. Its Source is
	// the line with discover.
	Labelled bool

	sources map[string]Source // where Name and each of Aliases is written first
	tree    tree              // of Routes
	guarded bool              // whether any of Routes is
	folded  tree              // of Routes without the case of their paths; only if guarded
	cased   bool              // whether a path of Routes has a letter that folding changes
}

// names returns Name and Aliases.
func (h *Host) names() []string { return append([]string{h.Name}, h.Aliases...) }

// arrange sorts the routes of h and prepares it for matching.
func (h *Host) arrange() {
	slices.SortStableFunc(h.Routes, order)
	h.tree = newTree(h.Routes)
	h.guarded = slices.ContainsFunc(h.Routes, (*Route).guarded)
	compareRoutes(h.Routes)
	h.fold()
}

// Source is a line of a Proxyfile, as error pages quote it.
type Source struct {
	File string // as people know it: "Proxyfile"
	Line int    // from 1; 0 means not written in a file
	Text string // the line without surrounding white space
}

// String returns the place as editors take it: "Proxyfile:3". It is empty for a
// value that is not written in a file.
func (s Source) String() string {
	if s.Line == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d", s.File, s.Line)
}

func (s Source) compare(other Source) int {
	return cmp.Or(cmp.Compare(s.File, other.File), cmp.Compare(s.Line, other.Line))
}

// sourceOf quotes the line that r begins on.
func sourceOf(file *hcl.File, r hcl.Range) Source {
	if r.Start.Line == 0 {
		return Source{File: r.File}
	}
	src := file.Sources[r.File]
	at := min(r.Start.Byte, len(src))
	line := src[bytes.LastIndexByte(src[:at], '\n')+1:]
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return Source{File: r.File, Line: r.Start.Line, Text: string(bytes.TrimSpace(line))}
}

// Env has the inputs of a plan other than its file.
type Env struct {
	// Bound are the addresses that devproxy listens on. An upstream with one of
	// them is a loop, which is an error.
	Bound []netip.AddrPort
	// CheckShow reports whether an entry of `share { show = […] }` shows
	// something that a share hides. If it does not, near is the entry that was
	// probably meant. A nil CheckShow accepts every entry.
	CheckShow func(entry string) (near string, ok bool)
	// Root is the project's folder, with links resolved. Everything below it is
	// inside the project. Empty means the folder of the Proxyfile.
	Root string
	// Containers are those of the project; nil until they are known.
	Containers *Containers
	// Taken are names that labels must not use, since another project has them, each
	// with the reason as a person is told.
	Taken map[string]string
}

// Build makes the plan of a checked file. Its diagnostics are those that only
// the plan shows: upstreams that are devproxy itself, redirects that loop,
// routes that can never match. A plan with errors is complete, so that it can be
// looked at, but must not be served. Equal files and environments make equal
// plans.
func Build(file *hcl.File, env Env) (*Plan, hcl.Diagnostics) {
	p, diags := buildFrom(file, env, true)
	if len(p.labelledRoutes()) == 0 || !diags.HasErrors() {
		return p, withoutLabels(diags, file)
	}
	// Labels must not break the plan of the file.
	without, rest := buildFrom(file, env, false)
	if !rest.HasErrors() {
		without.notes = append(without.notes, Note{Text: "labels are not used: " + firstError(diags)})
	}
	return without, rest
}

// buildFrom is Build. Labels of containers are used only with labels.
func buildFrom(file *hcl.File, env Env, labels bool) (*Plan, hcl.Diagnostics) {
	var found labelled
	if labels {
		found = readLabels(file, env)
		file = found.file
	}
	root := cmp.Or(env.Root, file.RealDir, file.Dir)
	b := builder{file: file, env: env, redirects: map[*Route]hcl.Range{}, effects: newEffects(file, root), labelled: found.services, labelledHosts: found.hosts}
	p := &Plan{notes: found.notes, mask: file.Mask, relocation: file.Relocation, hosts: mapped(file.Hosts, b.host)}
	p.table = newTable(p.hosts)
	b.findLoops(p)
	p.share = b.share()
	p.services = b.services()
	p.ports = b.ports()
	b.sharePorts(p)
	b.effects.commands(p.services)
	b.effects.reachPorts()
	b.effects.shared(p.services)
	b.effects.containers(p.labelledRoutes())
	b.effects.sharing()
	b.effects.rest(p.routes())
	p.effects = b.effects.all
	b.diags.Sort()
	return p, b.diags
}

type builder struct {
	file    *hcl.File
	env     Env
	diags   hcl.Diagnostics
	effects *effects
	// redirects are the routes that redirect, with where that is written.
	redirects map[*Route]hcl.Range
	// labelled are the services that labels of containers make, with their containers;
	// labelledHosts are the hosts.
	labelled      map[*hcl.Service][]Container
	labelledHosts map[*hcl.Host]bool
}

func (b *builder) host(h *hcl.Host) *Host {
	host := &Host{Name: h.Name.Value, Folder: b.file.Dir, Source: b.source(h.Range), Labelled: b.labelledHosts[h]}
	host.sources = map[string]Source{host.Name: b.source(h.Name.Range)}
	for _, alias := range h.Aliases {
		host.Aliases = append(host.Aliases, alias.Value)
		if _, again := host.sources[alias.Value]; !again {
			host.sources[alias.Value] = b.source(alias.Range)
		}
	}

	var written []*hcl.Route
	if own := answerRange(&h.Settings); own != nil {
		written = append(written, &hcl.Route{Path: "/", PathRange: *own})
	}
	ranges := map[*Route]hcl.Range{}
	for _, w := range append(written, h.Routes...) {
		if r := b.route(host, h, w); r != nil {
			host.Routes = append(host.Routes, r)
			ranges[r] = w.PathRange
		}
	}
	b.findDuplicates(host, ranges)
	host.arrange()
	b.findUnreachable(host, ranges)
	b.findOverlaps(host, ranges)
	b.effects.routes[h.Range] = host.Routes
	b.effects.names(h)
	return host
}

func (b *builder) source(r hcl.Range) Source { return sourceOf(b.file, r) }

// errorf adds an error, once: a service that several routes use is wrong once.
func (b *builder) errorf(at hcl.Range, detail, format string, args ...any) {
	b.diagnose(hcl.Error, at, detail, format, args...)
}

// warnf adds a warning, once, since a host's attribute applies to several
// routes.
func (b *builder) warnf(at hcl.Range, detail, format string, args ...any) {
	b.diagnose(hcl.Warning, at, detail, format, args...)
}

func (b *builder) diagnose(severity hcl.Severity, at hcl.Range, detail, format string, args ...any) {
	summary := b.file.Mask.Text(fmt.Sprintf(format, args...))
	d := hcl.Diagnostic{Severity: severity, Summary: summary, Detail: b.file.Mask.Text(detail), Range: at}
	if !slices.Contains(b.diags, d) {
		b.diags = append(b.diags, d)
	}
}
