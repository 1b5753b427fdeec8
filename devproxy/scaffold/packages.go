package scaffold

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// javascriptPackage is a folder with a package.json or a deno.json.
type javascriptPackage struct {
	folder string
	file   string
	config javascript.Value
	scripts
	depends map[string]string // versions by package
}

func (p javascriptPackage) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, has := p.depends[name]; return has })
}

// readPackages adds the servers that the scripts of each package.json start.
func (d *discovery) readPackages() {
	d.packages = map[string]javascriptPackage{}
	var all []javascriptPackage
	for _, file := range d.named("package.json") {
		if config, ok := d.json(file); ok {
			p := d.javascriptPackage(file, config, "scripts")
			all, d.packages[p.folder] = append(all, p), p
		} else if len(d.text(file)) > 0 {
			d.notes.add(Note{File: file, Text: "not valid JSON"})
		}
	}
	for _, file := range d.named("deno.json", "deno.jsonc") {
		config, _ := d.json(file)
		all = append(all, d.javascriptPackage(file, config, "tasks"))
	}
	for _, p := range all {
		d.readScripts(p)
	}
}

func (d *discovery) javascriptPackage(file string, config javascript.Value, key string) javascriptPackage {
	folder := path.Dir(file)
	p := javascriptPackage{
		folder: folder, file: file, config: config,
		scripts: d.scriptsOf(folder, config.At(key)), depends: map[string]string{},
	}
	for _, list := range []string{"dependencies", "devDependencies", "peerDependencies"} {
		for _, f := range config.At(list).Fields {
			p.depends[f.Name] = f.Value.Text
		}
	}
	for _, f := range config.At("wireit").Fields { // wireit keeps the command lines of scripts
		if line, ok := f.Value.Field("command"); ok {
			p.lines[f.Name] = scriptLine{line.Text, line.Line}
		}
	}
	return p
}

func (r *repository) scriptsOf(folder string, list javascript.Value) scripts {
	s := scripts{lines: map[string]scriptLine{}, env: r.lookup(folder)}
	for _, f := range list.Fields {
		lines := []string{f.Value.Text + f.Value.At("command").Text} // deno has objects
		for _, item := range f.Value.Items {                         // composer has lists
			if item.Kind == javascript.String {
				lines = append(lines, item.Text)
			}
		}
		s.lines[f.Name] = scriptLine{strings.TrimPrefix(strings.Join(lines, " ; "), " ; "), f.Value.Line}
	}
	return s
}

// devScripts are the names of scripts that start a dev server, the likeliest
// first.
var devScripts = strings.Fields("dev start:dev dev:start develop development start:development dev-server serve:dev start:local local start serve server web site docs:dev docs:start docs storybook")

// readScripts adds the servers of the first script that starts one. A workshop
// such as Storybook counts only if no other script starts a server.
func (d *discovery) readScripts(p javascriptPackage) {
	names := devScripts
	if script := d.startScripts[p.folder]; script != "" {
		names = []string{script}
	}
	var list []*candidate
	script := ""
	for _, name := range slices.Concat(names, p.variants()) {
		line := p.lines[name]
		started := d.started(p.folder, p.file, line.line, p.expand(line.text))
		serves := slices.ContainsFunc(started, func(c *candidate) bool { return c.role > tool })
		if serves || list == nil {
			list, script = started, name
		}
		if serves {
			break
		}
	}
	d.addStarts(p, script, list)
	for _, c := range list {
		d.addStarted(c)
	}
}

// variants returns the names of scripts such as dev:web and start:api.
func (p javascriptPackage) variants() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.lines)), func(name string) bool {
		return !strings.HasPrefix(name, "dev:") && !strings.HasPrefix(name, "start:") && !strings.HasPrefix(name, "serve:") && !strings.HasPrefix(name, "dev-") ||
			strings.Contains(name, "prod") || strings.Contains(name, "test") || strings.Contains(name, "e2e")
	})
}

// started returns the servers that commands start in folder and below it.
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
		if made.kind != "" && !slices.ContainsFunc(out, func(o *candidate) bool { return o.kind == made.kind && o.folder == made.folder && o.port == made.port }) {
			out = append(out, made)
		}
	}
	return out
}

// fromCommand returns the server that a command starts. Its port comes from the
// command, the configuration of the program, its environment or its default, in
// this order. Its kind is empty if the command does not serve the project itself.
func (d *discovery) fromCommand(p program, c command, folder string) *candidate {
	made := &candidate{folder: folder, kind: p.kind, role: p.role, from: c, program: p}
	if _, variant, named := strings.Cut(c.script, ":"); named && folder == "." {
		made.label = label(variant)
	}
	if p.kind == "node" {
		made.what = d.nodeTitle(folder, programName(c.words[0]))
	}
	made.set(p.portIn(c), stated, "", 0)
	made.https = c.encrypted()
	configReader{d}.configure(made, c)
	if made.kind == "" {
		return made
	}
	if p.file && p.env != "" {
		port, file, _ := d.environmentPort(folder, strings.Split(p.env, "|")...)
		e := stated
		if slices.Contains(environmentExamples, path.Base(file)) {
			e = sample
		}
		made.set(port, e, "", 0)
	}
	if !p.undetermined(c) {
		made.set(p.port, standard, "", 0)
	}
	return made
}

// nodeTitle returns the framework of a server in JavaScript, or what runs it.
func (d *discovery) nodeTitle(folder, runner string) string {
	for _, name := range []string{"express", "fastify", "koa", "hono", "elysia", "@hapi/hapi", "polka", "@apollo/server", "json-server"} {
		if d.packages[folder].has(name) {
			return strings.TrimPrefix(path.Base(name), "@")
		}
	}
	if runner == "bun" || runner == "deno" {
		return runner
	}
	return ""
}

// markFavoured marks the servers that the project's own dev script starts in
// other folders: turbo dev --filter=web, npm run dev -w web, nx serve web.
func (d *discovery) markFavoured() {
	own := d.packages["."]
	i := slices.IndexFunc(devScripts, func(name string) bool { _, found := own.lines[name]; return found })
	if i < 0 {
		return
	}
	for _, cmd := range commands(own.lines[devScripts[i]].text, noVariables) {
		for flag, value := range cmd.options() {
			value = strings.Trim(value, "./{}^*")
			if value == "" || !slices.Contains(favouring, flag) {
				continue
			}
			for _, c := range d.candidates {
				c.favoured = c.favoured || c.role == app && d.isNamed(c.folder, value)
			}
		}
	}
}

// isNamed reports whether name means the package in folder.
func (d *discovery) isNamed(folder, name string) bool {
	return folder == name || path.Base(folder) == name || d.packages[folder].config.At("name").Text == name
}

// favouring are the arguments in front of the name of a package.
var favouring = strings.Fields("--filter -F -w --workspace --prefix --cwd -C --dir workspace --projects --project")
