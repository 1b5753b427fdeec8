package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// decide chooses between the candidates, and gives each that stays a host.
//
//  1. Assets of a backend get no host, nor do containers of what a dev server of
//     this project serves already.
//  2. What has no port gets a note.
//  3. Candidates with the same port are one server.
//  4. What a route of another host leads to has its place.
//  5. One of the rest is the project's own host; the others are named below it.
func (d *discovery) decide() []*host {
	d.dropAssets()
	d.dropCopies()
	d.dropUnknown()
	d.tellProcesses()
	d.mergePorts()
	d.dropSited()
	main := d.pickMain()
	d.dropRouted(main)
	d.tell()
	return d.hosts(main)
}

func (d *discovery) drop(when func(*candidate) bool) {
	d.candidates = slices.DeleteFunc(d.candidates, when)
}

var bundlers = []string{"vite", "webpack", "parcel", "rspack", "rsbuild"}

func (d *discovery) dropAssets() {
	d.drop(func(c *candidate) bool {
		if c.role == assets {
			return true
		}
		if c.entries && d.in(c.folder, "index.html", "src/index.html") == "" && slices.ContainsFunc(d.of(c.folder), func(o *candidate) bool {
			return o != c && o.role >= api && !slices.Contains(bundlers, o.kind)
		}) || c.entries && d.in(c.folder, "index.html", "src/index.html") == "" && slices.ContainsFunc(d.candidates, func(o *candidate) bool {
			return o.role == app && slices.Contains([]string{"python", "ruby", "php", "elixir"}, kindOf(o.kind))
		}) {
			return true // a server of the project's own serves the pages
		}
		if !slices.Contains(bundlers, c.kind) || d.in(c.folder, "index.html", "src/index.html") != "" || c.kind != "vite" && d.in(c.folder, "public/index.html") != "" {
			return false
		}
		return d.backendIn(c.folder) != ""
	})
}

// dropCopies drops containers that hold what a dev server here serves. A
// container with the source mounted into it is that dev server.
func (d *discovery) dropCopies() {
	mounted := map[*candidate]*candidate{}
	d.drop(func(c *candidate) bool {
		if c.role != container || c.fronts < 0 {
			return false
		}
		if c.label == d.project && len(c.mounts) == 0 && slices.ContainsFunc(d.candidates, func(o *candidate) bool { return o.role >= api && o.role != container }) {
			return true // the image of this project
		}
		for _, dev := range d.candidates {
			in := slices.Contains(c.mounts, dev.folder)
			if dev.role < api || dev.role == container || dev.port == c.port || !in && dev.folder != c.context {
				continue
			}
			same := dev.port == c.inside || dev.port == 0
			switch {
			case in && (same || kindOf(dev.kind) == "php" && slices.Contains([]int{80, 8080, 8000}, c.inside)):
				if first := mounted[dev]; first != nil && first.fronts >= c.fronts {
					return false
				}
				mounted[dev] = c
				return true
			case !in && (same && dev.port != 0 || c.context != "." && c.inside == 80 && dev.role == app):
				return true
			}
		}
		return false
	})
	for dev, c := range mounted {
		if dev.evidence < stated || dev.port == c.inside {
			dev.port, dev.https = 0, c.https
			dev.set(c.port, stated, c.file, c.line)
			dev.label = c.label
		}
	}
}

func (d *discovery) dropUnknown() {
	d.drop(func(c *candidate) bool {
		if c.upstream() != "" {
			return false
		}
		d.notes.group("no port found", c.subject())
		return true
	})
}

// tellProcesses names the processes without a port, unless the server of their
// folder is known: then that is what they start.
func (d *discovery) tellProcesses() {
	for _, p := range d.unknown {
		known := len(d.of(p.folder)) > 0
		if path.Base(p.file) == "Procfile" { // it is also that of a platform, which picks the port
			known = known || len(d.candidates) > 0
		}
		if !known {
			d.notes.group("no port found", p.label)
		}
	}
}

// mergePorts makes one of the candidates that have the same port.
func (d *discovery) mergePorts() {
	var kept []*candidate
	for _, c := range d.ranked() {
		i := slices.IndexFunc(kept, func(k *candidate) bool { return k.port != 0 && k.port == c.port })
		if i < 0 {
			kept = append(kept, c)
			continue
		}
		k := kept[i]
		if k.kind != "" && c.kind != "" && k.folder != c.folder && k.role > container && c.role > container && !related(k, c) {
			d.notes.group(fmt.Sprintf("%d is the port of %s; give another one to", c.port, k.place()), c.place())
			continue
		}
		if k.kind == "" {
			k.kind, k.what = c.kind, c.what
		}
		if k.folder == "." && c.role > container && kindOf(c.kind) != c.kind && k.kind != "" && k.folder != c.folder {
			k.folder = c.folder // a workspace names what one of its folders is
		}
		if k.name == "" {
			k.name = c.name
		}
		if k.label == "" && c.role != container {
			k.label = c.label
		}
		k.plainHTTP = k.plainHTTP || c.plainHTTP
		for _, r := range c.routes {
			k.route(r)
		}
	}
	d.candidates = slices.DeleteFunc(d.candidates, func(c *candidate) bool { return !slices.Contains(kept, c) })
}

