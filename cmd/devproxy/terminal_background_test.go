//go:build unix

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inBackground runs `up -d` on a screen.
func inBackground(t *testing.T) (s *screen, pid int) {
	t.Helper()
	s = newScreen(t, 80, 24)
	s.write("Proxyfile", sampleProxyfile)
	s.open()
	s.fresh("devproxy up -d --https :0 --http :0; echo it is $?", `^it is 0`)
	pid = s.pidOfUp()
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // a passing test has ended it
	return s, pid
}

// TestBackgroundOutlivesItsTerminal: what `up -d` starts goes on when the terminal is
// closed.
func TestBackgroundOutlivesItsTerminal(t *testing.T) {
	s, pid := inBackground(t)
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("it is in session %d, %v; want its own, %d", session, err, pid)
	}
	s.tmux("kill-session", "-t", "s")
	s.open()
	s.fresh("devproxy logs", `^Proxyfile is watched`)
	s.fresh("devproxy down; echo it is $?", `^it is 0`)
	wantNothingLeft(t, pid, s.runtime())
}

// TestBackgroundAsksFirst: consent is asked for on the terminal, before anything is in
// the background.
func TestBackgroundAsksFirst(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.write("Proxyfile", `host "shop.localhost" { upstream = "https://api.example.com" }`+"\n")
	s.open()
	s.run("devproxy up -d --https :0 --http :0; echo it is $?")
	s.waitFor(`^Allow this from now on\? \[y/N\]`)
	s.run("n")
	s.waitFor(`^it is 1`)
	s.fresh("devproxy status; echo it is $?", `^it is 1`)
	s.fresh("devproxy up -d --https :0 --http :0; echo it is $?", `^Allow this from now on\? \[y/N\]`)
	s.run("y")
	s.waitFor(`^it is 0`)
	pid := s.pidOfUp()
	s.fresh("devproxy down; echo it is $?", `^it is 0`)
	wantNothingLeft(t, pid, s.runtime())
}

// TestAttach: a second `up` shows the output of the first, and leaves it running.
func TestAttach(t *testing.T) {
	s, pid := inBackground(t)
	s.run("clear; devproxy up")
	s.waitFor(fmt.Sprintf(`^attached to devproxy \(pid %d\) · Ctrl-C detaches · devproxy down stops it`, pid))
	url := s.waitFor(`^(https://mail\.shop\.localhost:\d+)`)
	response, err := s.client().Get(url + "/attached")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	s.waitFor(`^\d\d:\d\d:\d\d  GET +mail\.shop\.localhost/attached +204`)
	if whole := s.whole(); !strings.Contains(whole, "/attached") || strings.Contains(whole, "is watched") {
		t.Errorf("more than the output since then:\n%s", whole)
	}
	s.press("C-c")
	s.waitFor(fmt.Sprintf(`detached; devproxy is still running \(pid %d\)`, pid))

	s.fresh("devproxy up --https :8443; echo it is $?", `^it is 2`)
	s.fresh("devproxy up --share --relay dev", `^https://[^ ]+\.share\.localhost`)
	s.press("C-c")
	s.waitFor(`the link (is paused|has ended)`)
	s.fresh("devproxy status", `^not shared: the link`)

	// It ends with the first.
	s.fresh("devproxy up; echo it is $?", `^attached to devproxy`)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.waitFor(`^stopped[^$]*it is 0`)
	wantNothingLeft(t, pid, s.runtime())
}

// TestAttachedToKilled says that the first was killed.
func TestAttachedToKilled(t *testing.T) {
	s, pid := inBackground(t)
	s.fresh("devproxy up; echo it is $?", `^attached to devproxy`)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.waitFor(fmt.Sprintf(`^devproxy: the devproxy with pid %d was killed`, pid))
	s.waitFor(`^it is 1`)
}
