package hcl

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// environment is what decoding asks of the world.
type environment struct {
	getenv func(name string) string
	// folder says whether there is something at path, and if it is a folder.
	folder func(path string) (exists, isDir bool)
	// real is where path leads, links followed as far as there is something;
	// nil leaves paths as they are.
	real func(path string) string
	port int // of url(); 0 means the listen block's
}

// decoder fills in a File. Its methods return what they could make of a block
// or an attribute, and add to diags what they could not.
type decoder struct {
	file     *File
	env      environment
	language map[string]kind
	scope    *scope
	diags    Diagnostics
	reported map[Severity]int

	concealed *concealed
	flowed    map[Range]bool // attributes that file.Flows has
	block     Range          // the header of the block whose attributes are read
	exact     bool           // that block is a route of one path

	services map[*block]*Service
	// serviceType is the type of the part of a service's value that leads
	// back to its Service.
	serviceType cty.Type
}

// maxReported bounds how many errors, and how many warnings, are listed: what
// has more is something else under that name, or has one cause.
const maxReported = 200

func (d *decoder) errorf(at Range, detail, format string, args ...any) {
	if d.reported[Error] >= maxReported {
		return
	}
	summary, detail := d.concealed.sentence(at, detail, format, args)
	d.report(Diagnostic{Severity: Error, Summary: summary, Detail: detail, Range: at})
}

func (d *decoder) warnf(at Range, detail, format string, args ...any) {
	if d.reported[Warning] >= maxReported {
		return
	}
	summary, detail := d.concealed.sentence(at, detail, format, args)
	d.report(Diagnostic{Severity: Warning, Summary: summary, Detail: detail, Range: at})
}

func (d *decoder) report(all ...Diagnostic) {
	for _, diag := range all {
		if d.reported[diag.Severity] < maxReported {
			d.diags = append(d.diags, diag)
		}
		d.reported[diag.Severity]++
	}
}

// decode fills file from the texts, of which all after the first are merged
// over it. The diagnostics are sorted, and none is said twice.
func decode(file *File, sources []source, env environment) Diagnostics {
	d := &decoder{file: file, env: env, language: kinds(), reported: map[Severity]int{}, services: map[*block]*Service{}, serviceType: newServiceType(),
		concealed: newConcealed(env.getenv), flowed: map[Range]bool{}}
	root := d.read(sources[0])
	var over []*body
	for _, src := range sources[1:] {
		b := d.read(src)
		over = append(over, b)
		// Hosts wait: what makes a route the same route are values, and
		// those may refer to locals of either file.
		root.merge(&body{attrs: b.attrs, blocks: without(b.blocks, "host"), damaged: b.damaged}, topIdentity)
	}
	d.newScope(root, over)
	for _, b := range over {
		hosts := &body{blocks: only(b.blocks, "host")}
		root.merge(hosts, d.identity)
	}
	d.decodeRoot(root)
	d.check(root)
	file.Mask = d.concealed.mask(file.Hosts)
	d.diags.Sort()
	return slices.CompactFunc(d.diags, func(a, b Diagnostic) bool {
		return a.Range == b.Range && a.Summary == b.Summary
	})
}

// enter has attributes noted as those of b until the function that it returns is
// called.
func (d *decoder) enter(b *block) (leave func()) {
	outer := d.block
	d.block = b.header
	return func() { d.block = outer }
}

func only(blocks []*block, kind string) []*block {
	return slices.DeleteFunc(slices.Clone(blocks), func(b *block) bool { return b.kind != kind })
}

func without(blocks []*block, kind string) []*block {
	return slices.DeleteFunc(slices.Clone(blocks), func(b *block) bool { return b.kind == kind })
}

