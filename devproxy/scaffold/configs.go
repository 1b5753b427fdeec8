package scaffold

import (
	"cmp"
	"path"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// toolConfig says where the configuration of a dev server has its options. Paths
// are dotted.
type toolConfig struct {
	files []string // the preferred one first; without an extension for JavaScript
	// merged is true if the options can be in any of files. A file that cannot be
	// read is skipped.
	merged bool
	vite   bool // read it as Vite's, too
	port   []string
	https  []string
	proxy  []string
	hmr    string // the port of hot reloading
	socket string // the URL of hot reloading; empty if the tool does not need one
}

var viteConfig = toolConfig{
	files: []string{"vite.config", "vite.config.dev", "vite.config.development"}, vite: true,
	port: []string{"server.port"}, https: []string{"server.https"}, proxy: []string{"server.proxy"}, hmr: "server.hmr.port",
}

// in returns the configuration of the same options in other files.
func (t toolConfig) in(files ...string) toolConfig {
	t.files = files
	return t
}

var webpackConfig = toolConfig{
	files: strings.Fields("webpack.config webpack.dev webpack.config.dev webpack.dev.config webpack.development webpack.config.development webpackfile " +
		"config/webpack.dev config/webpack.config.dev config/webpack.config build/webpack.dev.conf webpack/webpack.dev webpack/dev.config rspack.config rspack.config.dev"),
	merged: true, port: []string{"devServer.port"}, proxy: []string{"devServer.proxy"}, socket: "devServer.client.webSocketURL",
	https: []string{"devServer.server", "devServer.server.type", "devServer.https"},
}

// toolConfigs are the configurations by the kind of the dev server.
var toolConfigs = map[string]toolConfig{
	"vite":             viteConfig,
	"react-router":     viteConfig,
	"remix":            viteConfig,
	"qwik":             viteConfig,
	"vitepress":        viteConfig.in(".vitepress/config", ".vitepress/config/index"),
	"vinxi":            viteConfig.in("app.config", "vite.config"),
	"solid-start":      viteConfig.in("app.config", "vite.config"),
	"waku":             viteConfig.in("waku.config"),
	"webpack":          webpackConfig,
	"rspack":           webpackConfig,
	"vue-cli":          {files: []string{"vue.config"}, port: webpackConfig.port, https: webpackConfig.https, proxy: webpackConfig.proxy, socket: webpackConfig.socket},
	"create-react-app": {files: []string{"craco.config"}, merged: true, port: webpackConfig.port, proxy: webpackConfig.proxy},
	"quasar":           {files: []string{"quasar.config", "quasar.conf"}, port: webpackConfig.port, https: webpackConfig.https, proxy: webpackConfig.proxy},
	"rsbuild":          {files: []string{"rsbuild.config"}, port: viteConfig.port, https: viteConfig.https, proxy: viteConfig.proxy},
	"farm":             {files: []string{"farm.config"}, port: viteConfig.port, https: viteConfig.https, proxy: viteConfig.proxy},
	"modern":           {files: []string{"modern.config"}, port: []string{"server.port", "dev.port"}, https: viteConfig.https, proxy: []string{"dev.proxy", "server.proxy"}},
	"umi":              {files: []string{".umirc", "config/config", ".umirc.local"}, port: webpackConfig.port, https: webpackConfig.https, proxy: []string{"proxy"}},
	"astro": {
		files: []string{"astro.config"}, port: []string{"server.port", "vite.server.port"}, https: []string{"vite.server.https", "server.https"},
		proxy: []string{"vite.server.proxy"}, hmr: "vite.server.hmr.port",
	},
	"nuxt": {
		files: []string{"nuxt.config"}, port: []string{"devServer.port", "server.port"}, https: []string{"devServer.https", "vite.server.https", "server.https"},
		proxy: []string{"nitro.devProxy", "vite.server.proxy"}, hmr: "vite.server.hmr.port",
	},
	"wrangler": {files: []string{"wrangler.json", "wrangler.jsonc", "wrangler.toml"}, port: []string{"dev.port"}, https: []string{"dev.local_protocol"}},
	"netlify":  {files: []string{"netlify.toml"}, port: []string{"dev.port"}},
	"redwood":  {files: []string{"redwood.toml"}, port: []string{"web.port"}},
}

// configReader reads the configurations of dev servers.
type configReader struct{ *discovery }

// configure reads the configuration of the program that c is started with. It
// makes the kind of c empty if the program does not serve the project itself.
func (d configReader) configure(c *candidate, from command) {
	tool, known := toolConfigs[c.kind]
	switch {
	case known:
		d.readTool(c, tool, from)
	case c.kind == "angular":
		d.readAngular(c, from)
	case c.kind == "nx":
		d.readNx(c, from)
	case c.kind == "ember":
		config, _ := d.json(path.Join(c.folder, ".ember-cli"))
		c.set(config.At("port").Port(), stated, "", 0)
	case c.kind == "eleventy":
		file := cmp.Or(d.in(c.folder, ".eleventy.js"), d.script(c.folder, "eleventy.config"))
		for _, call := range d.javascript(file, from.env).Calls("setServerOptions") {
			c.state(call.Item(0).At("port"), file)
		}
	default:
		d.readSource(c, from)
	}
	d.refine(c)
}

// refine names the framework that runs in a bundler, by the packages that it
// needs.
func (d configReader) refine(c *candidate) {
	p := d.packages[c.folder]
	if c.kind == "vite" || c.kind == "vinxi" {
		for _, f := range viteFrameworks {
			if p.has(f.dependency) {
				c.kind = f.kind
				break
			}
		}
	}
	c.plainHTTP = c.plainHTTP || d.comparesOrigin(c, p)
}

var viteFrameworks = []struct{ dependency, kind string }{
	{"@sveltejs/kit", "sveltekit"}, {"@react-router/dev", "react-router"}, {"@remix-run/dev", "remix"}, {"@builder.io/qwik-city", "qwik"}, {"@qwik.dev/router", "qwik"},
	{"@solidjs/start", "solid-start"}, {"@tanstack/react-start", "tanstack-start"}, {"@tanstack/start", "tanstack-start"}, {"@analogjs/platform", "analog"}, {"vike", "vike"},
}

// config reads a configuration. ok is false if it does not exist, or its object
// is unknown.
func (r *repository) config(file string, from command) (config javascript.Value, ok bool) {
	switch path.Ext(file) {
	case ".json", ".jsonc":
		return r.json(file)
	case ".toml":
		return r.toml(file), true
	}
	program := r.javascript(file, from.env)
	if strings.HasPrefix(path.Base(file), "astro.") {
		program.Give("command", "dev")
	}
	return program.Exported()
}

const unreadableConfig = "its configuration is not an object that can be read without running it"

// readTool reads the configuration of a dev server that a command starts.
func (d configReader) readTool(c *candidate, tool toolConfig, from command) {
	folder := c.folder
	if tool.vite {
		folder = d.viteFolder(c.folder, from)
	}
	if named := from.option("--config", "-c"); named != "" && d.in(c.folder, named) != "" {
		folder, tool.files, tool.merged = c.folder, []string{named}, false
	}
	file, config, ok := "", javascript.Value{}, false
	for _, name := range tool.files {
		found := cmp.Or(d.in(folder, name), d.script(folder, name))
		if found == "" {
			continue
		}
		read, readable := d.config(found, from)
		if readable || !tool.merged {
			file, config, ok = found, read, readable
		}
		if _, has := read.Field("devServer"); has || !tool.merged {
			break
		}
	}
	switch {
	case ok:
		d.readOptions(c, tool, file, config)
	case c.kind == "vue-cli" || tool.socket != "" && file != "":
		d.noteHotReload(c, file, 0)
	}
	if !ok && file != "" {
		d.notes.add(Note{File: file, Text: unreadableConfig})
	}
	if c.kind == "create-react-app" {
		d.readReactScripts(c, from)
	}
}

// readOptions reads the options of a dev server.
func (d configReader) readOptions(c *candidate, tool toolConfig, file string, config javascript.Value) {
	if tool.vite {
		if config = d.readVite(c, file, config); c.kind == "" {
			return
		}
	}
	for _, at := range tool.port {
		port := config.At(at)
		c.state(port, file)
		if c.port == 0 && port.Source != "" && port.Kind != javascript.Undefined && port.Text != "auto" {
			d.notes.add(Note{file, port.Line, at + " is not written as a number: " + short(port.Source)})
		}
	}
	for _, at := range tool.https {
		v := config.At(at)
		c.https = c.https || v.Text == "https" || v.Text == "spdy" || strings.HasSuffix(at, "https") && v.On()
	}
	for _, at := range tool.proxy {
		if table := config.At(at); table.Source != "" {
			d.proxyTable(&c.block, file, at, table)
		}
	}
	// A separate port means a separate server. devproxy handles the client's port.
	if fixed := config.At(tool.hmr); tool.hmr != "" && fixed.Port() != 0 && fixed.Port() != c.port {
		d.noteHotReload(c, file, fixed.Line)
	}
	if url := config.At(tool.socket).Source; tool.socket != "" && !strings.Contains(url, ":0/") && !strings.Contains(url, "port:0") {
		d.noteHotReload(c, file, config.At(tool.port[0]).Line)
	}
	switch c.kind {
	case "nuxt":
		d.readRouteRules(c, file, config)
	case "astro":
		d.readAstroOrigin(c, config)
	}
}

// noteHotReload says what to change if the client of hot reloading connects to its
// own port, and so bypasses devproxy.
func (d configReader) noteHotReload(c *candidate, file string, line int) {
	text := "its hot reload connects to its own port; "
	switch c.kind {
	case "webpack":
		text += "start it with --client-web-socket-url auto://0.0.0.0:0/ws"
	case "create-react-app":
		text += "set WDS_SOCKET_PORT=0 in .env"
	case "rspack", "vue-cli":
		text += "set devServer.client.webSocketURL to 'auto://0.0.0.0:0/ws'"
	default:
		text = "server.hmr has its own port, so hot reload bypasses devproxy; remove the port"
	}
	note := Note{cmp.Or(file, path.Join(c.folder, "package.json")), line, text}
	c.hotReload = &note
	d.hotReload.add(note)
}

// readRouteRules reads Nuxt's routeRules: '/api/**': { proxy: 'http://…/**' }.
func (d configReader) readRouteRules(c *candidate, file string, config javascript.Value) {
	for _, rule := range config.At("routeRules").Fields {
		if proxy, ok := rule.Value.Field("proxy"); ok {
			if object, is := proxy.Field("to"); is {
				proxy = object
			}
			proxy.Text = strings.TrimSuffix(proxy.Text, "/**")
			d.proxyEntry(&c.block, file, "routeRules", []string{rule.Name}, proxy)
		}
	}
}

// readReactScripts reads what create-react-app has instead of a configuration.
func (d configReader) readReactScripts(c *candidate, from command) {
	variable := func(name string) (string, bool) {
		if v := from.env[name]; v != "" {
			return v, true
		}
		return d.variable(c.folder, name)
	}
	https, _ := variable("HTTPS")
	c.https = c.https || https == "true"
	p := d.packages[c.folder]
	if proxy, ok := p.config.Field("proxy"); ok {
		d.proxyTable(&c.block, p.file, "proxy", proxy)
	}
	if file := d.script(c.folder, "src/setupProxy"); file != "" {
		d.readSetupProxy(c, file, from)
	}
	if _, set := variable("WDS_SOCKET_PORT"); !set {
		d.noteHotReload(c, "", 0)
	}
}

// readConfigs adds the dev servers of configurations that no script starts.
func (d configReader) readConfigs() {
	for _, file := range d.named("wrangler.toml", "wrangler.json", "wrangler.jsonc") {
		if c := (&candidate{folder: path.Dir(file), kind: "wrangler", role: api, file: file}); d.alone(c) {
			d.readTool(c, toolConfigs["wrangler"], command{})
			c.set(8787, standard, file, 0)
			d.add(c)
		}
	}
	for _, file := range d.named("vite.config.[tj]s", "vite.config.[cm][tj]s") {
		d.addVite(file)
	}
	for _, file := range d.named("angular.json") {
		if c := (&candidate{folder: path.Dir(file), kind: "angular", role: app, file: file}); d.kind(c.folder, "angular") == nil {
			d.readAngular(c, command{})
			c.set(4200, standard, "", 0)
			d.add(c)
		}
	}
	for _, file := range d.named("project.json") {
		config, _ := d.json(file)
		c := &candidate{folder: path.Dir(file), kind: "nx", role: app, file: file}
		if len(d.of(c.folder)) > 0 || config.At("projectType").Text == "library" || !d.readNxProject(c, file, config) || c.kind == "" {
			continue
		}
		if c.kind != "node" {
			c.set(4200, standard, "", 0)
		}
		d.add(c)
	}
	for _, file := range d.named("webpack.config.*") {
		c := &candidate{folder: path.Dir(file), kind: "webpack", role: app, file: file}
		config, _ := d.config(file, command{})
		if _, has := config.Field("devServer"); has && d.alone(c) {
			d.readOptions(c, webpackConfig, file, config)
			c.set(8080, standard, "", 0)
			d.add(c)
		}
	}
}

// alone reports whether neither a script nor another server is known in the folder
// of c.
func (d configReader) alone(c *candidate) bool {
	return len(d.of(c.folder)) == 0 && len(d.packages[c.folder].lines) == 0
}
