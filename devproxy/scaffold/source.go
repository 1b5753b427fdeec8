package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// configureServer finds the port of a server of the project's own in the file
// that a command runs.
func (d *discovery) configureServer(c *candidate, from command) {
	switch c.kind {
	case "node", "nest", "fastify", "serverless":
	default:
		return
	}
	var files []string
	for _, w := range from.words[min(1, len(from.words)):] {
		if isSource(w) && w != "." {
			files = append(files, w, "src/"+sourceOf(w))
		}
	}
	files = append(files, "src/main.ts", "src/main.js", "src/index.ts", "src/server.ts", "src/app.ts", "src/index.js", "src/server.js", "src/app.js", "server.js", "server.ts", "index.js", "index.ts", "app.js", "app.ts", "main.ts", "main.js",
		"server/index.js", "server/index.ts", "server/server.js", "bin/www", "src/index.mjs", "index.mjs", "server.mjs")
	d.sourcePort(c, c.folder, files...)
	d.settingsPort(c)
	if c.kind == "node" && slices.Contains(from.words, "serve") && programName(from.words[0]) == "deno" {
		c.set(8000, standard, "", 0)
	}
	if c.kind == "node" && c.port == 0 && !d.serves(c, from, files) {
		c.kind = ""
	}
}

// sourceOf is the source of what a compiler writes: dist/index.js is index.
func sourceOf(file string) string {
	for _, dir := range []string{"./", "dist/", "build/", "lib/", "out/"} {
		file = strings.TrimPrefix(file, dir)
	}
	return strings.TrimSuffix(file, ".js") + ".ts"
}

// sourcePort reads the port that the first of files which listens says:
// app.listen(process.env.PORT || 3000), serve({ port: 8787 }).
func (d *discovery) sourcePort(c *candidate, folder string, files ...string) {
	for _, name := range files {
		file := path.Join(folder, name)
		if strings.HasPrefix(file, "..") || len(d.text(d.deep(file))) == 0 {
			continue
		}
		program := d.javascript(file, nil)
		for _, call := range program.Calls("listen", "serve", "Bun.serve", "Deno.serve", "startServer", "startStandaloneServer", "createServer", "set") {
			port := listenPort(call)
			if port.Port() == 0 || nothingHTTP(port.Port()) {
				continue
			}
			e := sample
			if !port.Fallback() {
				e = stated
			}
			c.set(port.Port(), e, file, port.Line)
			return
		}
		if c.port == 0 && d.contains(file, "Bun.serve(") {
			c.set(3000, standard, file, lineOf(string(d.text(file)), "Bun.serve("))
		}
		if c.port == 0 && d.contains(file, "Deno.serve(") {
			c.set(8000, standard, file, lineOf(string(d.text(file)), "Deno.serve("))
		}
		if config, ok := program.Exported(); ok { // export default { port: 3000, fetch }
			if port, _ := config.Field("port"); port.Port() != 0 {
				c.set(port.Port(), sample, file, port.Line)
				return
			}
		}
	}
}

// settingsFiles are where servers keep the variables that they read.
var settingsFiles = []string{"src/config.ts", "src/config.js", "src/env.ts", "src/env.js", "src/env.mjs", "src/config/index.ts", "src/config/index.js", "src/config/env.ts", "src/config/config.ts", "src/lib/env.ts", "src/utils/env.ts", "src/utils/config.ts",
	"config/index.js", "config/index.ts", "config/default.js", "config/config.js", "config.js", "config.ts", "env.ts", "env.js", "src/constants.ts", "config/default.json", "config/development.json", "src/environments/environment.ts"}

var settingPort = regexp.MustCompile(`(?i)\b(?:app_|server_|http_)?port\b["']?[^\n]{0,80}?(?:default\(|\|\|\s*|\?\?\s*|,\s*|[:=]\s*)["']?(\d{4,5})\b`)

// settingsPort reads the port that a file of settings gives as a default, such
// as PORT: z.coerce.number().default(3000).
func (d *discovery) settingsPort(c *candidate) {
	if c.port != 0 {
		return
	}
	for _, name := range settingsFiles {
		file := path.Join(c.folder, name)
		if port, line := d.number(d.deep(file), settingPort); port != 0 && !nothingHTTP(port) {
			c.set(port, sample, file, line)
			return
		}
	}
}

// listenPort is the port in the arguments of a call that listens.
func listenPort(call javascript.Value) javascript.Value {
	first := argument(call, 0)
	if strings.HasSuffix(call.Text, "set") {
		if first.Text != "port" {
			return javascript.Value{}
		}
		return argument(call, 1)
	}
	for _, v := range []javascript.Value{first, argument(call, 1)} {
		if v.Kind == javascript.Object {
			if listen, ok := v.Field("listen"); ok {
				v = listen
			}
			if port, ok := v.Field("port"); ok {
				return port
			}
		}
		if strings.HasSuffix(call.Text, "listen") && v.Port() != 0 {
			return v
		}
	}
	return javascript.Value{}
}

// serves reports whether a program of the project's own looks like a server.
func (d *discovery) serves(c *candidate, from command, files []string) bool {
	p := d.usesJS[c.folder]
	if p.has("express", "fastify", "koa", "hono", "@hapi/hapi", "hapi", "@nestjs/core", "restify", "polka", "apollo-server", "@apollo/server", "graphql-yoga", "socket.io", "ws", "h3", "elysia", "@adonisjs/core", "http-proxy", "vite-express", "moleculer-web", "@feathersjs/express", "@feathersjs/koa", "sirv", "json-server", "parse-server", "keystone", "@trpc/server", "loopback", "@loopback/rest", "total4", "micro") {
		return true
	}
	if port, _, _ := d.environmentPort(c.folder, "PORT", "APP_PORT", "SERVER_PORT", "HTTP_PORT"); port != 0 {
		return true
	}
	for _, w := range from.words {
		if strings.Contains(w, "server") {
			return true
		}
	}
	for _, name := range files[:min(len(files), 4)] {
		if file := path.Join(c.folder, name); !strings.HasPrefix(file, "..") && d.contains(d.deep(file), ".listen(", "createServer", "Bun.serve", "Deno.serve", "serve(") {
			return true
		}
	}
	return false
}
