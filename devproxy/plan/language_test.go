package plan

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/hcl"
)

var fence = regexp.MustCompile("(?ms)^```(hcl|text)\n(.*?)^```$")

// TestLanguagePage loads the examples of hcl/README.md and has each line below an
// example come true.
func TestLanguagePage(t *testing.T) {
	page, err := os.ReadFile("../../hcl/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var p *Plan
	examples, lines := 0, 0
	worktrees := regexp.MustCompile("(?ms)^## Worktrees\n(.*?)^## ").FindIndex(page)
	for _, at := range fence.FindAllSubmatchIndex(page, -1) {
		block := []string{"", string(page[at[2]:at[3]]), string(page[at[4]:at[5]])}
		if block[1] == "hcl" {
			var worktree *hcl.Worktree
			if worktrees[0] < at[0] && at[0] < worktrees[1] {
				worktree = &hcl.Worktree{Name: "fix-ui", Key: "fix-ui"}
			}
			p = loadExample(t, block[2], worktree)
			examples++
			continue
		}
		for line := range strings.Lines(block[2]) {
			checkRequest(t, p, strings.TrimSpace(line))
			lines++
		}
	}
	if examples == 0 || lines < examples {
		t.Errorf("%d examples with %d lines", examples, lines)
	}
}

// loadExample is the plan of a Proxyfile, which must have no mistakes and no warnings
// but for folders that are not there.
func loadExample(t *testing.T, text string, worktree *hcl.Worktree) *Plan {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "Proxyfile")
	for _, folder := range regexp.MustCompile(`files\s*= "([^"]+)"`).FindAllStringSubmatch(text, -1) {
		name := filepath.Join(dir, filepath.FromSlash(folder[1]))
		if filepath.Ext(name) != "" {
			if os.MkdirAll(filepath.Dir(name), 0o755) != nil || os.WriteFile(name, nil, 0o644) != nil {
				t.Fatal("cannot write ", name)
			}
		} else if os.MkdirAll(name, 0o755) != nil {
			t.Fatal("cannot make ", name)
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{WorkDir: dir, Worktree: worktree, Getenv: func(string) string { return "" }})
	if err != nil || len(diags) > 0 {
		t.Fatalf("%v %v in\n%s", err, diags, text)
	}
	p, more := Build(file, Env{})
	if len(more) > 0 {
		t.Fatalf("%v in\n%s", more, text)
	}
	return p
}

var columns = regexp.MustCompile(`\s{2,}`)

// checkRequest checks a line: a request, the route that takes it, and what becomes
// of it, in columns that two spaces or more separate.
func checkRequest(t *testing.T, p *Plan, line string) {
	t.Helper()
	cells := columns.Split(line, 3)
	method, target, ok := strings.Cut(cells[0], " ")
	if len(cells) != 3 || !ok || p == nil {
		t.Fatalf("not a request, a route and an answer: %q", line)
	}
	host := p.Hosts()[0].Name
	if after, isURL := strings.CutPrefix(target, "https://"); isURL {
		host, target, _ = strings.Cut(after, "/")
		target = "/" + target
	}
	path, query, _ := strings.Cut(target, "?")
	m, err := p.Match(Request{Method: method, Host: host, Path: path, RawQuery: query})
	if err != nil {
		t.Errorf("%s: %v", line, err)
		return
	}
	if got := m.Route.Label(); got != cells[1] {
		t.Errorf("%s: route %s", line, got)
	}
	m = m.With(Values{Client: "127.0.0.1", Host: host, Path: path, Query: query, ID: "0123456789abcdef0123456789abcdef"})
	if got := becomes(m, method, path, query); got != cells[2] {
		t.Errorf("%s: becomes %s", line, got)
	}
}

// becomes describes the result of a route for a request.
func becomes(m Match, method, path, query string) string {
	switch a := m.Route.Answer.(type) {
	case *Upstream:
		text := a.Text + " " + m.Target(path)
		if f := m.Route.TryFiles; f != nil && method == "GET" {
			text += ", or " + f.Text + m.TryPath()
		}
		return text
	case *Files:
		if filepath.Ext(a.Text) != "" {
			return a.String() // a file
		}
		return a.String() + " " + cmp.Or(m.FilesPath(), "/")
	case *Redirect:
		return fmt.Sprintf("%d %s", a.Status, m.Location(query))
	}
	return m.Route.Answer.String()
}
