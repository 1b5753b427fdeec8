package scaffold

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// configure reads the configuration of the program that c is started with.
func (d *discovery) configure(c *candidate, from command) {
	switch c.kind {
	case "vite", "react-router", "remix", "qwik", "vitepress", "vinxi", "solid-start", "waku":
		d.configureVite(c, from)
	case "webpack", "rspack":
		d.configureWebpack(c, from)
	case "vue-cli", "quasar", "rsbuild", "farm", "modern", "umi":
		d.configureTool(c, from)
	case "create-react-app":
		d.configureReactScripts(c, from)
	case "angular":
		d.configureAngular(c, from)
	case "astro", "nuxt":
		d.configureTool(c, from)
	case "ember":
		config, _ := d.json(path.Join(c.folder, ".ember-cli"))
		port, _ := config.Field("port")
		c.set(port.Port(), stated, "", 0)
	case "wrangler", "netlify", "redwood":
		d.configureTOML(c)
	case "nx":
		d.configureNx(c, from)
	case "eleventy":
		if file := d.in(c.folder, ".eleventy.js", "eleventy.config.js", "eleventy.config.mjs", "eleventy.config.cjs", "eleventy.config.ts"); file != "" {
			for _, call := range d.javascript(file, from.env).Calls("setServerOptions") {
				port, _ := argument(call, 0).Field("port")
				c.set(port.Port(), stated, file, port.Line)
			}
		}
	default:
		d.configureServer(c, from)
	}
	d.refine(c)
}

func argument(call javascript.Value, i int) javascript.Value {
	if i < len(call.Items) {
		return call.Items[i]
	}
	return javascript.Value{}
}

// refine names the framework that runs in a bundler, by the packages it needs.
func (d *discovery) refine(c *candidate) {
	p := d.usesJS[c.folder]
	if c.kind == "vite" || c.kind == "vinxi" {
		for _, f := range []struct{ pkg, kind string }{
			{"@sveltejs/kit", "sveltekit"}, {"@react-router/dev", "react-router"}, {"@remix-run/dev", "remix"}, {"@builder.io/qwik-city", "qwik"}, {"@qwik.dev/router", "qwik"},
			{"@solidjs/start", "solid-start"}, {"@tanstack/react-start", "tanstack-start"}, {"@tanstack/start", "tanstack-start"}, {"@analogjs/platform", "analog"}, {"vike", "vike"},
		} {
			if p.has(f.pkg) {
				c.kind = f.kind
				break
			}
		}
	}
	c.plainHTTP = c.plainHTTP || d.comparesOrigin(c, p)
}

// configFlag is the file that a command names with --config.
func configFlag(from command, flags ...string) string {
	for i, w := range from.words {
		flag, value, joined := strings.Cut(w, "=")
		if !slices.Contains(flags, flag) {
			continue
		}
		if joined {
			return value
		}
		if i+1 < len(from.words) {
			return from.words[i+1]
		}
	}
	return ""
}

// configure reads an exported configuration; ok is false where there is none or
// it is not an object.
func (d *discovery) config(file string, from command) (config javascript.Value, ok bool) {
	if file == "" {
		return javascript.Value{}, false
	}
	if path.Ext(file) == ".json" {
		return d.json(file)
	}
	program := d.javascript(file, from.env)
	if strings.HasPrefix(path.Base(file), "astro.") {
		program.Give("command", "dev")
	}
	return program.Exported()
}

// toolConfigs are where tools keep their port and their table of proxies.
var toolConfigs = map[string]struct {
	files       []string
	port, proxy [][]string
}{
	"vue-cli": {[]string{"vue.config"}, [][]string{{"devServer", "port"}}, nil},
	"quasar":  {[]string{"quasar.config", "quasar.conf"}, [][]string{{"devServer", "port"}}, nil},
	"rsbuild": {[]string{"rsbuild.config"}, [][]string{{"server", "port"}}, [][]string{{"server", "proxy"}}},
	"farm":    {[]string{"farm.config"}, [][]string{{"server", "port"}}, [][]string{{"server", "proxy"}}},
	"modern":  {[]string{"modern.config"}, [][]string{{"server", "port"}, {"dev", "port"}}, [][]string{{"dev", "proxy"}, {"server", "proxy"}}},
	"umi":     {[]string{".umirc", "config/config", ".umirc.local"}, [][]string{{"devServer", "port"}}, [][]string{{"proxy"}}},
	"astro":   {[]string{"astro.config"}, [][]string{{"server", "port"}, {"vite", "server", "port"}}, [][]string{{"vite", "server", "proxy"}}},
	"nuxt":    {[]string{"nuxt.config"}, [][]string{{"devServer", "port"}, {"server", "port"}}, [][]string{{"nitro", "devProxy"}, {"vite", "server", "proxy"}}},
}

