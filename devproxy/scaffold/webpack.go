package scaffold

import (
	"fmt"
	"path"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

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
