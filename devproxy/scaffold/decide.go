package scaffold

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// decision chooses between the candidates.
type decision struct{ *discovery }

// decide gives each candidate that stays a host.
//
//  1. Assets of a backend get no host. Neither do containers that serve what a dev
//     server of this project already serves.
//  2. A candidate without a port becomes a note.
//  3. Candidates with the same port are one server.
//  4. A candidate to which a route of another host leads needs no host.
//  5. One of the rest becomes the project's own host; the others are named below it.
func (d decision) decide() ([]*host, []*startedService) {
	d.noteHotReload()
	d.dropAssets()
	d.dropCopies()
	d.drop(func(c *candidate) bool {
		unknown := c.port == 0 && c.start == nil
		if unknown {
			d.notes.group("no port found", c.subject())
		}
		return unknown
	})
	d.keepPorts()
	d.noteProcesses()
	d.mergePorts()
	d.dropSited()
	main := d.pickMain()
	d.dropRouted(main)
	for _, c := range d.candidates {
		text := c.describe()
		for _, r := range c.routes {
			to := r.answer()
			if portOf(to) != 0 {
				to = "localhost:" + to
			}
			text += fmt.Sprintf(", %q -> %s", r.path, to)
		}
		d.say(c.file, text)
	}
	d.noteStarts()
	return d.hosts(main)
}

// noteHotReload says whose hot reload bypasses devproxy, unless devproxy starts it with
// what helps.
func (d decision) noteHotReload() {
	for _, c := range d.candidates {
		if c.hotReload == nil || c.kind == "create-react-app" && c.start != nil || c.kind == "webpack" && c.start != nil && slices.Contains(c.start.words, portWord) {
			continue
		}
		d.notes.add(*c.hotReload)
	}
}

// noteStarts says which servers devproxy does not start.
func (d decision) noteStarts() {
	for _, c := range d.candidates {
		if c.start == nil && c.role > container && d.commands {
			d.notes.group(cmp.Or(c.why, "no command is known, so start these yourself"), c.subject())
		}
	}
}

var bundlers = []string{"vite", "webpack", "parcel", "rspack", "rsbuild"}

// dropAssets drops bundlers whose pages the project's own server serves.
func (d decision) dropAssets() {
	d.drop(func(c *candidate) bool {
		page := d.in(c.folder, "index.html", "src/index.html") != ""
		bundler := slices.Contains(bundlers, c.kind)
		servesEntries := func(o *candidate) bool {
			return o.folder == c.folder && o != c && o.role >= api && !slices.Contains(bundlers, o.kind) ||
				o.role == app && slices.Contains([]string{"python", "ruby", "php", "elixir"}, language(o.kind))
		}
		switch {
		case c.role == assets, c.entries && !page && d.any(servesEntries):
			d.others = append(d.others, c)
			return true
		case !bundler || page || c.kind != "vite" && d.in(c.folder, "public/index.html") != "":
			return false
		}
		if d.backendIn(c.folder) == "" {
			return false
		}
		d.others = append(d.others, c)
		return true
	})
}

