package scaffold

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBehindProxy: each command gets its arguments where they reach the dev server, and
// nothing that the project sets itself.
func TestBehindProxy(t *testing.T) {
	const socket = "--client-web-socket-url auto://0.0.0.0:0/ws"
	scripts := `{"scripts":{"dev":"webpack serve","env":"cross-env A=1 webpack serve","two":"webpack serve & node x.js","chained":"npm run dev","react":"craco start","stories":"storybook dev -p 6006","vite":"vite"}}`
	for _, c := range []struct {
		name, command, file, text, domain string
		added                             string
		has, env                          map[string]string
	}{
		{name: "direct", command: "webpack serve", added: socket},
		{name: "npx", command: "npx webpack serve --port {port}", added: socket},
		{name: "npm", command: "npm run dev", added: "-- " + socket},
		{name: "npm with arguments", command: "npm run dev -- --port 1", added: socket},
		{name: "pnpm", command: "pnpm dev --port 1", added: socket},
		{name: "variables", command: "yarn env", added: socket},
		{name: "two programs", command: "npm run two"},
		{name: "arguments get lost", command: "npm run chained"},
		{name: "a shell", command: "sh -c 'webpack serve'"},
		{name: "set by the command", command: "webpack serve --client-web-socket-url ws://x/"},
		{name: "set by the configuration", command: "npm run dev", file: "webpack.config.js", text: "module.exports = { devServer: { client: { webSocketURL: x } } }"},
		{name: "a domain", command: "webpack serve", domain: "shop.test", added: socket + " --allowed-hosts .shop.test"},
		{name: "create-react-app", command: "npm run react", env: map[string]string{"BROWSER": "none", "WDS_SOCKET_HOST": "0.0.0.0", "WDS_SOCKET_PORT": "0"}},
		{name: "set by a file", command: "npm run react", file: ".env", text: "WDS_SOCKET_PORT=443", env: map[string]string{"BROWSER": "none"}},
		{name: "set by the environment", command: "npm run react", has: map[string]string{"BROWSER": "firefox", "WDS_SOCKET_HOST": "x"}},
		{name: "storybook", command: "npm run stories", env: map[string]string{"BROWSER": "none"}},
		{name: "vite", command: "npm run vite"},
		{name: "unknown", command: "make dev"},
		{name: "no script of this name", command: "npm run missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			putFile(t, filepath.Join(dir, "package.json"), []byte(scripts))
			if c.file != "" {
				putFile(t, filepath.Join(dir, c.file), []byte(c.text))
			}
			args := strings.Fields(c.command)
			if strings.Contains(c.command, "'") {
				args = []string{"sh", "-c", "webpack serve"}
			}
			got := BehindProxy(dir, args, c.has, c.domain)
			if want := slices.Concat(args, strings.Fields(c.added)); !slices.Equal(got.Args, want) {
				t.Errorf("%q, want %q", got.Args, want)
			}
			if !maps.Equal(got.Env, c.env) {
				t.Errorf("%v, want %v", got.Env, c.env)
			}
		})
	}
}
