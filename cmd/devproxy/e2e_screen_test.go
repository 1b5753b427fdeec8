//go:build e2e && unix

package main

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestE2EScreenDemo is `make demo` without Node: everything is in sight once it works, and
// the command that trusts the CA is one that can be copied. When its terminal is closed,
// and at Ctrl-C, it leaves nothing.
func TestE2EScreenDemo(t *testing.T) {
	goTool := needTool(t, "go")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	onScreens(t, func(s *screen) {
		s.dir = root
		// What is cached for this user: the demo builds devproxy and its API.
		for name, variable := range map[string]string{"GOCACHE": "GOCACHE", "GOMODCACHE": "GOMODCACHE", "GOTOOLCHAIN": "GOVERSION"} {
			out, err := runTool(t, installLimit, os.Environ(), goTool, "env", variable)
			if err != nil {
				t.Fatalf("go env: %v\n%s", err, out)
			}
			s.env = append(s.env, name+"="+strings.TrimSpace(out))
		}
		// What takes long on a busy machine comes before the screen.
		for _, argv := range [][]string{{"make", "-C", root, "build"}, {"go", "build", "-C", filepath.Join(root, "testdata/demo/api"), "-o", os.DevNull, "."}} {
			if out, err := runTool(t, installLimit, os.Environ(), needTool(t, argv[0]), argv[1:]...); err != nil {
				t.Fatalf("%q: %v\n%s", argv, err, out)
			}
		}
		// No devproxy on PATH.
		s.env = append(s.env, "PATH="+filepath.Dir(goTool)+":/usr/bin:/bin", "TMPDIR="+s.runtime())
		s.open()
		// Not in the environment of tmux itself.
		mark := "DEVPROXY_E2E_MARK=" + rand.Text()
		demo := "env " + mark + " make --old-file=build demo DEMO_FILE=nonode/Proxyfile DEMO='--https :0 --http :0'"
		s.run("clear; " + demo)
		s.waitFor(`api is ready on :\d+`)
		shown := s.settled(`n new link ·[ \n]x end link`)
		if s.columns == 80 {
			for _, want := range []string{
				"https://", "shop.localhost:", "files ../web", "redirect /docs{rest}", "api is ready on :", "api | api listens on 127.0.0.1:",
				"Browsers will warn about this certificate until you run:", "devproxy trust", ".share.localhost:", "the link works on this machine only",
			} {
				if !strings.Contains(shown, want) {
					t.Errorf("%q is not in sight:\n%s", want, shown)
				}
			}
		}
		s.press("C-z")
		s.waitFor(`Stopped +env`)
		s.run("fg")
		s.waitFor(`(?s)Stopped.*^env`)
		s.press("x")
		s.waitFor(`For a new one: press s`)
		s.press("C-c")
		s.waitFor(`^stopped`)
		noneLeft(t, mark)
		s.fresh(demo, `n new link ·[ \n]x end link`)
		s.tmux("kill-session", "-t", "s")
		noneLeft(t, mark)
	})
}

// noneLeft waits until no process has an entry in its environment.
func noneLeft(t *testing.T, entry string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		left := processesWith(entry)
		if left == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left: %q", left)
		}
	}
}
