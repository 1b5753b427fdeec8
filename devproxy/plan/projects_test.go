package plan

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/hcl"
)

// ask is a request to a project with its expected route.
type ask struct {
	request string // METHOD URL, then header fields, one on each line
	// route and answer are its label and its answer in words; target is the
	// path that is forwarded, or where a redirect goes.
	route, answer, target string
	// settings are the route's settings other than its answer.
	settings []string
}

// TestProjects: a developer's week. The requirements of each project are at the
// top of its Proxyfile.
func TestProjects(t *testing.T) {
	for name, asks := range projects() {
		t.Run(name, func(t *testing.T) {
			p := project(t, name)
			for _, a := range asks {
				check(t, p, a)
			}
		})
	}
}

func project(t *testing.T, name string) *Plan {
	t.Helper()
	path, err := filepath.Abs("../../testdata/proxyfile/valid/" + name + ".hcl")
	if err != nil {
		t.Fatal(err)
	}
	file, diags, err := hcl.Load(path, hcl.Options{WorkDir: filepath.Dir(path), Getenv: func(string) string { return "" }})
	if err != nil || len(diags) > 0 {
		t.Fatal(err, diags)
	}
	p, diags := Build(file, Env{})
	if len(diags) > 0 {
		t.Fatalf("the plan has diagnostics: %v", diags)
	}
	return p
}

func check(t *testing.T, p *Plan, a ask) {
	t.Helper()
	r := requestOf(t, a.request)
	m, err := p.Match(r)
	if err != nil {
		t.Errorf("%s: %v", a.request, err)
		return
	}
	if m.Route.Label() != a.route || m.Route.Answer.String() != a.answer {
		t.Errorf("%s: route %s, answer %s; want %s, %s", a.request, m.Route.Label(), m.Route.Answer, a.route, a.answer)
	}
	target := m.Target(r.Path)
	if _, redirects := m.Route.Answer.(*Redirect); redirects {
		target = m.Location(r.RawQuery)
	}
	if target != a.target {
		t.Errorf("%s: target %s; want %s", a.request, target, a.target)
	}
	answer := answerLines(m.Route.Answer)
	var settings []string
	for _, line := range m.Route.lines() {
		if !slices.Contains(answer, line) {
			settings = append(settings, line)
		}
	}
	if _, forwards := m.Route.Answer.(*Upstream); forwards {
		for _, line := range answer {
			if !strings.HasPrefix(line, "upstream ") {
				settings = append(settings, line)
			}
		}
	}
	if diff := cmp.Diff(a.settings, settings); diff != "" {
		t.Errorf("%s: settings (-want +got):\n%s", a.request, diff)
	}
}

// requestOf parses "GET app.localhost/x?y" and the fields below it.
func requestOf(t *testing.T, text string) Request {
	t.Helper()
	line, fields, _ := strings.Cut(text, "\n")
	method, url, ok := strings.Cut(line, " ")
	if !ok {
		t.Fatalf("%q is not a request", text)
	}
	host, rest, _ := strings.Cut(url, "/")
	path, query, _ := strings.Cut("/"+rest, "?")
	header := http.Header{}
	for field := range strings.Lines(fields) {
		name, value, _ := strings.Cut(strings.TrimSpace(field), ": ")
		header.Add(name, value)
	}
	return Request{Method: method, Host: host, Path: path, RawQuery: query, Header: header}
}
