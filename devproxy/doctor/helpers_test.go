package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/tunnel/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Run(m, "devproxy/doctor.")) }

// variables is an environment.
type variables map[string]string

func (v variables) get(name string) string { return v[name] }

// subject is a project with this Proxyfile, in a folder of its own.
func subject(t *testing.T, proxyfile string, env variables) *Subject {
	t.Helper()
	root := realDir(t)
	path := filepath.Join(root, "Proxyfile")
	write(t, path, proxyfile)
	file, diags, err := hcl.Load(path, hcl.Options{Getenv: env.get, WorkDir: root})
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	built, diags := plan.Build(file, plan.Env{Root: root})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	s := &Subject{
		Getenv: env.get, Home: filepath.Join(root, "home"), Runtime: filepath.Join(root, "run"), Hosts: filepath.Join(root, "hosts"), User: "1000",
		Project: &Project{File: "Proxyfile", Folder: root, Root: root, Plan: built},
	}
	t.Cleanup(s.Close)
	return s
}

// realDir is a new folder, links followed.
func realDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// expect compares findings with lines "check state detail | fix".
func expect(t *testing.T, what string, got []Finding, want ...string) {
	t.Helper()
	var lines []string
	for _, f := range got {
		line := strings.TrimSpace(f.Check + " " + string(f.State) + " " + f.Detail)
		if f.Fix != "" {
			line += " | " + f.Fix
		}
		lines = append(lines, line)
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(lines, "\n     "), strings.Join(want, "\n     "))
	}
}

// skip skips a test that this machine cannot run. CI has everything.
func skip(t *testing.T, why error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
