//go:build e2e && unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestE2EScreenDemo is `make demo` without Node: the link is in sight, and the
// command that trusts the CA is one that works. When its terminal is closed it
// leaves nothing.
func TestE2EScreenDemo(t *testing.T) {
	goTool := needTool(t, "go")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for program, source := range map[string]string{"bin/demo": "./testdata/demo/run", "bin/devproxy": "./cmd/devproxy"} {
		if out, err := runTool(t, installLimit, os.Environ(), goTool, "build", "-o", filepath.Join(root, program), "../../"+source); err != nil {
			t.Fatalf("cannot build %s: %v\n%s", program, err, out)
		}
	}
	onScreens(t, func(s *screen) {
		s.dir = root
		// What is cached for this user: the demo builds its API.
		for name, variable := range map[string]string{"GOCACHE": "GOCACHE", "GOMODCACHE": "GOMODCACHE", "GOTOOLCHAIN": "GOVERSION"} {
			out, err := runTool(t, installLimit, os.Environ(), goTool, "env", variable)
			if err != nil {
				t.Fatalf("go env: %v\n%s", err, out)
			}
			s.env = append(s.env, name+"="+strings.TrimSpace(out))
		}
		// No devproxy on PATH.
		s.env = append(s.env, "PATH="+filepath.Dir(goTool)+":/usr/bin:/bin", "TMPDIR="+s.runtime())
		s.open()
		s.run("bin/demo --no-node -- --https :0 --http :0")
		s.golden("demo", s.settled(`n new link ·[ \n]x end link`))
		s.press("C-z")
		s.waitFor(`Stopped +bin/demo`)
		s.run("fg")
		s.waitFor(`(?s)Stopped.*^bin/demo`)
		s.press("x")
		s.waitFor(`For a new one: press s`)
		s.tmux("kill-session", "-t", "s")
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			left, err := filepath.Glob(filepath.Join(s.runtime(), "devproxy-demo-*"))
			if err != nil {
				t.Fatal(err)
			}
			if left == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it leaves %q", left)
			}
		}
	})
}
