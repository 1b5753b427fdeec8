package hcl

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// decoder fills in a File.
type decoder struct {
	*scope
	language map[string]kind
}

// decode fills in file from its sources. Those after the first are merged over it.
// The diagnostics are sorted and without duplicates.
func decode(file *File, sources []source, env environment) Diagnostics {
	d := &decoder{scope: newScope(file, env), language: kinds()}
	root := &block{body: d.read(sources[0])}
	var over []*body
	for _, src := range sources[1:] {
		b := d.read(src)
		over = append(over, b)
		// Hosts are merged later: routes are the same if some of their values are
		// equal, and those may refer to locals of either file.
		root.merge(&body{attrs: b.attrs, blocks: b.without("host"), damaged: b.damaged}, topIdentity)
	}
	d.define(root, over)
	for _, b := range over {
		root.merge(&body{blocks: b.only("host")}, d.identity)
	}
	d.decodeRoot(root)
	d.check(root)
	d.move()
	file.Mask = d.secrets.mask(file.Hosts)
	d.diags.Sort()
	return slices.CompactFunc(d.diags, func(a, b Diagnostic) bool {
		return a.Range == b.Range && a.Summary == b.Summary
	})
}

// read parses one file.
func (d *decoder) read(src source) *body {
	t, syntax, diags := src.read(newFolder(d.file.Dir, d.env.folder), false)
	d.report(diags...)
	if syntax == nil {
		return &body{attrs: map[string]*attribute{}, damaged: true}
	}
	r := &reader{reporter: d.reporter, text: t, language: d.language}
	b := r.body(syntax, d.language[""], d.language[""].name)
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
		for _, name := range sortedKeys(inner.attrs) {
			attr := inner.attrs[name]
			if before := first.attrs[name]; before != nil {
				d.at(attr.nameRange()).errorf("the first one is at "+before.nameRange().line(), "duplicate local %q", name)
				continue
			}
			first.attrs[name] = attr
		}
		return true
	})
}

// define fills in the values that expressions refer to. It evaluates all of
// them, so that mistakes in unused values are found too.
func (d *decoder) define(root *block, over []*body) {
	for _, b := range append([]*body{root.body}, over...) {
		for _, host := range b.only("host") {
			d.hostNames = append(d.hostNames, strings.ToLower(host.label))
			d.noteOrigin(host)
		}
	}
	for _, locals := range root.only("locals") {
		for name, attr := range locals.attrs {
			d.locals[name] = &node{
				title: "local." + name, at: attr.nameRange(), attr: attr,
				eval: func() cty.Value { return d.value(attr.Expr, attr.text) },
			}
		}
	}
	services := root.only("service")
	for _, b := range services {
		d.addService(b)
	}
	for _, b := range append(root.only(string(TCP)), root.only(string(UDP))...) {
		d.addPort(b)
	}
	for _, listen := range root.only("listen") {
		d.decodeListen(listen)
	}
	// Before anything calls url().
	d.relocate(root)
	for _, name := range sortedKeys(d.locals) {
		d.demand(d.locals[name], d.locals[name].at)
	}
	for _, b := range services {
		if n := d.services[b.label]; n != nil && n.state == untouched {
			d.demand(n, n.at)
			n.used = false
		}
	}
	d.decodePorts(root)
}

// identity identifies the blocks inside hosts: a route is its path, exact and
// match.
func (d *decoder) identity(b *block) string {
	if b.kind != "route" {
		return topIdentity(b)
	}
	before, reported := len(d.diags), maps.Clone(d.reported)
	id := fmt.Sprintf("route %s", b.label)
	for _, name := range []string{"exact", "match"} {
		id += "\n"
		if b.attrs[name] != nil {
			// This notes its flow too, because another file may replace the attribute.
			f, _ := d.get(b, name)
			plain, _ := f.UnmarkDeep()
			id += identityOf(plain)
		}
	}
	// Mistakes in these values are reported when they are decoded.
	d.diags, d.reported = d.diags[:before], reported
	return id
}

func (d *decoder) decodeRoot(root *block) {
	for _, b := range root.only("host") {
		d.file.Hosts = append(d.file.Hosts, d.decodeHost(b))
	}
	d.file.Domain = cmp.Or(d.file.Domain, commonParent(mapped(d.file.Hosts, func(h *Host) string { return h.Name.Value })))
	for _, b := range root.only("share") {
		d.decodeShare(b)
	}
	d.decodeDiscover(root)
}

