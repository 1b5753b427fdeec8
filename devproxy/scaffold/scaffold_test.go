package scaffold

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// TestFixtures reads each project of testdata. Its file "want" is what is
// said, and the Proxyfile. A file "listening" has the processes that listen: a
// name, a folder of the project, ports.
func TestFixtures(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			dir, want := filepath.Join(t.TempDir(), project(name)), ""
			var listening []Listener
			for _, f := range archive.Files {
				switch f.Name {
				case "want":
					want = string(f.Data)
					continue
				case "listening":
					for line := range strings.Lines(string(f.Data)) {
						listening = append(listening, listener(t, dir, line))
					}
					continue
				}
				putFile(t, filepath.Join(dir, f.Name), f.Data)
			}
			got := read(t, dir, listening...)
			if diff := cmp.Diff(want, spell(got)); diff != "" && *update {
				rewrite(t, name, archive, spell(got))
			} else if diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			valid(t, dir, got)
		})
	}
}

var update = flag.Bool("update", false, "rewrite what the fixtures want; read the change before you commit it")

func rewrite(t *testing.T, name string, archive *txtar.Archive, want string) {
	t.Helper()
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}

// project is the folder's name of a fixture: that of its file.
func project(fixture string) string { return strings.TrimSuffix(filepath.Base(fixture), ".txtar") }

func spell(r *Result) string {
	var out strings.Builder
	for _, f := range r.Found {
		fmt.Fprintf(&out, "found %s: %s\n", f.File, f.Text)
	}
	for _, n := range r.Notes {
		at := n.File
		if n.Line > 0 {
			at = fmt.Sprintf("%s:%d", at, n.Line)
		}
		if at != "" {
			at += ": "
		}
		fmt.Fprintf(&out, "note %s%s\n", at, n.Text)
	}
	if r.Text != nil {
		fmt.Fprintf(&out, "\n%s", r.Text)
	}
	return out.String()
}

func putFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// listener is "node web 5173": a process in the folder web.
func listener(t *testing.T, dir, line string) Listener {
	t.Helper()
	words := strings.Fields(line)
	l := Listener{Name: words[0], Dir: filepath.Join(dir, words[1])}
	for _, word := range words[2:] {
		port, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		l.Ports = append(l.Ports, port)
	}
	return l
}

func read(t *testing.T, dir string, listening ...Listener) *Result {
	t.Helper()
	r, err := Read(dir, Options{Listening: listening, Commands: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// valid fails if `devproxy check` reports anything about the Proxyfile written
// for the project in dir.
func valid(t *testing.T, dir string, r *Result) {
	t.Helper()
	if r.Text == nil {
		return
	}
	path := filepath.Join(dir, "Proxyfile")
	putFile(t, path, r.Text)
	file, diags, err := hcl.Load(path, hcl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !diags.HasErrors() {
		_, more := plan.Build(file, plan.Env{Root: dir})
		diags = append(diags, more...)
	}
	for _, d := range diags {
		t.Errorf("line %d: %s: %s\n%s", d.Range.Start.Line, d.Summary, d.Detail, r.Text)
	}
	again, _ := hcl.Format(r.Text, "Proxyfile")
	if diff := cmp.Diff(string(r.Text), string(again)); diff != "" {
		t.Errorf("not formatted:\n%s", diff)
	}
}

// TestSmallest: the file is valid as it is written, with each line of code
// uncommented, and with all of them.
func TestSmallest(t *testing.T) {
	text := string(Smallest("shop.localhost"))
	valid(t, t.TempDir(), &Result{Text: []byte(text)})
	if strings.Contains(text, "HOST") {
		t.Errorf("a host is missing:\n%s", text)
	}
	code := regexp.MustCompile(`(?m)^( *)# ((?:host|route) .*)$`)
	found := code.FindAllStringIndex(text, -1)
	if len(found) != 3 {
		t.Fatalf("%d lines to uncomment:\n%s", len(found), text)
	}
	for _, at := range found {
		one := text[:at[0]] + code.ReplaceAllString(text[at[0]:at[1]], "$1$2") + text[at[1]:]
		valid(t, t.TempDir(), &Result{Text: []byte(one)})
	}
	valid(t, t.TempDir(), &Result{Text: []byte(code.ReplaceAllString(text, "$1$2"))})
}

func TestWriteNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Proxyfile")
	if err := Write(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("second")); !errors.Is(err, ErrExists) {
		t.Errorf("error %v, want ErrExists", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "first" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestLargeFileIsNotRead(t *testing.T) {
	dir := t.TempDir()
	putFile(t, filepath.Join(dir, "Procfile"), append([]byte("web: x -p 3000\n#"), make([]byte, maxFile)...))
	r := read(t, dir)
	if r.Text != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Text, "larger than 1024 KiB") {
		t.Errorf("%+v", r)
	}
}

func TestLinkOutIsNotFollowed(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	putFile(t, filepath.Join(outside, "Procfile"), []byte("web: x -p 3000\n"))
	if err := os.Symlink(filepath.Join(outside, "Procfile"), filepath.Join(dir, "Procfile")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "sub")); err != nil {
		t.Fatal(err)
	}
	if r := read(t, dir); r.Text != nil {
		t.Errorf("read through a link: %s", r.Text)
	}
}

// FuzzRead gives a hostile text to each reader: no reader panics, and the
// written Proxyfile is valid.
func FuzzRead(f *testing.F) {
	files := []string{"vite.config.ts", "package.json", "compose.yaml", "Procfile", ".slim.yaml", ".localias.yaml", "portless.json", "Caddyfile", "vue.config.js", "angular.json", "nuxt.config.ts",
		"Makefile", "justfile", "Taskfile.yml", "pyproject.toml", ".env", "composer.json", "project.json", "ecosystem.config.js", "mprocs.yaml", "server.js", "config/puma.rb", "main.go", "launchSettings.json", "src/setupProxy.js"}
	// Configurations are read for the tools that scripts start.
	around := map[string]string{
		"package.json": `{ "scripts": { "dev": "concurrently vite 'vue-cli-service serve' 'ng serve' 'nuxt dev' 'node server.js' 'react-scripts start'" }, "dependencies": { "express": "5" } }`,
		"Gemfile":      "gem 'rails'", "config.ru": "", "go.mod": "module x", ".env": "PORT=4000\nX=1",
	}
	archives, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			for i, known := range files {
				if filepath.Base(file.Name) == filepath.Base(known) {
					f.Add(uint8(i), string(file.Data))
				}
			}
		}
	}
	f.Add(uint8(5), "a${b}\"%{c}: 3000")
	f.Add(uint8(0), "export default { server: { proxy: { '/${a}\\\"': 'http://${b}:1' } } }")
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		dir := filepath.Join(t.TempDir(), "shop")
		for name, content := range around {
			putFile(t, filepath.Join(dir, name), []byte(content))
		}
		putFile(t, filepath.Join(dir, files[int(which)%len(files)]), []byte(text))
		valid(t, dir, read(t, dir, Listener{Name: "node", Dir: dir, Ports: []int{4321}}))
	})
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"plain":      `"plain"`,
		`a"b\c`:      `"a\"b\\c"`,
		"${x} %{y}":  `"$${x} %%{y}"`,
		"$5 100%":    `"$5 100%"`,
		"a\nb\x1b[m": `"a\u000ab\u001b[m"`,
	} {
		if got := hcl.Quote(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
