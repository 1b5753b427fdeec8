package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// TestConfigurations has the proxy configurations of well-known projects,
// written as Proxyfiles, answer typical requests like the originals. A file has
// in its comments
//
//	#+ FILE                                     a file that is there
//	#> METHOD URL | ROUTE | ANSWER | FIELD      a request, as explain explains it
//
// FIELD, which may be left out, is one that is sent to the upstream or to the client.
func TestConfigurations(t *testing.T) {
	files, err := filepath.Glob("../../testdata/configurations/*.hcl")
	if err != nil || len(files) < 12 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".hcl"), func(t *testing.T) {
			text := readText(t, file)
			dir := t.TempDir()
			for _, name := range commented(text, "#+ ") {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p := planOf(t, dir, text)
			for _, line := range commented(text, "#> ") {
				checkExplained(t, p, dir, line)
			}
		})
	}
}

// commented are the lines of text that begin with mark.
func commented(text, mark string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if after, is := strings.CutPrefix(strings.TrimSpace(line), mark); is {
			lines = append(lines, after)
		}
	}
	return lines
}

// planOf is the plan of a Proxyfile in dir, of which check has nothing to say.
func planOf(t *testing.T, dir, text string) *plan.Plan {
	t.Helper()
	path := filepath.Join(dir, "Proxyfile")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{WorkDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	p, more := plan.Build(file, plan.Env{})
	if diags = append(diags, more...); len(diags) > 0 {
		_ = diags.Write(t.Output(), file.Sources, false)
		t.Fatal("check reports something")
	}
	return p
}

func checkExplained(t *testing.T, p *plan.Plan, dir, line string) {
	t.Helper()
	cells := strings.Split(line, "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	method, url, _ := strings.Cut(cells[0], " ")
	v, err := parseVisit(url, p)
	if err != nil {
		t.Fatal(line, err)
	}
	v.method, v.header = method, http.Header{}
	x := explain(p, v)
	route := ""
	if x.Route != nil {
		route = x.Route.Name
	}
	if got := explained(x, dir); route != cells[1] || got != cells[2] {
		t.Errorf("%s\nis explained as %s | %s", line, route, got)
	}
	if len(cells) < 4 {
		return
	}
	fields := x.Answer.Headers
	if x.Sends != nil {
		fields = append(fields, x.Sends.Headers...)
	}
	for _, f := range fields {
		if f.Name+": "+f.Value == cells[3] {
			return
		}
	}
	t.Errorf("%s\nhas the fields %v", line, fields)
}

// explained is what x says of the answer, with paths relative to dir.
func explained(x *explanation, dir string) string {
	inDir := func(path string) string {
		path, _ = filepath.Rel(dir, path)
		return filepath.ToSlash(path)
	}
	switch a := x.Answer; {
	case x.Error != nil:
		return fmt.Sprint(x.Error.Status)
	case a.Kind == "upstream" && a.TryFiles != nil && a.TryFiles.Found:
		return "try_files " + inDir(a.TryFiles.Dir) + " " + a.TryFiles.Path
	case a.Kind == "upstream":
		return a.Text + " " + x.Sends.Target
	case a.Kind == "files" && a.Path == "":
		return "file " + inDir(a.Dir)
	case a.Kind == "files":
		return "files " + inDir(a.Dir) + " " + a.Path
	case a.Kind == "redirect":
		return fmt.Sprintf("%d %s", a.Status, a.Location)
	default:
		return strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, a.Body))
	}
}
