//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// onScreens runs a test on a usual and on a small terminal.
func onScreens(t *testing.T, test func(s *screen)) {
	for _, size := range [][2]int{{80, 24}, {40, 20}} {
		test(newScreen(t, size[0], size[1]))
	}
}

const sampleProxyfile = `host "shop.localhost" {
  upstream = "unix:web.sock"

  route "/healthz" { respond = 204 }
}

host "mail.shop.localhost" { respond = 204 }
`

func TestScreenInit(t *testing.T) {
	onScreens(t, func(s *screen) {
		s.write("web/vite.config.ts", "export default { server: { proxy: { '/api': 'http://localhost:3000' } } }\n")
		s.write("web/package.json", `{"scripts": {"dev": "vite"}, "devDependencies": {"vite": "^8.0.0"}}`)
		s.write("web/package-lock.json", "{}")
		s.write("compose.yaml", "services:\n  mailpit:\n    ports: [\"8025:8025\"]\n")
		s.open()
		s.run("devproxy init")
		s.waitFor(`Write Proxyfile\? \[Y/n\]`)
		s.press("y", "Enter")
		s.golden("init", s.settled(`^next: (.+\n)+\$`))
	})
}

func TestScreenUp(t *testing.T) {
	onScreens(t, func(s *screen) {
		s.write("Proxyfile", sampleProxyfile)
		s.open()
		s.run("devproxy up --https :0 --http :0")
		s.golden("up", s.settled(`q quit`))
		s.press("q")
		s.waitFor(`^stopped`)
	})
}

// TestScreenShare has the link in sight, and tells how to share again after x.
func TestScreenShare(t *testing.T) {
	onScreens(t, func(s *screen) {
		s.write("Proxyfile", sampleProxyfile)
		relay := exec.CommandContext(t.Context(), "devproxy", "relay", "--dev")
		relay.Env, relay.Dir = s.env, s.dir
		out, err := os.Create(filepath.Join(s.home, "relay.out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		relay.Stdout, relay.Stderr = out, out
		if err := relay.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = relay.Process.Signal(os.Interrupt)
			_ = relay.Wait() // it has done its job
		}()
		s.open()
		s.run("clear; until grep -o 'https.*' " + out.Name() + "; do sleep 0.1; done")
		url := s.waitFor(`^(https://share\.localhost:\d+)\n`)
		s.run("clear; tmux -S " + s.socket + " clear-history; DEVPROXY_RELAY=" + url + "/")
		s.run("export DEVPROXY_RELAY; clear")
		s.run("devproxy share --https :0 --http :0")
		s.golden("share", s.settled(`n new link ·[ \n]x end link`))
		s.press("x")
		s.waitFor(`For a new one: press s`)
		s.press("q")
		s.waitFor(`^stopped`)
	})
}

// TestScreenTrust asks before it becomes root, with no as what Enter means.
func TestScreenTrust(t *testing.T) {
	trustTool(t, "certutil")
	needRootToBeSomebody(t)
	onScreens(t, func(s *screen) {
		program, err := os.ReadFile(trustTool(t, "devproxy"))
		if err != nil {
			t.Fatal(err)
		}
		bin := filepath.Join(s.dir, "bin")
		if err := os.Mkdir(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{"devproxy": program, "sudo": []byte("#!/bin/sh\necho sudo was run\n")} {
			if err := os.WriteFile(filepath.Join(bin, name), text, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		root := filepath.Dir(s.dir)
		for _, dir := range []string{root, s.dir, s.home, s.runtime()} {
			if err := os.Chown(dir, someUser, someUser); err != nil {
				t.Fatal(err)
			}
		}
		s.as = &syscall.Credential{Uid: someUser, Gid: someUser}
		s.env = append(s.env, "PATH="+bin+":"+os.Getenv("PATH"))
		s.open()
		s.run("devproxy trust")
		s.waitFor(`Run it\? \[y/N\]`)
		s.press("Enter")
		s.golden("trust", s.settled(`Undo: devproxy untrust`))
		s.run("echo $?")
		s.waitFor(`^1$`)
		if strings.Contains(s.whole(), "sudo was run") {
			t.Error("Enter alone ran a command as root")
		}
	})
}

func needRootToBeSomebody(t *testing.T) {
	t.Helper()
	switch {
	case os.Getuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("only root can be somebody else")
	default:
		t.Skip("only root can be somebody else")
	}
}
