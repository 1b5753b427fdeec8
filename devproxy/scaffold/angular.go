package scaffold

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// readAngular reads the project of angular.json that a command serves.
func (d configReader) readAngular(c *candidate, from command) {
	if named := from.option("--proxy-config", "--proxyConfig"); named != "" {
		d.readProxyConfig(c, path.Join(c.folder, "package.json"), javascript.Value{Kind: javascript.String, Text: named})
	}
	file := d.in(c.folder, "angular.json", ".angular-cli.json", "workspace.json")
	for _, dir := range parents(c.folder) {
		file = cmp.Or(file, d.in(dir, "angular.json"))
	}
	workspace, _ := d.json(file)
	wanted := workspace.At("defaultProject").Text
	for _, w := range from.words[min(2, len(from.words)):] {
		if _, is := workspace.Field("projects", w); is {
			wanted = w
		}
	}
	for _, project := range workspace.At("projects").Fields {
		if wanted != "" && project.Name != wanted || project.Value.At("projectType").Text == "library" {
			continue
		}
		for _, targets := range []string{"architect", "targets"} {
			if serve, ok := project.Value.Field(targets, "serve"); ok {
				d.readAngularTarget(c, file, serve)
				return
			}
		}
	}
}

// readAngularTarget reads the options of a target "serve", those of its default
// configuration first.
func (d configReader) readAngularTarget(c *candidate, file string, serve javascript.Value) {
	configuration, _ := serve.Field("configurations", cmp.Or(serve.At("defaultConfiguration").Text, "development"))
	proxied := len(c.routes) > 0
	for _, options := range []javascript.Value{configuration, serve.At("options")} {
		c.state(options.At("port"), file)
		c.https = c.https || options.At("ssl").Is(true)
		if proxy, ok := options.Field("proxyConfig"); ok && !proxied {
			proxied = true
			d.readProxyConfig(c, file, proxy)
		}
	}
}

// readProxyConfig reads the file that proxyConfig names, relative to the
// workspace.
func (d configReader) readProxyConfig(c *candidate, file string, named javascript.Value) {
	at := cmp.Or(d.in(path.Dir(file), named.Text), d.in(".", named.Text))
	table, ok := d.json(at)
	if exports := d.javascript(at, nil).Exports(); !ok && len(exports) > 0 {
		table = exports[0]
	}
	if table.Kind != javascript.Object && table.Kind != javascript.Array {
		d.notes.add(Note{file, named.Line, fmt.Sprintf("proxyConfig %q can't be read without running it", named.Text)})
		return
	}
	d.proxyTable(&c.block, at, "proxyConfig", table)
}

// readNx reads the project that "nx serve PROJECT" names.
func (d configReader) readNx(c *candidate, from command) {
	name := ""
	for _, w := range from.words[1:] {
		if !strings.HasPrefix(w, "-") && !oneOf("serve|dev|start|run", w) {
			name, _, _ = strings.Cut(w, ":")
			break
		}
	}
	for _, file := range d.named("project.json") {
		config, _ := d.json(file)
		if name == "" || name == cmp.Or(config.At("name").Text, path.Base(path.Dir(file))) {
			d.readNxProject(c, file, config)
			if name != "" {
				c.folder = path.Dir(file)
			}
			return
		}
	}
	for _, folder := range d.folders("package.json", "vite.config.ts", "vite.config.js", "vite.config.mts", "next.config.js", "next.config.mjs", "next.config.ts") {
		if name == "" || folder == "." || !d.isNamed(folder, name) {
			continue
		}
		c.folder = folder
		if d.script(folder, "next.config") != "" {
			c.kind = "next"
			c.set(3000, standard, "", 0)
			return
		}
		if d.script(folder, "vite.config") != "" {
			c.kind = "vite"
			d.readTool(c, viteConfig, command{})
		}
	}
}

// readNxProject reads the target of an Nx project that serves it. It returns false
// if there is none.
func (d configReader) readNxProject(c *candidate, file string, config javascript.Value) bool {
	for _, target := range []string{"serve", "dev", "start"} {
		serve, ok := config.Field("targets", target)
		executor := serve.At("executor").Text
		if !ok || strings.Contains(executor, "file-server") || strings.Contains(executor, "storybook") {
			continue
		}
		for _, kind := range []string{"vite", "angular", "webpack", "rspack", "rsbuild", "remix", "nuxt", "expo", "next"} {
			if strings.Contains(executor, kind) {
				c.kind = kind
			}
		}
		if c.kind == "next" {
			c.set(3000, standard, "", 0)
		} else if strings.Contains(executor, "js:node") || strings.Contains(executor, "node:") {
			c.kind, c.role = "node", api
		}
		d.readAngularTarget(c, file, serve)
		if vite := d.script(path.Dir(file), "vite.config"); vite != "" && (executor == "" || strings.Contains(executor, "vite")) {
			if settings, ok := d.config(vite, command{}); ok {
				d.readOptions(c, viteConfig, vite, settings)
			}
		}
		line := serve.At("options.command")
		for _, cmd := range commands(line.Text, noVariables) {
			if p, ok := recognize(cmd.words); ok && p.kind != "nx" {
				c.kind, c.role = p.kind, p.role
				c.set(p.portIn(cmd), stated, file, line.Line)
				c.set(p.port, standard, "", 0)
			}
		}
		if c.kind == "node" {
			d.sourcePort(c, path.Dir(file), "src/main.ts", "src/main.js", "src/index.ts")
		}
		return true
	}
	return false
}