// read is the body of one file.
func (d *decoder) read(src source) *body {
	t, diags := newText(src)
	where := newFolder(d.file.Dir, d.env.folder)
	diag, other := foreign(t, where)
	var syntax *hclsyntax.Body
	var more Diagnostics
	if !other {
		syntax, more = parse(t)
		diag, other = unlikely(t, where, more)
	}
	if other {
		d.report(diag)
		return &body{attrs: map[string]*attribute{}, damaged: true}
	}
	r := &reader{text: t, language: d.language}
	b := r.body(syntax, d.language[""], d.language[""].name)
	d.report(slices.Concat(diags, more, r.diags)...)
	d.joinLocals(b)
	return b
}

// joinLocals makes one block of all the locals of a file.
func (d *decoder) joinLocals(b *body) {
	var first *block
	b.blocks = slices.DeleteFunc(b.blocks, func(inner *block) bool {
		if inner.kind != "locals" {
			return false
		}
		if first == nil {
			first = inner
			return false
		}
		for _, name := range sortedKeys(inner.body.attrs) {
			attr := inner.body.attrs[name]
			if before := first.body.attrs[name]; before != nil {
				d.errorf(attr.nameRange(), "the first is at "+place(before.nameRange()), "a second local %q", name)
				continue
			}
			first.body.attrs[name] = attr
		}
		return true
	})
}

// newScope makes what expressions refer to, and evaluates all of it, so that
// mistakes in what nothing refers to are found too.
func (d *decoder) newScope(root *body, over []*body) {
	s := &scope{
		d: d, getenv: d.env.getenv, port: d.env.port, meter: &meter{left: maxWork},
		locals: map[string]*node{}, localAttrs: map[string]*attribute{}, services: map[string]*node{}, prepared: map[hclsyntax.Expression]*preparation{},
	}
	d.scope = s
	s.callable = s.functions()
	for _, b := range append([]*body{root}, over...) {
		for _, host := range only(b.blocks, "host") {
			s.hostNames = append(s.hostNames, strings.ToLower(host.label))
		}
	}
	for _, locals := range only(root.blocks, "locals") {
		for name, attr := range locals.body.attrs {
			s.localAttrs[name] = attr
			s.locals[name] = &node{title: "local." + name, at: attr.nameRange(), eval: func() cty.Value { return s.value(attr.Expr, attr.text) }}
		}
	}
	services := only(root.blocks, "service")
	for _, b := range services {
		d.addService(b)
	}
	for _, listen := range only(root.blocks, "listen") {
		d.decodeListen(listen)
	}
	for _, name := range sortedKeys(s.locals) {
		s.demand(s.locals[name], s.locals[name].at)
	}
	for _, b := range services {
		if n := s.services[b.label]; n != nil && n.state == untouched {
			s.demand(n, n.at)
			n.used = false
		}
	}
}

// identity tells the blocks of a host apart: a route is its path, exact and
// match.
func (d *decoder) identity(b *block) string {
	if b.kind != "route" {
		return topIdentity(b)
	}
	defer d.enter(b)()
	before, reported := len(d.diags), maps.Clone(d.reported)
	id := fmt.Sprintf("route %s", b.label)
	for _, name := range []string{"exact", "match"} {
		if attr := b.body.attrs[name]; attr != nil {
			// What it flows into is noted here too: another file may replace it.
			v := d.attribute(attr)
			d.noteFlow(name, v)
			plain, _ := v.UnmarkDeep()
			id += "\n" + identityOf(plain)
		} else {
			id += "\n"
		}
	}
	// What is wrong with these values is said when they are decoded.
	d.diags, d.reported = d.diags[:before], reported
	return id
}

func (d *decoder) decodeRoot(root *body) {
	if attr := root.attrs["domain"]; attr != nil {
		d.decodeDomain(attr)
	}
	for _, b := range only(root.blocks, "service") {
		if service := d.services[b]; service != nil {
			d.file.Services = append(d.file.Services, service)
		}
	}
	for _, b := range only(root.blocks, "host") {
		d.file.Hosts = append(d.file.Hosts, d.decodeHost(b))
	}
	if d.file.Domain == "" {
		d.file.Domain = commonParent(d.file.Hosts)
	}
	for _, b := range only(root.blocks, "share") {
		d.decodeShare(b)
	}
}
