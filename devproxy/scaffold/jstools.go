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
	case "vite", "react-router", "remix", "qwik", "vitepress", "electron-vite", "vinxi", "solid-start", "waku":
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

func (d *discovery) configureVite(c *candidate, from command) {
	file := ""
	if named := configFlag(from, "--config", "-c"); named != "" {
		file = d.in(c.folder, named)
	}
	where := c.folder
	for _, w := range from.words[min(1, len(from.words)):] { // vite apps/web, vitepress dev docs
		if in := path.Join(c.folder, w); d.has[in] && !strings.HasPrefix(w, "-") && w != "." && !strings.HasPrefix(in, "..") && d.script(in, "vite.config")+d.script(path.Join(in, ".vitepress"), "config") != "" {
			where = in
		}
	}
	if file == "" {
		switch c.kind {
		case "vitepress":
			file = d.script(path.Join(where, ".vitepress"), "config", "config/index")
		case "electron-vite":
			file = d.script(where, "electron.vite.config")
		case "vinxi", "solid-start":
			if file = d.script(where, "app.config"); file == "" {
				file = d.script(where, "vite.config")
			}
		case "waku":
			file = d.script(where, "waku.config")
		default:
			file = d.script(where, "vite.config", "vite.config.dev", "vite.config.development")
		}
	}
	if file == "" {
		return
	}
	config, ok := d.config(file, from)
	if !ok {
		d.notes.add(Note{File: file, Text: "its configuration is not an object that can be read without running it"})
		return
	}
	d.vite(c, file, config)
}

// vite reads server.port, server.https, server.proxy and server.hmr. A
// configuration that builds a library, or the assets of a backend, makes c no
// host of its own.
func (d *discovery) vite(c *candidate, file string, config javascript.Value) {
	if c.file == "" {
		c.file = file
	}
	d.configured[file] = true
	for _, in := range [][]string{{"vite"}, {"renderer"}} { // VitePress; electron-vite
		if inner, ok := config.Field(in...); ok {
			if object, ok := inner.Objects(); ok && inner.Kind != javascript.Function {
				config = object
			}
		}
	}
	if _, library := config.Field("build", "lib"); library && d.in(c.folder, "index.html") == "" {
		c.kind = ""
		return
	}
	if d.assetsOnly(c.folder, file, config) {
		c.role = assets
	}
	_, manifest := config.Field("build", "manifest")
	input, _ := config.Field("build", "rollupOptions", "input")
	c.entries = manifest || input.Source != "" && !strings.Contains(input.Source, ".html")
	server, _ := config.Field("server")
	port, said := server.Field("port")
	switch {
	case port.Port() != 0:
		c.set(port.Port(), stated, file, port.Line)
	case said && port.Kind != javascript.Undefined && c.port == 0:
		d.notes.add(Note{file, port.Line, "server.port is not written as a number: " + short(port.Source)})
	}
	if https, on := server.Field("https"); on && !https.Is(false) && https.Kind != javascript.Undefined {
		c.https = true
	}
	if d.contains(file, "plugin-basic-ssl", "vite-plugin-mkcert") {
		c.https = true
	}
	proxy, _ := server.Field("proxy")
	if proxy.Source != "" {
		d.proxyTable(&c.block, file, "server.proxy", proxy)
	}
	if hmr, ok := server.Field("hmr"); ok {
		// A port of its own is a server of its own; the client's port alone is led to
		// devproxy while it is served.
		if fixed, ok := hmr.Field("port"); ok && fixed.Port() != 0 && fixed.Port() != c.port {
			d.hotReload(c, file, fixed.Line)
		}
	}
}

// hotReload says what to change where the client of hot reloading connects to a
// port of its own, and so goes past devproxy.
func (d *discovery) hotReload(c *candidate, file string, line int) {
	advice := map[string]string{
		"webpack":          "its hot reload connects to its own port; start it with --client-web-socket-url auto://0.0.0.0:0/ws",
		"create-react-app": "its hot reload connects to its own port; set WDS_SOCKET_PORT=0 in .env",
		"rspack":           "its hot reload connects to its own port; set devServer.client.webSocketURL to 'auto://0.0.0.0:0/ws'",
		"vue-cli":          "its hot reload connects to its own port; set devServer.client.webSocketURL to 'auto://0.0.0.0:0/ws'",
	}[c.kind]
	if advice == "" {
		advice = "server.hmr names a port of its own, so hot reload goes past devproxy; remove it"
	}
	if file == "" {
		file = path.Join(c.folder, "package.json")
	}
	d.notes.add(Note{file, line, advice})
}

var webpackFiles = []string{"webpack.config", "webpack.dev", "webpack.config.dev", "webpack.dev.config", "webpack.development", "webpack.config.development", "webpackfile",
	"config/webpack.dev", "config/webpack.config.dev", "config/webpack.config", "build/webpack.dev.conf", "webpack/webpack.dev", "webpack/dev.config", "rspack.config", "rspack.config.dev"}