func (d *discovery) configureTool(c *candidate, from command) {
	tool := toolConfigs[c.kind]
	file := d.script(c.folder, tool.files...)
	if named := configFlag(from, "--config", "-c"); named != "" && d.in(c.folder, named) != "" {
		file = d.in(c.folder, named)
	}
	config, ok := d.config(file, from)
	if !ok {
		if file != "" {
			d.notes.add(Note{File: file, Text: "its configuration is not an object that can be read without running it"})
		}
		if c.kind == "vue-cli" {
			d.hotReload(c, file, 0)
		}
		return
	}
	if c.kind == "vue-cli" || c.kind == "quasar" {
		server, _ := config.Field("devServer")
		d.devServer(c, file, server)
		return
	}
	for _, at := range tool.port {
		port, said := config.Field(at...)
		if f, is := config.Field(at[0]); is && f.Kind == javascript.Function { // Astro: server: ({ command }) => ({ port })
			if object, ok := f.Result(); ok {
				port, said = object.Field(at[1:]...)
			}
		}
		c.set(port.Port(), stated, file, port.Line)
		if said && port.Port() == 0 && port.Kind != javascript.Undefined {
			d.notes.add(Note{file, port.Line, strings.Join(at, ".") + " is not written as a number: " + short(port.Source)})
		}
	}
	for _, at := range [][]string{{"devServer", "https"}, {"vite", "server", "https"}, {"server", "https"}} {
		if https, on := config.Field(at...); on && !https.Is(false) && https.Kind != javascript.Undefined {
			c.https = true
		}
	}
	for _, at := range tool.proxy {
		if table, ok := config.Field(at...); ok {
			d.proxyTable(&c.block, file, strings.Join(at, "."), table)
		}
	}
	if c.kind == "nuxt" {
		d.routeRules(c, file, config)
	}
	if hmr, ok := config.Field("vite", "server", "hmr"); ok {
		if fixed, ok := hmr.Field("port"); ok && fixed.Port() != 0 {
			d.hotReload(c, file, fixed.Line)
		}
	}
	if c.kind == "astro" {
		d.astroOrigin(c, config)
	}
}

// routeRules reads Nuxt's routeRules: '/api/**': { proxy: 'http://…/**' }.
func (d *discovery) routeRules(c *candidate, file string, config javascript.Value) {
	rules, _ := config.Field("routeRules")
	for _, rule := range rules.Fields {
		proxy, ok := rule.Value.Field("proxy")
		if !ok {
			continue
		}
		if object, is := proxy.Field("to"); is {
			proxy = object
		}
		at := prefixes(rule.Name)
		upstream, prefix, ok := targetOf(strings.TrimSuffix(proxy.Text, "/**"))
		if len(at) != 1 || !ok || !proxy.Known() || prefix != "" && routePath(prefix) == "" {
			d.notes.add(Note{file, rule.Value.Line, fmt.Sprintf("routeRules %q: the proxy is not a plain URL", rule.Name)})
			continue
		}
		made := route{path: at[0].path, block: block{upstream: upstream}}
		switch prefix {
		case made.path:
		case "":
			made.set("strip_prefix", "true")
		default:
			made.set("rewrite", strconv.Quote(prefix+"{rest}"))
		}
		c.route(made)
	}
}

// readConfigs takes the dev servers that a configuration names and no script
// starts.
func (d *discovery) readConfigs() {
	for _, file := range d.matching(func(base string) bool {
		name := strings.TrimSuffix(base, path.Ext(base))
		return name == "vite.config" && slices.Contains([]string{".ts", ".js", ".mjs", ".mts", ".cjs", ".cts"}, path.Ext(base))
	}) {
		folder := path.Dir(file)
		if d.configured[file] {
			continue
		}
		_, isPackage := d.usesJS[folder]
		if len(d.of(folder)) > 0 && d.kind(folder, "rails", "django", "laravel", "symfony", "phoenix", "php") == nil || isPackage && len(d.usesJS[folder].lines) > 0 {
			continue
		}
		config, ok := d.config(file, command{})
		if !ok {
			if len(d.of(folder)) == 0 {
				d.notes.add(Note{File: file, Text: "its configuration is not an object that can be read without running it"})
			}
			continue
		}
		_, test := config.Field("test")
		_, server := config.Field("server")
		if test && !server {
			continue
		}
		c := &candidate{folder: folder, kind: "vite", role: app, file: file}
		d.vite(c, file, config)
		if c.kind == "" {
			continue
		}
		d.refine(c)
		c.set(5173, standard, "", 0)
		d.add(c)
	}
	for _, file := range d.named("angular.json") {
		if folder := path.Dir(file); d.kind(folder, "angular") == nil {
			c := &candidate{folder: folder, kind: "angular", role: app, file: file}
			d.configureAngular(c, command{})
			c.set(4200, standard, "", 0)
			d.add(c)
		}
	}
	for _, file := range d.named("project.json") {
		if folder := path.Dir(file); len(d.of(folder)) == 0 {
			config, _ := d.json(file)
			if kind, _ := config.Field("projectType"); kind.Text == "library" {
				continue
			}
			c := &candidate{folder: folder, kind: "nx", role: app, file: file}
			if d.nxProject(c, file, config) && c.kind != "" {
				if c.kind != "node" {
					c.set(4200, standard, "", 0)
				}
				d.add(c)
			}
		}
	}
	for _, file := range d.matching(func(base string) bool { return strings.HasPrefix(base, "webpack.config.") }) {
		folder := path.Dir(file)
		if len(d.of(folder)) > 0 || len(d.usesJS[folder].lines) > 0 {
			continue
		}
		if config, ok := d.config(file, command{}); ok {
			if server, ok := config.Field("devServer"); ok {
				c := &candidate{folder: folder, kind: "webpack", role: app, file: file}
				d.devServer(c, file, server)
				c.set(8080, standard, "", 0)
				d.add(c)
			}
		}
	}
}
