package scaffold

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/devproxy/scaffold/javascript"
)

// entryFiles are where a server in JavaScript usually begins.
var entryFiles = strings.Fields("src/main.ts src/main.js src/index.ts src/server.ts src/app.ts src/index.js src/server.js src/app.js server.js server.ts index.js index.ts app.js app.ts main.ts main.js " +
	"server/index.js server/index.ts server/server.js bin/www src/index.mjs index.mjs server.mjs")

// readSource finds the port of the project's own server in the file that a command
// runs.
func (d configReader) readSource(c *candidate, from command) {
	if !slices.Contains([]string{"node", "nest", "fastify", "serverless"}, c.kind) {
		return
	}
	var files []string
	for _, w := range from.words[min(1, len(from.words)):] {
		if isSource(w) && w != "." {
			files = append(files, w, "src/"+sourceOf(w))
		}
	}
	files = append(files, entryFiles...)
	d.sourcePort(c, c.folder, files...)
	if port, file, line := d.firstNumber(c.folder, settingsFiles, settingPort); c.port == 0 && !nothingHTTP(port) {
		c.set(port, sample, file, line)
	}
	if c.kind == "node" && slices.Contains(from.words, "serve") && programName(from.words[0]) == "deno" {
		c.set(8000, standard, "", 0)
	}
	if c.kind == "node" && c.port == 0 && !d.serves(c, from, files) {
		c.kind = ""
	}
}

// sourceOf returns the source of a compiler's output: index.ts for dist/index.js.
func sourceOf(file string) string {
	return strings.TrimSuffix(outputFolder.ReplaceAllString(file, ""), ".js") + ".ts"
}

var outputFolder = regexp.MustCompile(`^(\./)?(dist/)?(build/)?(lib/)?(out/)?`)

// sourcePort reads the port from the first of files that listens:
// app.listen(process.env.PORT || 3000), serve({ port: 8787 }).
func (d configReader) sourcePort(c *candidate, folder string, files ...string) {
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
			e := stated
			if port.Fallback() {
				e = sample
			}
			c.set(port.Port(), e, file, port.Line)
			return
		}
		text := string(d.text(file))
		if line := lineOf(text, "Bun.serve("); line > 0 {
			c.set(3000, standard, file, line)
		}
		if line := lineOf(text, "Deno.serve("); line > 0 {
			c.set(8000, standard, file, line)
		}
		config, _ := program.Exported() // export default { port: 3000, fetch }
		if port := config.At("port"); port.Port() != 0 {
			c.set(port.Port(), sample, file, port.Line)
			return
		}
	}
}

// listenPort returns the port in the arguments of a call that listens.
func listenPort(call javascript.Value) javascript.Value {
	if strings.HasSuffix(call.Text, "set") {
		if call.Item(0).Text != "port" {
			return javascript.Value{}
		}
		return call.Item(1)
	}
	for _, v := range []javascript.Value{call.Item(0), call.Item(1)} {
		if listen, ok := v.Field("listen"); ok {
			v = listen
		}
		if port, ok := v.Field("port"); ok {
			return port
		}
		if strings.HasSuffix(call.Text, "listen") && v.Port() != 0 {
			return v
		}
	}
	return javascript.Value{}
}

// settingsFiles are where servers keep the variables that they read.
var settingsFiles = strings.Fields("src/config.ts src/config.js src/env.ts src/env.js src/env.mjs src/config/index.ts src/config/index.js src/config/env.ts src/config/config.ts src/lib/env.ts src/utils/env.ts src/utils/config.ts " +
	"config/index.js config/index.ts config/default.js config/config.js config.js config.ts env.ts env.js src/constants.ts config/default.json config/development.json src/environments/environment.ts")

// settingPort matches a default port among settings, such as
// PORT: z.coerce.number().default(3000).
var settingPort = regexp.MustCompile(`(?i)\b(?:app_|server_|http_)?port\b["']?[^\n]{0,80}?(?:default\(|\|\|\s*|\?\?\s*|,\s*|[:=]\s*)["']?(\d{4,5})\b`)

// serverPackages are libraries of HTTP servers.
var serverPackages = strings.Fields("express fastify koa hono @hapi/hapi hapi @nestjs/core restify polka apollo-server @apollo/server graphql-yoga socket.io ws h3 elysia @adonisjs/core http-proxy vite-express " +
	"moleculer-web @feathersjs/express @feathersjs/koa sirv json-server parse-server keystone @trpc/server loopback @loopback/rest total4 micro")

// portVariables are those that servers read.
var portVariables = []string{"PORT", "APP_PORT", "SERVER_PORT", "HTTP_PORT"}

// serves reports whether the project's own program looks like a server.
func (d configReader) serves(c *candidate, from command, files []string) bool {
	port, _, _ := d.environmentPort(c.folder, portVariables...)
	named := slices.ContainsFunc(from.words, func(w string) bool { return strings.Contains(w, "server") })
	return port != 0 || named || d.packages[c.folder].has(serverPackages...) || slices.ContainsFunc(files[:min(len(files), 4)], func(name string) bool {
		file := path.Join(c.folder, name)
		return !strings.HasPrefix(file, "..") && d.contains(d.deep(file), ".listen(", "createServer", "Bun.serve", "Deno.serve", "serve(")
	})
}
