package scaffold

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

// startedIn returns the services with commands of the Proxyfile that is written for a
// project, by their name.
func startedIn(t *testing.T, dir string) map[string]*hcl.Command {
	t.Helper()
	r := read(t, dir)
	valid(t, dir, r)
	commands := map[string]*hcl.Command{}
	if r.Text == nil {
		return commands
	}
	file, _, err := hcl.Load(filepath.Join(dir, "Proxyfile"), hcl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range file.Services {
		if s.Command != nil {
			commands[s.Name] = s.Command
		}
	}
	return commands
}

// hostile are parts of names that mean something to a shell, to HCL or to devproxy.
var hostile = []string{
	"plain", "a b", `"`, "'", "`id`", "$(id)", "${HOME}", "$PORT", "%{if}", "{port}", "{prt}", "a\nb", "\t", `\`, "; rm -rf x", "&& x", "| x", "#", "*", "~", "-rf", "--prefix=x",
	"ü", "u\u0308", "\x1b[31m", "\u202e", "=", "x=y", "{a,b}", "..", "@", "\u0000", "\xff", "run", "://",
}

// FuzzScriptName: whatever scripts and folders are called, a command that is written runs
// exactly that script in exactly that folder.
func FuzzScriptName(f *testing.F) {
	for i, part := range hostile {
		f.Add("dev:"+part, "apps", uint8(i))
		f.Add("dev", part, uint8(i))
	}
	locks := []string{"package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"}
	f.Fuzz(func(t *testing.T, script, folder string, manager uint8) {
		dir := filepath.Join(t.TempDir(), "shop")
		within := filepath.Join(dir, folder)
		if !filepath.IsLocal(folder) || strings.Count(folder, "/") > 1 || os.MkdirAll(within, 0o700) != nil {
			t.Skip("not a folder of the project")
		}
		config, err := json.Marshal(map[string]any{"scripts": map[string]string{script: "vite"}})
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ Scripts map[string]string }
		if json.Unmarshal(config, &back) != nil || back.Scripts[script] == "" {
			t.Skip("JSON has no such name")
		}
		lock := locks[int(manager)%len(locks)]
		putFile(t, filepath.Join(within, "package.json"), config)
		putFile(t, filepath.Join(dir, lock), nil)
		commands := startedIn(t, dir)
		if len(commands) > 1 {
			t.Fatalf("%d commands, want at most one", len(commands))
		}
		for _, c := range commands {
			name, _, _ := strings.Cut(lock, ".")
			want := map[string][]string{
				"package-lock": {"npm", "run", script, "--", "--port", "{port}"}, "pnpm-lock": {"pnpm", "run", script, "--port", "{port}"},
				"yarn": {"yarn", "run", script, "--port", "{port}"}, "bun": {"bun", "run", script, "--port", "{port}"},
			}[name]
			if script == "dev" && (name == "pnpm-lock" || name == "yarn") {
				want = slices.Delete(want, 1, 2)
			}
			if !slices.Equal(c.Written, want) {
				t.Errorf("%q, want %q", c.Written, want)
			}
			if c.Dir != within {
				t.Errorf("in %q, want %q", c.Dir, within)
			}
		}
	})
}

// FuzzProcess: the command of a process comes out as the words that its line has.
func FuzzProcess(f *testing.F) {
	for _, part := range hostile {
		f.Add(part, "web")
		f.Add("x", part)
	}
	f.Fuzz(func(t *testing.T, argument, folder string) {
		if strings.ContainsAny(argument+folder, "\n\r\x00") {
			t.Skip("a line of a Procfile cannot have it")
		}
		quote := func(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
		dir := filepath.Join(t.TempDir(), "shop")
		if !filepath.IsLocal(folder) || strings.Contains(folder, "/") || os.MkdirAll(filepath.Join(dir, folder), 0o700) != nil {
			t.Skip("not a folder of the project")
		}
		line := "web: cd " + quote(folder) + " && NAME=" + quote(argument) + " uvicorn " + quote(argument) + " --port 3000\n"
		putFile(t, filepath.Join(dir, "Procfile.dev"), []byte(line))
		for _, c := range startedIn(t, dir) {
			if want := []string{"uvicorn", argument, "--port", "{port}"}; !slices.Equal(c.Written, want) {
				t.Errorf("%q, want %q", c.Written, want)
			}
			if c.Dir != filepath.Join(dir, folder) {
				t.Errorf("in %q, want %q", c.Dir, folder)
			}
			if len(c.Env) != 1 || c.Env[0].Value != argument {
				t.Errorf("%+v, want NAME=%q", c.Env, argument)
			}
		}
	})
}

// TestNoCommands: without commands, only ports are written.
func TestNoCommands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	putFile(t, filepath.Join(dir, "package.json"), []byte(`{"scripts":{"dev":"vite"}}`))
	putFile(t, filepath.Join(dir, "Procfile.dev"), []byte("worker: sidekiq\n"))
	r, err := Read(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "host \"shop.localhost\" {\n  upstream = 5173 # vite\n}\n"; string(r.Text) != want || r.Starts != 0 {
		t.Errorf("%d commands and %s, want %s", r.Starts, r.Text, want)
	}
}

// TestInstall: it is named once what a command needs is not installed.
func TestInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	putFile(t, filepath.Join(dir, "apps/web/package.json"), []byte(`{"scripts":{"dev":"vite"},"devDependencies":{"vite":"8"}}`))
	putFile(t, filepath.Join(dir, "pnpm-lock.yaml"), nil)
	if r := read(t, dir); r.Install != "pnpm install" {
		t.Errorf("%q, want pnpm install", r.Install)
	}
	if err := os.MkdirAll(filepath.Join(dir, "node_modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r := read(t, dir); r.Install != "" {
		t.Errorf("%q, and everything is installed", r.Install)
	}
}

// TestServersOfOnePort: a server that a person starts keeps its host, although devproxy
// starts another one that has the same port by itself.
func TestServersOfOnePort(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shop")
	for name, content := range map[string]string{
		"package.json":       `{"name": "shop", "workspaces": ["*"]}`,
		"web/package.json":   `{"name": "web", "scripts": {"dev": "vite"}, "devDependencies": {"vite": "5"}}`,
		"admin/package.json": `{"name": "admin", "scripts": {"dev": "vite & tsc -w"}, "devDependencies": {"vite": "5"}}`,
	} {
		putFile(t, filepath.Join(dir, name), []byte(content))
	}
	r := read(t, dir)
	valid(t, dir, r)
	for host, want := range map[string]string{"shop.localhost": "service.web", "admin.shop.localhost": "5173"} {
		if text := "host \"" + host + "\" {\n  upstream = " + want + " "; !strings.Contains(string(r.Text), text) {
			t.Errorf("%s does not lead to %s:\n%s", host, want, r.Text)
		}
	}
}
