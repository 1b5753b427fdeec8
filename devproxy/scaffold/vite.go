package scaffold

import (
	"path"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

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
	if inner, ok := config.Field("vite"); ok && inner.Kind != javascript.Function { // VitePress
		if object, ok := inner.Objects(); ok {
			config = object
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
