package hcl

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCommand is a command with everything that goes with it.
func TestCommand(t *testing.T) {
	t.Parallel()
	file, diags := decodeText(`
locals { level = "debug" }
host "shop.localhost" { upstream = service.web }
host "api.shop.localhost" {
  route "/" { upstream = service.api }
}
service "web" {
  command    = "pnpm  --filter 'web app' dev --port={port} \"a \\\"b\\\"\" c\\ d '$HOME' '*' # comment"
  depends_on = ["api", service.worker]
  env = {
    API     = service.api.url
    ORIGIN  = service.api.origin
    LEVEL   = local.level
    COUNT   = 3
    REMOVED = null
  }
  ready   = { path = "/healthz?x", status = 204 }
  restart = "never"
  stop    = "30s"
}
service "api" {
  command  = ["go", "run", "./api", 3, "{port}"]
  upstream = 3000
  dir      = "../api"
  ready    = { log = "listening" }
}
service "worker" { command = "node worker.js" }
`, "")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	commands := map[string]*Command{}
	for _, service := range file.Services {
		commands[service.Name] = service.Command
	}
	web, api, worker := commands["web"], commands["api"], commands["worker"]
	if want := []string{"pnpm", "--filter", "web app", "dev", "--port=20000", `a "b"`, "c d", "$HOME", "*"}; !slices.Equal(web.Args, want) {
		t.Errorf("%q, want %q", web.Args, want)
	}
	if !slices.Contains(web.Written, "--port=$PORT") && !slices.Contains(web.Written, "--port={port}") {
		t.Errorf("written %q", web.Written)
	}
	want := []Variable{
		{Name: "API", Value: "http://127.0.0.1:3000", Shown: "http://127.0.0.1:3000", Moves: true},
		{Name: "COUNT", Value: "3", Shown: "3"},
		{Name: "LEVEL", Value: "debug", Shown: "debug"},
		{Name: "ORIGIN", Value: "https://api.shop.localhost", Shown: "service.api.origin", Address: true, Moves: true},
		{Name: "REMOVED", Unset: true},
	}
	if diff := cmp.Diff(want, web.Env); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
	var names []string
	for _, name := range web.DependsOn {
		names = append(names, name.Value)
	}
	if !slices.Equal(names, []string{"api", "worker"}) || web.Ready != (Ready{Path: "/healthz?x", Status: 204}) || web.Restart != RestartNever || web.Stop != 30*time.Second || !web.Chosen || web.Port != 20000 {
		t.Errorf("web: %q %+v", names, web)
	}
	if !slices.Equal(api.Args, []string{"go", "run", "./api", "3", "3000"}) || api.Port != 3000 || api.Chosen || api.Dir != filepath.Join(filepath.Dir(file.Dir), "api") ||
		api.Ready != (Ready{Log: "listening"}) || api.Restart != RestartOnFailure {
		t.Errorf("api: %+v", api)
	}
	if worker.Port == 0 {
		t.Error("worker has no port, although web refers to it")
	}
}

// TestCommandWithoutPort is a service that nothing refers to.
func TestCommandWithoutPort(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string]bool{
		`command = "node worker.js"`:                                                        false,
		"command = \"node worker.js\"\n ready = { log = \"ready\" }":                        false,
		`command = "node worker.js {port}"`:                                                 true,
		"command = \"node worker.js\"\n ready = { path = \"/\" }":                           true,
		"command = \"node worker.js\"\n upstream = 3000":                                    true,
		"command = \"node worker.js\"\n}\nservice \"b\" {\n upstream = service.worker.port": true,
	} {
		file, diags := decodeText("host \"a.localhost\" { upstream = 1 }\nservice \"worker\" {\n "+text+"\n}", "")
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if got := file.Services[0].Command.Port != 0; got != wants {
			t.Errorf("%s: has a port: %v, want %v", strings.ReplaceAll(text, "\n", ";"), got, wants)
		}
	}
}

// TestCommandIsNotInherited checks that a service of another service does not run its
// command a second time.
func TestCommandIsNotInherited(t *testing.T) {
	t.Parallel()
	file, diags := decodeText(`
host "a.localhost" { upstream = service.second }
service "first" {
  command = "node server.js"
  timeout = "1s"
}
service "second" { upstream = service.first }
`, "")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if first, second := file.Services[0], file.Services[1]; first.Command == nil || second.Command != nil || second.Timeout == nil || second.Upstream.Members[0].Port != first.Command.Port {
		t.Errorf("%+v\n%+v", first, second)
	}
}

// TestManyDependencies has more ways through its dependencies than could be followed one
// by one.
func TestManyDependencies(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("host \"a.localhost\" { upstream = service.a0 }\n")
	for i := range 64 {
		for _, name := range []string{"a", "b"} {
			fmt.Fprintf(&text, "service \"%s%d\" {\n command = \"true\"\n depends_on = [\"a%d\", \"b%[3]d\"]\n}\n", name, i, i+1)
		}
	}
	const last = "service \"a64\" { command = \"true\" }\nservice \"b64\" {\n command = \"true\"\n"
	if _, diags := decodeText(text.String()+last+"}\n", ""); diags.HasErrors() {
		t.Fatal(diags)
	}
	_, diags := decodeText(text.String()+last+" depends_on = [\"a63\"]\n}\n", "")
	var cycles []string
	for _, d := range diags {
		if strings.Contains(d.Summary, "waits for itself") {
			cycles = append(cycles, d.Summary)
		}
	}
	if want := []string{`service "a63" waits for itself: a63 -> b64 -> a63`, `service "b64" waits for itself: b64 -> a63 -> b64`}; !slices.Equal(cycles, want) {
		t.Errorf("%q, want %q", cycles, want)
	}
}
