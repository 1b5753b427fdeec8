package scaffold

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// javascriptPackage is a folder with a package.json.
type javascriptPackage struct {
	name   string
	folder string
	file   string
	config javascript.Value
	scripts
	depends map[string]string // versions by package
}

// readPackages takes the servers that the scripts of each package.json start.
func (d *discovery) readPackages() {
	d.usesJS = map[string]javascriptPackage{}
	for _, file := range d.named("package.json") {
		config, ok := d.json(file)
		if !ok {
			if len(d.text(file)) > 0 {
				d.notes.add(Note{File: file, Text: "it is not JSON"})
			}
			continue
		}
		d.usesJS[path.Dir(file)] = d.javascriptPackage(file, config)
	}
	for _, file := range d.named("package.json") {
		if p, known := d.usesJS[path.Dir(file)]; known {
			d.readScripts(p)
		}
	}
	for _, file := range d.named("deno.json", "deno.jsonc") {
		config, _ := d.json(file)
		tasks, _ := config.Field("tasks")
		p := javascriptPackage{folder: path.Dir(file), file: file, config: config, scripts: d.scriptsOf(path.Dir(file), tasks), depends: map[string]string{}}
		d.readScripts(p)
	}
}

func (d *discovery) javascriptPackage(file string, config javascript.Value) javascriptPackage {
	folder := path.Dir(file)
	lines, _ := config.Field("scripts")
	p := javascriptPackage{folder: folder, file: file, config: config, scripts: d.scriptsOf(folder, lines), depends: map[string]string{}}
	name, _ := config.Field("name")
	p.name = name.Text
	for _, key := range []string{"dependencies", "devDependencies", "peerDependencies"} {
		list, _ := config.Field(key)
		for _, f := range list.Fields {
			p.depends[f.Name] = f.Value.Text
		}
	}
	// wireit keeps the command lines of scripts in a place of its own.
	wireit, _ := config.Field("wireit")
	for _, f := range wireit.Fields {
		if line, ok := f.Value.Field("command"); ok {
			p.lines[f.Name] = scriptLine{line.Text, line.Line}
		}
	}
	return p
}

func (d *discovery) scriptsOf(folder string, list javascript.Value) scripts {
	s := scripts{lines: map[string]scriptLine{}, env: func(name string) (string, bool) { return d.variable(folder, name) }}
	for _, f := range list.Fields {
		text := f.Value.Text
		if line, ok := f.Value.Field("command"); ok { // deno
			text = line.Text
		}
		for _, item := range f.Value.Items { // composer
			if item.Kind == javascript.String {
				text += " ; " + item.Text
			}
		}
		s.lines[f.Name] = scriptLine{strings.TrimPrefix(text, " ; "), f.Value.Line}
	}
	return s
}

func (p javascriptPackage) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, has := p.depends[name]; return has })
}

// devScripts are the names of scripts that start a dev server, the likeliest
// first.
var devScripts = []string{"dev", "start:dev", "dev:start", "develop", "development", "start:development", "dev-server", "serve:dev", "start:local", "local", "start", "serve", "server", "web", "site", "docs:dev", "docs:start", "docs", "storybook"}

// readScripts takes the servers of the first script that starts one. A workshop
// such as Storybook counts only where nothing else does.
func (d *discovery) readScripts(p javascriptPackage) {
	names := devScripts
	if script := d.scriptOf[p.folder]; script != "" {
		names = []string{script}
	}
	names = append(slices.Clone(names), p.variants()...)
	var workshop []*candidate
	for _, name := range names {
		line, found := p.lines[name]
		if !found || line.text == "" {
			continue
		}
		list := d.started(p.folder, p.file, line.line, p.expand(line.text))
		if len(list) == 0 {
			continue
		}
		if slices.ContainsFunc(list, func(c *candidate) bool { return c.role > tool }) {
			for _, c := range list {
				d.addStarted(c)
			}
			return
		}
		if workshop == nil {
			workshop = list
		}
	}
	for _, c := range workshop {
		d.addStarted(c)
	}
}

// variants are scripts such as dev:web and start:api.
func (p javascriptPackage) variants() []string {
	var out []string
	for _, name := range sortedKeys(p.lines) {
		for _, prefix := range []string{"dev:", "start:", "serve:", "dev-"} {
			rest, ok := strings.CutPrefix(name, prefix)
			if ok && !strings.Contains(rest, "prod") && !strings.Contains(rest, "test") && !strings.Contains(rest, "e2e") {
				out = append(out, name)
			}
		}
	}
	return out
}