// related reports whether one candidate's folder is in the other's, so that both
// can be the same server. The project's own folder holds every other one: there
// the language must be the same.
func related(a, b *candidate) bool {
	if !slices.Contains(parents(a.folder), b.folder) && !slices.Contains(parents(b.folder), a.folder) {
		return false
	}
	return a.folder != "." && b.folder != "." || kindOf(a.kind) == kindOf(b.kind) && kindOf(a.kind) != a.kind
}

// place is where a candidate comes from, for a note.
func (c *candidate) place() string {
	if c.folder != "." && c.role != container {
		return c.folder
	}
	return c.file
}

// dropSited drops the candidates that a host which a file names whole serves
// already, and adds to that host what they say more.
func (d *discovery) dropSited() {
	d.drop(func(c *candidate) bool {
		for _, h := range d.sites {
			if h.upstream != "" && h.upstream == c.upstream() {
				if h.what == "" {
					h.what = c.title()
				}
				for _, r := range c.routes {
					h.route(r)
				}
				if c.plainHTTP {
					h.set("forwarded_proto", `"http"`)
				}
				return true
			}
		}
		for _, h := range d.sites {
			h.pass(c)
		}
		return d.routed(c.upstream())
	})
}

// routed reports whether a site forwards something to upstream.
func (d *discovery) routed(upstream string) bool {
	return slices.ContainsFunc(d.sites, func(h *host) bool {
		return slices.Contains(strings.Fields(h.upstream), upstream) || slices.ContainsFunc(h.routes, func(r route) bool { return slices.Contains(strings.Fields(r.upstream), upstream) })
	})
}

// dropRouted drops the candidates that a route of another one leads to.
func (d *discovery) dropRouted(main *candidate) {
	leads := func(from, to *candidate) bool {
		return from != to && slices.ContainsFunc(from.routes, func(r route) bool { return slices.Contains(strings.Fields(r.upstream), to.upstream()) })
	}
	all := slices.Clone(d.candidates)
	d.drop(func(c *candidate) bool {
		if c == main || c.name != "" || !slices.ContainsFunc(all, func(from *candidate) bool { return leads(from, c) }) {
			return false
		}
		for _, from := range all {
			from.pass(c)
		}
		return true
	})
}

// pass gives the routes of b that lead to c what c needs.
func (b *block) pass(c *candidate) {
	for i := range b.routes {
		if c.plainHTTP && b.routes[i].upstream == c.upstream() {
			b.routes[i].set("forwarded_proto", `"http"`)
		}
	}
}

// ranked are the candidates, the likeliest for the project's own host first.
func (d *discovery) ranked() []*candidate {
	list := slices.Clone(d.candidates)
	slices.SortStableFunc(list, func(a, b *candidate) int { return b.rank() - a.rank() })
	return list
}

// rank orders candidates for the project's own host. Dev servers come before
// containers, pages before the rest.
func (c *candidate) rank() int {
	rank := map[role]int{app: 80, api: 45, docs: 25, tool: 5, container: 20}[c.role]
	base := strings.ToLower(path.Base(c.folder))
	switch {
	case c.role == container && c.fronts < 0:
		return -1
	case c.role == container:
		return rank + 8*c.fronts
	case c.folder == "." && c.role == app && (c.label == "" || slices.Contains(frontNames, c.label)):
		rank += 20
	case c.folder == ".":
		rank += 10
	case (c.role == app || c.role == api) && (slices.Contains(frontNames, base) || slices.Contains(frontNames, c.label)):
		rank += 10
	case strings.Contains(base, "storybook"), strings.Contains(base, "example"), strings.Contains(base, "playground"), strings.Contains(base, "demo"):
		rank -= 50
	case strings.Contains(base, "doc") || base == "mobile" || strings.Contains(base, "native"):
		rank -= 30
	case slices.Contains([]string{"admin", "blog", "landing", "marketing", "email", "emails", "cms", "studio", "dashboard", "backoffice"}, base):
		rank -= 15
	}
	if c.kind == "expo" || c.kind == "storybook" {
		rank = max(rank-25, 0) // for phones, for components
	}
	if c.favoured {
		rank += 30
	}
	if c.role == app && slices.ContainsFunc(strings.FieldsFunc(base, func(r rune) bool { return r == '-' || r == '_' || r == '.' }), func(word string) bool {
		return slices.Contains([]string{"api", "server", "backend", "worker", "gateway", "service"}, word)
	}) {
		rank -= 15
	}
	if c.label == "web" || c.label == "app" || c.label == "frontend" {
		rank += 3
	}
	return rank
}