// dropCopies drops containers that serve the same as a dev server here. A
// container with the source mounted into it is that dev server.
func (d decision) dropCopies() {
	mounted := map[*candidate]*candidate{}
	d.drop(func(c *candidate) bool {
		if c.role != container || c.fronts < 0 {
			return false
		}
		if c.label == d.project && len(c.mounts) == 0 && d.any(func(o *candidate) bool { return o.role >= api }) {
			return true // the image of this project
		}
		for _, dev := range d.candidates {
			in := slices.Contains(c.mounts, dev.folder)
			if dev.role < api || dev.port == c.port || !in && dev.folder != c.context {
				continue
			}
			same := dev.port == c.inside || dev.port == 0
			switch {
			case in && (same || language(dev.kind) == "php" && slices.Contains([]int{80, 8080, 8000}, c.inside)):
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
			dev.replace(c.port, stated, c.file, c.line)
			dev.https, dev.label = c.https, c.label
			dev.start, dev.why = nil, "compose starts these"
		}
	}
}

// noteProcesses names the processes without a port. If a server of the same folder
// is known, it is what they start.
func (d decision) noteProcesses() {
	for _, p := range d.unknown {
		platform := path.Base(p.file) == "Procfile" // for which it is often written, and which picks the port
		if len(d.of(p.folder)) == 0 && (!platform || len(d.candidates) == 0) {
			d.notes.group("no port found", p.label)
		}
	}
}

// mergePorts merges the candidates with the same port.
func (d decision) mergePorts() {
	var kept []*candidate
	for _, c := range d.ranked() {
		if i := slices.IndexFunc(kept, func(k *candidate) bool { return k.port == c.port }); i < 0 {
			kept = append(kept, c)
		} else if k := kept[i]; c.port == 0 || differ(k, c) && apart(k, c) {
			kept = append(kept, c)
		} else if differ(k, c) {
			d.notes.group(fmt.Sprintf("%d is already the port of %s; use another port for", c.port, k.place()), c.place())
		} else {
			k.merge(c)
		}
	}
	d.drop(func(c *candidate) bool { return !slices.Contains(kept, c) })
}

// differ reports whether two candidates with one port are different servers.
func differ(k, c *candidate) bool {
	return k.kind != "" && c.kind != "" && k.folder != c.folder && k.role > container && c.role > container && !related(k, c)
}

// merge adds what c says about the same server.
func (k *candidate) merge(c *candidate) {
	if k.kind == "" {
		k.kind, k.what = c.kind, c.what
	}
	if k.folder == "." && c.role > container && language(c.kind) != c.kind && k.kind != "" && k.folder != c.folder {
		k.folder = c.folder // a script of the workspace starts a server in this folder
	}
	k.startWith(c.start)
	k.running, k.keepsPort = k.running || c.running, k.keepsPort || c.keepsPort
	k.name = cmp.Or(k.name, c.name)
	if k.label == "" && c.role != container {
		k.label = c.label
	}
	k.plainHTTP = k.plainHTTP || c.plainHTTP
	for _, r := range c.routes {
		k.addRoute(r)
	}
}

// related reports whether one candidate's folder is in the other's, so that both
// can be the same server. All folders are in the project's own; for that one, the
// languages must be the same too.
func related(a, b *candidate) bool {
	if !slices.Contains(parents(a.folder), b.folder) && !slices.Contains(parents(b.folder), a.folder) {
		return false
	}
	return a.folder != "." && b.folder != "." || language(a.kind) == language(b.kind) && language(a.kind) != a.kind
}

// dropSited drops the candidates that a complete host in a file already serves,
// and adds their settings to that host.
func (d decision) dropSited() {
	d.drop(func(c *candidate) bool {
		for _, h := range d.sites {
			if h.upstream != c.upstream() || c.port == 0 {
				continue
			}
			d.others = append(d.others, c)
			h.what = cmp.Or(h.what, c.title())
			for _, r := range c.routes {
				h.addRoute(r)
			}
			if c.plainHTTP {
				h.set("forwarded_proto", `"http"`)
			}
			return true
		}
		for _, h := range d.sites {
			h.passProto(c)
		}
		if c.port != 0 && d.routed(c.upstream()) {
			d.others = append(d.others, c)
			return true
		}
		return false
	})
}

// routed reports whether a complete host in a file forwards requests to upstream.
func (f *findings) routed(upstream string) bool {
	return slices.ContainsFunc(f.sites, func(h *host) bool { return h.leadsTo(upstream) || h.routesTo(upstream) })
}

// dropRouted drops the candidates to which a route of another one leads.
func (d decision) dropRouted(main *candidate) {
	all := slices.Clone(d.candidates)
	d.drop(func(c *candidate) bool {
		leads := func(from *candidate) bool { return from != c && from.routesTo(c.upstream()) }
		if c == main || c.name != "" || c.port == 0 || !slices.ContainsFunc(all, leads) {
			return false
		}
		for _, from := range all {
			from.passProto(c)
		}
		d.others = append(d.others, c)
		return true
	})
}

// passProto gives the routes of b that lead to c the scheme that c needs.
func (b *block) passProto(c *candidate) {
	for i := range b.routes {
		if c.plainHTTP && b.routes[i].upstream == c.upstream() {
			b.routes[i].set("forwarded_proto", `"http"`)
		}
	}
}

// ranked returns the candidates, the likeliest for the project's own host first.
func (d decision) ranked() []*candidate {
	list := slices.Clone(d.candidates)
	slices.SortStableFunc(list, func(a, b *candidate) int { return b.rank() - a.rank() })
	return list
}

var (
	frontNames = strings.Fields("web app frontend front front-end client www site website ui webapp web-app storefront portal main")
	apiWords   = strings.Fields("api server backend worker gateway service")
	// These are folders of servers that are rarely the project's own host, the
	// least likely first.
	exampleFolder = regexp.MustCompile(`storybook|example|playground|demo`)
	extraFolder   = regexp.MustCompile(`doc|native|^mobile$`)
	sideFolder    = regexp.MustCompile(`^(admin|blog|landing|marketing|emails?|cms|studio|dashboard|backoffice)$`)
)

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
	case c.folder == ".", (c.role == app || c.role == api) && (slices.Contains(frontNames, base) || slices.Contains(frontNames, c.label)):
		rank += 10
	case exampleFolder.MatchString(base):
		rank -= 50
	case extraFolder.MatchString(base):
		rank -= 30
	case sideFolder.MatchString(base):
		rank -= 15
	}
	if c.kind == "expo" || c.kind == "storybook" {
		rank = max(rank-25, 0) // for phones, for components
	}
	if c.favoured {
		rank += 30
	}
	if c.role == app && slices.ContainsFunc(nameWords(base), func(word string) bool { return slices.Contains(apiWords, word) }) {
		rank -= 15
	}
	if c.label == "web" || c.label == "app" || c.label == "frontend" {
		rank += 3
	}
	return rank
}