// started are the servers that commands start, below folder.
func (d *discovery) started(folder, file string, line int, list []command) []*candidate {
	var out []*candidate
	for _, c := range list {
		p, ok := recognize(c.words)
		if !ok {
			continue
		}
		at := path.Join(folder, c.dir)
		if strings.HasPrefix(at, "..") || !d.has[at] && at != "." {
			at = folder
		}
		made := d.fromCommand(p, c, at)
		if made.file == "" {
			made.file, made.line = file, line
		}
		if made.kind == "" || slices.ContainsFunc(out, func(o *candidate) bool { return o.kind == made.kind && o.folder == made.folder && o.port == made.port }) {
			continue
		}
		out = append(out, made)
	}
	return out
}

// fromCommand is the server that a command starts. Its port is what the command
// says, what the configuration of the program says, or the program's default, in
// this order.
func (d *discovery) fromCommand(p program, c command, folder string) *candidate {
	made := &candidate{folder: folder, kind: p.kind, role: p.role}
	if _, variant, named := strings.Cut(c.script, ":"); named && folder == "." {
		made.label = label(variant)
	}
	if p.kind == "node" {
		made.what = d.nodeTitle(folder, programName(c.words[0]))
	}
	made.set(p.portIn(c), stated, "", 0)
	made.https = p.encrypts(c)
	d.configure(made, c)
	if made.kind == "" {
		return made
	}
	if p.file && p.env != "" {
		if port, file, _ := d.environmentPort(folder, strings.Split(p.env, "|")...); port != 0 {
			e := stated
			if slices.Contains(environmentExamples, path.Base(file)) {
				e = sample
			}
			made.set(port, e, "", 0)
		}
	}
	if !p.undetermined(c) {
		made.set(p.port, standard, "", 0)
	}
	return made
}

// favour marks the servers that the project's own dev script starts in other
// folders: turbo dev --filter=web, npm run dev -w web, nx serve web.
func (d *discovery) favour() {
	own := d.usesJS["."]
	for _, name := range devScripts {
		line, found := own.lines[name]
		if !found {
			continue
		}
		for _, cmd := range commands(line.text, func(string) (string, bool) { return "", false }) {
			for i, w := range cmd.words {
				flag, value, joined := strings.Cut(w, "=")
				if !joined && i+1 < len(cmd.words) {
					value = cmd.words[i+1]
				}
				if !slices.Contains([]string{"--filter", "-F", "-w", "--workspace", "--prefix", "--cwd", "-C", "--dir", "workspace", "--projects", "--project"}, flag) {
					continue
				}
				value = strings.Trim(value, "./{}^*")
				for _, c := range d.candidates {
					c.favoured = c.favoured || c.role == app && value != "" && (c.folder == value || path.Base(c.folder) == value || d.usesJS[c.folder].name == value)
				}
			}
		}
		return
	}
}

// nodeTitle is the framework of a server in JavaScript, or what runs it.
func (d *discovery) nodeTitle(folder, runner string) string {
	for _, name := range []string{"express", "fastify", "koa", "hono", "elysia", "@hapi/hapi", "polka", "@apollo/server", "json-server"} {
		if d.usesJS[folder].has(name) {
			return strings.TrimPrefix(path.Base(name), "@")
		}
	}
	if runner == "bun" || runner == "deno" {
		return runner
	}
	return ""
}

// addStarted adds a candidate, or what it says more to the one of the same
// server.
func (d *discovery) addStarted(c *candidate) {
	for _, have := range d.of(c.folder) {
		if have.kind == c.kind && (have.port == c.port || have.evidence < stated || c.evidence < stated) {
			have.set(c.port, c.evidence, c.file, c.line)
			return
		}
	}
	d.add(c)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// title is what people call a server.
func (c *candidate) title() string {
	if c.what != "" {
		return c.what
	}
	return c.kind
}

// describe is a server in a line of what was found.
func (c *candidate) describe() string {
	what := c.title()
	if what == "" {
		what = c.label
	}
	if what == "" {
		what = "a server"
	}
	switch {
	case c.address != "":
		return fmt.Sprintf("%s at %s", printable(what), c.address)
	case c.port == 0:
		return printable(what)
	}
	return fmt.Sprintf("%s on %d", printable(what), c.port)
}