var frontNames = []string{"web", "app", "frontend", "front", "front-end", "client", "www", "site", "website", "ui", "webapp", "web-app", "storefront", "portal", "main"}

// pickMain is the candidate that becomes the project's own host; nil where a
// file names that host, or nothing should be it.
func (d *discovery) pickMain() *candidate {
	own := d.project + suffix
	if slices.ContainsFunc(d.sites, func(h *host) bool { return h.name == own }) {
		return nil
	}
	list := d.ranked()
	for _, c := range list {
		if c.name == own || d.names[c.folder] == own {
			return c
		}
	}
	named := func(c *candidate) bool { return c.name != "" || c.role != container && d.names[c.folder] != "" }
	other := len(d.sites) > 0 || slices.ContainsFunc(list, named)
	for _, c := range list {
		if named(c) || other && c.role != app { // what files name comes before a guess
			continue
		}
		if c.rank() >= 0 || c.role == container && len(list) == 1 && c.label != "mail" {
			return c
		}
	}
	return nil
}

// tell says what was found, once for each candidate that stays.
func (d *discovery) tell() {
	for _, c := range d.candidates {
		text := c.describe()
		for _, r := range c.routes {
			text += fmt.Sprintf(", %q -> %s", r.path, spoken(r.answer()))
		}
		d.say(c.file, text)
	}
}

func spoken(upstream string) string {
	if portOf(upstream) != 0 {
		return "localhost:" + upstream
	}
	return upstream
}

// hosts are the blocks of the Proxyfile: those that files name, then the
// project's own, then the rest by folder and name.
func (d *discovery) hosts(main *candidate) []*host {
	list := slices.Clone(d.sites)
	rest := slices.DeleteFunc(slices.Clone(d.candidates), func(c *candidate) bool { return c == main })
	if main != nil {
		rest = append([]*candidate{main}, rest...)
	}
	taken := map[string]*host{}
	for _, h := range list {
		taken[h.name] = h
		for _, alias := range h.aliases {
			taken[alias] = h
		}
	}
	for _, c := range rest {
		h := &host{what: c.title(), block: c.block, file: c.file, line: c.line}
		h.upstream = c.upstream()
		if c.plainHTTP {
			h.set("forwarded_proto", `"http"`)
		}
		for _, name := range d.namesFor(c, c == main) {
			if h.name = name; taken[name] == nil {
				break
			}
		}
		if first := taken[h.name]; first != nil {
			d.notes.add(Note{h.file, h.line, fmt.Sprintf("a second host %s; the first is in %s", h.name, first.file)})
			continue
		}
		taken[h.name] = h
		list = append(list, h)
	}
	return unique(list, d.notes)
}

// unique drops a second host of the same name.
func unique(list []*host, n *notes) []*host {
	seen := map[string]*host{}
	return slices.DeleteFunc(list, func(h *host) bool {
		if first := seen[h.name]; first != nil {
			n.add(Note{h.file, h.line, fmt.Sprintf("a second host %s; the first is in %s", h.name, first.file)})
			return true
		}
		seen[h.name] = h
		return false
	})
}

// namesFor are the names that a candidate may have, the best first.
func (d *discovery) namesFor(c *candidate, main bool) []string {
	own := d.project + suffix
	if c.name != "" {
		return []string{c.name}
	}
	if name := d.names[c.folder]; name != "" && c.role != container {
		return []string{name}
	}
	if main {
		return []string{own}
	}
	var labels []string
	if c.role == container || c.folder == "." || c.label != "" && c.role == tool {
		if dir := strings.Split(path.Dir(c.file), "/")[0]; c.role == api && c.folder == "." && slices.Contains([]string{"api", "backend", "server"}, dir) {
			labels = append(labels, dir)
		}
		if c.label != d.project && (c.role != api || !slices.Contains(frontNames, c.label)) {
			labels = append(labels, strings.TrimPrefix(c.label, d.project+"-"))
		}
		if c.role == api {
			labels = append(labels, "api")
		}
	} else {
		labels = append(labels, folderLabel(c.folder), c.label, label(strings.ReplaceAll(c.folder, "/", "-")))
	}
	if c.kind != "" {
		labels = append(labels, label(c.title()))
	}
	labels = append(labels, "server-"+strconv.Itoa(c.port))
	var names []string
	for _, l := range labels {
		if l != "" && l+"."+own != own {
			names = append(names, l+"."+own)
		}
	}
	return names
}

func upstreamOf(port int) string { return strconv.Itoa(port) }