func (d *discovery) configureWebpack(c *candidate, from command) {
	file := ""
	if named := configFlag(from, "--config", "-c"); named != "" {
		file = d.in(c.folder, named)
	}
	var config, server javascript.Value
	for _, name := range append([]string{""}, webpackFiles...) {
		try := file
		if name != "" {
			if file != "" {
				break
			}
			try = d.script(c.folder, name)
		}
		if try == "" {
			continue
		}
		found, ok := d.config(try, from)
		if !ok {
			continue
		}
		config, file = found, try
		if server, ok = config.Field("devServer"); ok {
			break
		}
	}
	if file == "" {
		return
	}
	d.devServer(c, file, server)
}

// devServer reads the options of webpack-dev-server.
func (d *discovery) devServer(c *candidate, file string, server javascript.Value) {
	if object, ok := server.Objects(); ok {
		server = object
	}
	port, said := server.Field("port")
	switch {
	case port.Port() != 0:
		c.set(port.Port(), stated, file, port.Line)
	case said && port.Kind != javascript.Undefined && port.Text != "auto":
		d.notes.add(Note{file, port.Line, "devServer.port is not written as a number: " + short(port.Source)})
	}
	if kind, ok := server.Field("server"); ok && (kind.Text == "https" || kind.Text == "spdy") {
		c.https = true
	} else if of, _ := kind.Field("type"); of.Text == "https" || of.Text == "spdy" {
		c.https = true
	}
	if https, ok := server.Field("https"); ok && !https.Is(false) && https.Kind != javascript.Undefined {
		c.https = true
	}
	if proxy, ok := server.Field("proxy"); ok {
		if proxy.Kind == javascript.String {
			d.notes.add(Note{file, proxy.Line, fmt.Sprintf("devServer.proxy %q takes what is not a file; the dev server still forwards it", proxy.Text)})
		} else {
			d.proxyTable(&c.block, file, "devServer.proxy", proxy)
		}
	}
	if c.kind == "quasar" {
		return
	}
	if url, ok := server.Field("client", "webSocketURL"); ok && (strings.Contains(url.Source, ":0/") || strings.Contains(url.Source, "port:0")) {
		return
	}
	d.hotReload(c, file, port.Line)
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

func (d *discovery) configureReactScripts(c *candidate, from command) {
	p := d.usesJS[c.folder]
	if from.env["HTTPS"] == "true" {
		c.https = true
	}
	if v, _ := d.variable(c.folder, "HTTPS"); v == "true" {
		c.https = true
	}
	if file := d.script(c.folder, "craco.config"); file != "" {
		if config, ok := d.config(file, from); ok {
			server, _ := config.Field("devServer")
			if object, ok := server.Objects(); ok {
				port, _ := object.Field("port")
				c.set(port.Port(), stated, file, port.Line)
				if proxy, ok := object.Field("proxy"); ok {
					d.proxyTable(&c.block, file, "devServer.proxy", proxy)
				}
			}
		}
	}
	if proxy, ok := p.config.Field("proxy"); ok && proxy.Kind == javascript.String {
		d.notes.add(Note{p.file, proxy.Line, fmt.Sprintf("\"proxy\": %q names no paths; the dev server still forwards to it", proxy.Text)})
	} else if ok {
		d.proxyTable(&c.block, p.file, "proxy", proxy)
	}
	if file := d.script(path.Join(c.folder, "src"), "setupProxy"); file != "" {
		d.setupProxy(c, file, from)
	}
	if socket := from.env["WDS_SOCKET_PORT"]; socket == "" {
		if _, set := d.variable(c.folder, "WDS_SOCKET_PORT"); !set {
			d.hotReload(c, "", 0)
		}
	}
}

// setupProxy reads app.use('/api', createProxyMiddleware({ target })) and
// createProxyMiddleware('/api', { target }).
func (d *discovery) setupProxy(c *candidate, file string, from command) {
	program := d.javascript(file, from.env)
	for _, call := range program.Calls("use") {
		at := argument(call, 0)
		for _, middleware := range call.Items {
			if middleware.Kind != javascript.Call || !strings.Contains(strings.ToLower(middleware.Text), "proxy") {
				continue
			}
			options, ok := middleware.Objects()
			if !ok {
				d.notes.add(Note{file, call.Line, "a proxy whose options are not written out"})
				continue
			}
			var keys []string
			for _, v := range []javascript.Value{at, argument(middleware, 0)} {
				for _, item := range append([]javascript.Value{v}, v.Items...) {
					if v.Kind != javascript.Call && item.Kind == javascript.String && strings.HasPrefix(item.Text, "/") {
						keys = append(keys, item.Text)
					}
				}
			}
			keys = append(keys, contextsOf(options)...)
			d.proxyEntry(&c.block, file, "the proxy of", keys, options)
		}
	}
}

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
