package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/journal"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestEffectsAreWrapped breaks the list of a question at spaces, and changes no command.
func TestEffectsAreWrapped(t *testing.T) {
	t.Parallel()
	place := []plan.Source{{File: "Proxyfile", Line: 12}}
	effects := []*plan.Effect{
		{Kind: plan.KindCommand, Target: "sh -c 'echo  two spaces and some more words until the end of the line; exec server'", Sources: place},
		{Kind: plan.KindFiles, Target: "/srv/pictures", Sources: place},
	}
	for columns, want := range map[int]string{
		80: `This Proxyfile reaches outside its project:
  Proxyfile:12  command  sh -c 'echo  two spaces and some more words until the
                         end of the line; exec server' (not yet)
  Proxyfile:12  files    /srv/pictures (not yet)
A command runs as you. One such as ` + "`pnpm dev`" + ` runs whatever package.json says,
today and after every pull.
`,
		50: `This Proxyfile reaches outside its project:
  Proxyfile:12  command
      sh -c 'echo  two spaces and some more words
      until the end of the line; exec server'
      (not yet)
  Proxyfile:12  files
      /srv/pictures (not yet)
A command runs as you. One such as ` + "`pnpm dev`" + ` runs
whatever package.json says, today and after every
pull.
`,
	} {
		var out bytes.Buffer
		sized(&out, columns, 24).listEffects(&out, effects, func(*plan.Effect) string { return "(not yet)" })
		if out.String() != want {
			t.Errorf("in %d columns:\n%s", columns, out.String())
		}
	}
}

// TestStatusIsWrapped keeps the columns of routes and services, and breaks lines at spaces.
func TestStatusIsWrapped(t *testing.T) {
	t.Parallel()
	status := control.Status{
		PID: 4711, Log: "/home/ann/.local/share/devproxy/logs/a-project-with-a-long-name-e99e31850d90.log",
		Hosts: []control.Host{{URL: "https://shop.localhost", Routes: []control.Route{
			{Path: "/", Upstream: "needs consent", State: control.StateWithheld},
			{Path: "/docs", Upstream: ":4000", State: control.StateWaiting, Detail: "nothing listens on 127.0.0.1:4000 or [::1]:4000"},
		}}},
		Services: []control.Service{{Name: "web", State: "starting", Port: 3000, Late: "GET /healthz on port 3000 returns 503; expected 200"}},
	}
	var out bytes.Buffer
	printStatus(sized(&out, 60, 24), status)
	text := journal.Plain(out.String())
	for _, want := range []string{
		"  /docs   :4000           waiting\n          nothing listens on 127.0.0.1:4000 or [::1]:4000\n",
		"web   starting   :3000, not ready: GET /healthz on port 3000\n                 returns 503; expected 200\n",
		"its log:\n/home/ann/",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
}