// noteOrigin notes that a host leads to a service, if its upstream is one. The values of
// services may depend on it, so it reads the expression and does not evaluate it.
func (d *decoder) noteOrigin(host *block) {
	if strings.Contains(host.label, "*") {
		return
	}
	for _, b := range append([]*block{host}, host.only("route")...) {
		attr := b.attrs["upstream"]
		if attr == nil || b.kind == "route" && (b.label != "/" || b.attrs["match"] != nil) {
			continue
		}
		expr, is := unwrapped(attr.Expr).(*hclsyntax.ScopeTraversalExpr)
		if !is || expr.Traversal.RootName() != "service" || len(expr.Traversal) != 2 {
			continue
		}
		if name, _, named := member(expr.Traversal); named && d.origins[name] == "" {
			d.origins[name] = strings.ToLower(host.label)
		}
	}
}

func listenEntries() []entry[Listen] {
	return []entry[Listen]{
		{name: "https", decode: func(f field, l *Listen) { l.HTTPS = decodeListenAddress(f) }},
		{name: "http", decode: func(f field, l *Listen) { l.HTTP = decodeListenAddress(f) }},
		{name: "redirect", decode: func(f field, l *Listen) {
			redirect := f.boolean()
			l.ServePlain = redirect != nil && !*redirect
		}},
	}
}

func (d *decoder) decodeListen(b *block) {
	listen := &d.file.Listen
	if listen.Range.File != "" {
		d.at(b.header).errorf("the first one is at "+listen.Range.line(), "duplicate listen block")
		return
	}
	listen.Range = b.header
	decodeBlock(d.scope, b, listenEntries(), listen)
	for _, name := range sortedKeys(b.attrs) {
		// A port is bound before there is anything to withhold.
		if f, _ := d.get(b, name); f.known() && f.computed {
			detail := `write env("NAME", "8443") and nothing else, or use --` + name
			if name == "redirect" {
				detail = "write true or false"
			}
			f.errorf(detail, "%s must not be computed from an environment variable", name)
		}
	}
	if d.env.port == 0 {
		digits := listen.HTTPS[strings.LastIndexByte(listen.HTTPS, ':')+1:]
		d.env.port, _ = strconv.Atoi(digits)
	}
}

// decodeListenAddress decodes a port, ":PORT" or "ADDRESS:PORT"; "" for a mistake.
func decodeListenAddress(f field) string {
	const example = `write a port like 8443, or "127.0.0.1:8443"`
	if !f.known() {
		return ""
	}
	var text string
	if n, ok := integer(f.Value); ok {
		text = strconv.Itoa(n)
	} else if f.Type() == cty.String {
		text = f.AsString()
	} else {
		f.errorf(example, "%s must be a port or an address", f.name)
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = "", text
	}
	n, _ := strconv.ParseUint(port, 10, 32)
	ip, _ := netip.ParseAddr(host)
	if !f.place().passes(
		when(!allDigits.MatchString(port), example, "%q is not a valid address to listen on", text),
		when(n > 65535, "write a number from 1 to 65535, or 0 for any free port", "port %s is out of range", port),
		when(host != "" && host != "localhost" && !ip.IsLoopback(),
			suggest(":"+port)+"; to give others access, use devproxy share", "devproxy listens on loopback addresses only"),
	) {
		return ""
	}
	return text
}

// check checks the file as a whole.
func (d *decoder) check(root *block) {
	d.findSecondNames()
	d.checkPorts()
	d.checkDependencies()
	if len(d.file.Hosts) == 0 && (d.file.Discover == "" || d.file.Domain == "") && !root.damaged && !d.diags.HasErrors() {
		d.reportNoHost()
	}
	if d.diags.HasErrors() {
		return
	}
	for _, service := range d.file.Services {
		switch n := d.services[service.Name]; {
		case n == nil || n.used:
		case service.Command == nil:
			d.at(service.Range).warnf("write upstream = service."+service.Name+" in a host or route", "service %q is not used", service.Name)
		case !service.Command.needsPort():
			service.Command.Port = 0
		}
	}
}

func (d *decoder) reportNoHost() {
	name := "Proxyfile"
	if names := sortedKeys(d.file.Sources); len(names) > 0 {
		name = names[0]
	}
	at := d.at(Range{File: name})
	if d.file.Discover != "" {
		d.at(d.file.DiscoverRange).errorf(`add domain = "shop.localhost", below which containers get their hosts; or host "shop.localhost" { upstream = 5173 }`, "%s has no host and no domain", name)
		return
	}
	if isBlank(d.file.Sources[name]) {
		at.errorf("write "+smallestFor(newFolder(d.file.Dir, nil))+"; or delete the file and run devproxy init", "%s is empty", name)
		return
	}
	at.errorf(`write host "shop.localhost" { upstream = 5173 }`, "%s has no host", name)
}

// findSecondNames reports names that two hosts have, as a name or an alias.
func (d *decoder) findSecondNames() {
	first := map[string]Name{}
	claim := func(what string, name Name) {
		if name.Value == "" {
			return
		}
		if before, taken := first[name.Value]; taken {
			d.at(name.Range).errorf("the first one is at "+before.Range.line(), "duplicate %s %q", what, name.Value)
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
