package scaffold

import (
	"fmt"
	"path"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

func (d *discovery) configureAngular(c *candidate, from command) {
	if named := configFlag(from, "--proxy-config", "--proxyConfig"); named != "" {
		d.proxyConfig(c, path.Join(c.folder, "package.json"), javascript.Value{Kind: javascript.String, Text: named})
	}
	file := d.in(c.folder, "angular.json", ".angular-cli.json", "workspace.json")
	if file == "" {
		for _, dir := range parents(c.folder) {
			if file = d.in(dir, "angular.json"); file != "" {
				break
			}
		}
	}
	workspace, ok := d.json(file)
	if !ok {
		return
	}
	projects, _ := workspace.Field("projects")
	wanted := ""
	for _, w := range from.words[min(2, len(from.words)):] {
		if _, is := projects.Field(w); is {
			wanted = w
		}
	}
	if wanted == "" {
		name, _ := workspace.Field("defaultProject")
		wanted = name.Text
	}
	for _, project := range projects.Fields {
		if wanted != "" && project.Name != wanted {
			continue
		}
		if kind, _ := project.Value.Field("projectType"); kind.Text == "library" {
			continue
		}
		for _, targets := range []string{"architect", "targets"} {
			serve, ok := project.Value.Field(targets, "serve")
			if !ok {
				continue
			}
			d.angularTarget(c, file, serve)
			return
		}
	}
}

func (d *discovery) angularTarget(c *candidate, file string, serve javascript.Value) {
	sets := []javascript.Value{}
	configuration, _ := serve.Field("defaultConfiguration")
	if configuration.Text == "" {
		configuration.Text = "development"
	}
	if set, ok := serve.Field("configurations", configuration.Text); ok {
		sets = append(sets, set)
	}
	if set, ok := serve.Field("options"); ok {
		sets = append(sets, set)
	}
	proxied := len(c.routes) > 0
	for _, set := range sets {
		port, _ := set.Field("port")
		c.set(port.Port(), stated, file, port.Line)
		if ssl, _ := set.Field("ssl"); ssl.Is(true) {
			c.https = true
		}
		if proxy, ok := set.Field("proxyConfig"); ok && !proxied {
			proxied = true
			d.proxyConfig(c, file, proxy)
		}
	}
}

// proxyConfig reads the file that proxyConfig names, relative to the workspace.
func (d *discovery) proxyConfig(c *candidate, file string, named javascript.Value) {
	at := d.in(path.Dir(file), named.Text)
	if at == "" {
		at = d.in(".", named.Text)
	}
	var tables []javascript.Value
	if list, ok := d.json(at); ok {
		tables = append(tables, list)
	} else if at != "" {
		tables = d.javascript(at, nil).Exports()
	}
	if len(tables) == 0 || tables[0].Kind != javascript.Object && tables[0].Kind != javascript.Array {
		d.notes.add(Note{file, named.Line, fmt.Sprintf("proxyConfig %q can't be read without running it", named.Text)})
		return
	}
	d.proxyTable(&c.block, at, "proxyConfig", tables[0])
}

// configureNx reads the project that "nx serve PROJECT" names.
func (d *discovery) configureNx(c *candidate, from command) {
	name := ""
	for _, w := range from.words[1:] {
		if !strings.HasPrefix(w, "-") && w != "serve" && w != "dev" && w != "start" && w != "run" {
			name, _, _ = strings.Cut(w, ":")
			break
		}
	}
	for _, file := range d.named("project.json") {
		config, _ := d.json(file)
		own, _ := config.Field("name")
		if name == "" || own.Text == name || own.Text == "" && path.Base(path.Dir(file)) == name {
			d.nxProject(c, file, config)
			if name != "" {
				c.folder = path.Dir(file)
			}
			return
		}
	}
	if name == "" {
		return
	}
	for _, folder := range d.folders("package.json", "vite.config.ts", "vite.config.js", "vite.config.mts", "next.config.js", "next.config.mjs", "next.config.ts") {
		if path.Base(folder) != name && d.usesJS[folder].name != name {
			continue
		}
		if folder != "." {
			c.folder = folder
			if d.script(folder, "next.config") != "" {
				c.kind = "next"
				c.set(3000, standard, "", 0)
				return
			}
			if d.script(folder, "vite.config") != "" {
				c.kind = "vite"
				d.configureVite(c, command{})
			}
		}
	}
}

// nxProject reads the target "serve" of an Nx project.
func (d *discovery) nxProject(c *candidate, file string, config javascript.Value) bool {
	for _, target := range []string{"serve", "dev", "start"} {
		serve, ok := config.Field("targets", target)
		if !ok {
			continue
		}
		executor, _ := serve.Field("executor")
		switch {
		case strings.Contains(executor.Text, "next"):
			c.kind = "next"
			c.set(3000, standard, "", 0)
		case strings.Contains(executor.Text, "js:node"), strings.Contains(executor.Text, "node:"):
			c.kind, c.role = "node", api
		case strings.Contains(executor.Text, "file-server"), strings.Contains(executor.Text, "storybook"):
			continue
		default:
			for _, kind := range []string{"vite", "angular", "webpack", "rspack", "rsbuild", "remix", "nuxt", "expo"} {
				if strings.Contains(executor.Text, kind) {
					c.kind = kind
				}
			}
		}
		d.angularTarget(c, file, serve)
		if strings.Contains(executor.Text, "vite") || executor.Text == "" {
			if vite := d.script(path.Dir(file), "vite.config"); vite != "" {
				if settings, ok := d.config(vite, command{}); ok {
					d.vite(c, vite, settings)
				}
			}
		}
		if line, ok := serve.Field("options", "command"); ok {
			for _, cmd := range commands(line.Text, func(string) (string, bool) { return "", false }) {
				if p, ok := recognize(cmd.words); ok && p.kind != "nx" {
					c.kind, c.role = p.kind, p.role
					c.set(p.portIn(cmd), stated, file, line.Line)
					c.set(p.port, standard, "", 0)
				}
			}
		}
		if c.kind == "node" {
			d.sourcePort(c, path.Dir(file), "src/main.ts", "src/main.js", "src/index.ts")
		}
		return true
	}
	return false
}