// pickMain returns the candidate that becomes the project's own host; nil if a file
// names that host, or no candidate should be it.
func (d decision) pickMain() *candidate {
	own := d.project + suffix
	if slices.ContainsFunc(d.sites, func(h *host) bool { return h.name == own }) {
		return nil
	}
	list := d.ranked()
	for _, c := range list {
		if c.name == own || d.hostNames[c.folder] == own {
			return c
		}
	}
	named := func(c *candidate) bool {
		return c.name != "" || c.role != container && d.hostNames[c.folder] != ""
	}
	other := len(d.sites) > 0 || slices.ContainsFunc(list, named)
	for _, c := range list {
		if named(c) || other && c.role != app { // a name in a file comes before a guess
			continue
		}
		if c.rank() >= 0 || c.role == container && len(list) == 1 && c.label != "mail" {
			return c
		}
	}
	return nil
}

// hosts returns the blocks of the Proxyfile: hosts that files name, then the
// project's own, then the rest.
func (d decision) hosts(main *candidate) ([]*host, []*startedService) {
	var list []*host
	startedBy := map[*host]*candidate{}
	taken := map[string]*host{}
	add := func(h *host) {
		if first := taken[h.name]; first != nil {
			d.notes.add(Note{h.file, h.line, fmt.Sprintf("a second host %s; the first is in %s", h.name, first.file)})
			return
		}
		for _, name := range append([]string{h.name}, h.aliases...) {
			taken[name] = h
		}
		list = append(list, h)
	}
	for _, h := range d.sites {
		add(h)
	}
	rest := slices.DeleteFunc(slices.Clone(d.candidates), func(c *candidate) bool { return c == main })
	if main != nil {
		rest = append([]*candidate{main}, rest...)
	}
	for _, c := range rest {
		h := &host{what: c.title(), block: c.block, file: c.file, line: c.line}
		h.upstream = c.upstream()
		if c.plainHTTP {
			h.set("forwarded_proto", `"http"`)
		}
		for _, h.name = range d.namesFor(c, c == main) {
			if taken[h.name] == nil {
				break
			}
		}
		startedBy[h] = c
		add(h)
	}
	return list, d.services(list, startedBy)
}

// namesFor returns the names that a candidate can have, the best first.
func (d decision) namesFor(c *candidate, main bool) []string {
	own := d.project + suffix
	switch assigned := d.hostNames[c.folder]; {
	case c.name != "":
		return []string{c.name}
	case assigned != "" && c.role != container:
		return []string{assigned}
	case main:
		return []string{own}
	}
	var labels []string
	if c.role == container || c.folder == "." || c.label != "" && c.role == tool {
		if dir, _, _ := strings.Cut(path.Dir(c.file), "/"); c.role == api && c.folder == "." && slices.Contains([]string{"api", "backend", "server"}, dir) {
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
	if c.port != 0 {
		labels = append(labels, "server-"+strconv.Itoa(c.port))
	}
	labels = append(labels, "server")
	var names []string
	for _, l := range labels {
		if l != "" {
			names = append(names, l+"."+own)
		}
	}
	return names
}
