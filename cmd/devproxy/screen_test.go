//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// someUser is the user id of an ordinary user.
const someUser = 65534

// screen is a terminal of a size with a shell in it, as tmux has it.
type screen struct {
	t             *testing.T
	socket        string
	home          string // of the shell, with its state and runtime folders
	dir           string // where the shell is
	columns, rows int
	env           []string
	as            *syscall.Credential // nil for this user
	marks         int                 // see fresh
}

// newScreen makes a screen; open starts it. Its folder has a path of the same
// length everywhere, as lines are broken by their length.
func newScreen(t *testing.T, columns, rows int) *screen {
	t.Helper()
	trustTool(t, "tmux")
	trustTool(t, "bash")
	var root string
	for i := range 1000 {
		root = fmt.Sprintf("/tmp/devproxy-screen-%07d", (os.Getpid()*1000+i)%1e7)
		if err := os.Mkdir(root, 0o755); err == nil {
			break
		} else if !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	s := &screen{t: t, socket: filepath.Join(root, "tmux"), home: filepath.Join(root, "home"), dir: filepath.Join(root, "shop"), columns: columns, rows: rows}
	for _, dir := range []string{s.home, s.dir, s.runtime()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.env = []string{
		"HOME=" + s.home, "XDG_RUNTIME_DIR=" + s.runtime(), "PATH=" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8",
		"PS1=$ ", "TZ=" + morning(time.Now()), "SHELL=/bin/sh", "HISTFILE=/dev/null",
	}
	return s
}

// morning is a time zone in which it is between four and five: the end of a link
// of eight hours is on the same day.
func morning(now time.Time) string { return fmt.Sprintf("Etc/GMT%+d", morningOffset(now.UTC().Hour())) }

// morningOffset is what is added to the local time for UTC, -12 to 14 in the sense
// of Etc/GMT+N, which is west of Greenwich.
func morningOffset(hour int) int {
	offset := hour - 4
	if offset > 12 {
		offset -= 24
	}
	return offset
}

func (s *screen) runtime() string { return filepath.Join(s.home, "run") }
func (s *screen) state() string   { return filepath.Join(s.home, ".local/share/devproxy") }

// write makes a file below the screen's folder.
func (s *screen) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// tmux runs a tmux command and returns its output.
func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", s.socket, "-f", "/dev/null"}, args...)...)
	cmd.Env, cmd.Dir = s.env, s.dir
	if s.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// open starts a program, by default a shell with job control.
func (s *screen) open(argv ...string) {
	s.t.Helper()
	shell := argv == nil
	if shell {
		argv = []string{"bash", "--norc", "--noprofile", "-i"}
	}
	s.t.Cleanup(func() {
		cmd := exec.Command("tmux", "-S", s.socket, "kill-server")
		if s.as != nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
		}
		_ = cmd.Run() // a test may have closed it
	})
	size := []string{"-x", fmt.Sprint(s.columns), "-y", fmt.Sprint(s.rows)}
	s.tmux(append(append([]string{"new-session", "-d", "-s", "s"}, size...), argv...)...)
	s.tmux("set-option", "-g", "status", "off")
	s.tmux("set-option", "-s", "exit-empty", "off") // else a next session may meet a server that is ending
	s.tmux(append([]string{"resize-window", "-t", "s"}, size...)...)
	if shell {
		s.waitFor(`^\$`) // else what is typed shows twice
	}
}

// run types a command line.
func (s *screen) run(line string) {
	s.t.Helper()
	s.tmux("send-keys", "-t", "s", "-l", line)
	s.press("Enter")
}

// press presses keys by tmux's names: "q", "C-z", "Enter".
func (s *screen) press(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys", "-t", "s"}, keys...)...)
}

// shown returns the screen's text, without the empty lines at its end.
func (s *screen) shown() string {
	s.t.Helper()
	return strings.TrimRight(s.tmux("capture-pane", "-p", "-t", "s"), "\n") + "\n"
}

// whole is all that was printed, lines that the terminal has broken joined.
func (s *screen) whole() string {
	s.t.Helper()
	return s.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "s")
}

// waitFor waits until what was printed matches, and returns the first group or
// the match.
func (s *screen) waitFor(pattern string) string {
	s.t.Helper()
	wanted := regexp.MustCompile("(?m)" + pattern)
	for deadline := time.Now().Add(scriptPatience); ; time.Sleep(20 * time.Millisecond) {
		if found := wanted.FindStringSubmatch(s.whole()); found != nil {
			return found[min(1, len(found)-1)]
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the terminal does not show %s:\n%s", pattern, s.whole())
		}
	}
}

// fresh forgets what was printed, runs a command line in the shell and waits until
// what that prints matches.
func (s *screen) fresh(line, pattern string) {
	s.t.Helper()
	s.marks++
	mark := fmt.Sprintf("mark-%d", s.marks)
	s.run("clear; tmux -S " + s.socket + " clear-history; echo " + mark + "; " + line)
	s.waitFor("^" + mark + "\\n(?s:.*)" + pattern)
}

// settled waits until the screen shows a pattern and no longer changes, and
// returns what it shows.
func (s *screen) settled(pattern string) string {
	s.t.Helper()
	s.waitFor(pattern)
	const quiet = 300 * time.Millisecond
	before, since := s.shown(), time.Now()
	for deadline := time.Now().Add(scriptPatience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		now := s.shown()
		if now != before {
			before, since = now, time.Now()
		}
		if time.Since(since) > quiet {
			return now
		}
	}
	s.t.Fatalf("the screen does not come to rest:\n%s", before)
	return ""
}

// changing are texts that differ from run to run, with what replaces each
// character in a golden screen. They have one length, so lines break alike.
var changing = []struct {
	pattern *regexp.Regexp
	with    byte
}{
	{regexp.MustCompile(`localhost:(\d{5})`), '5'},
	{regexp.MustCompile(`(?:--|/)shop-([0-9a-z]{16})`), 'x'},
	{regexp.MustCompile(`\.([0-9a-z]{8})\.share\.localhost`), 'z'},
	{regexp.MustCompile(`until (\d\d:\d\d) `), '0'},
	{regexp.MustCompile(`devproxy-screen-(\d{7})`), '0'},
	{regexp.MustCompile(` :(\d{5})`), '5'},
}

// stable is a screen with all that changes replaced, also where a line was broken
// in the middle of it.
func stable(screen, whole string) string {
	for _, change := range changing {
		for _, found := range change.pattern.FindAllStringSubmatch(whole, -1) {
			broken := regexp.MustCompile(strings.Join(strings.Split(regexp.QuoteMeta(found[1]), ""), "\n?"))
			screen = broken.ReplaceAllStringFunc(screen, func(text string) string {
				return strings.Map(func(r rune) rune {
					if r == '\n' || r == ':' {
						return r
					}
					return rune(change.with)
				}, text)
			})
		}
	}
	return screen
}

// golden compares what the screen shows with testdata/terminal; UPDATE_SCRIPTS
// rewrites that.
func (s *screen) golden(name, shown string) {
	s.t.Helper()
	path := fmt.Sprintf("../../testdata/terminal/%s.%dx%d", name, s.columns, s.rows)
	got := stable(shown, s.whole())
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != string(want) {
		s.t.Errorf("%s: the screen shows\n%s\nwant\n%s", path, got, want)
	}
	for line := range strings.Lines(got) {
		if width := len([]rune(strings.TrimSuffix(line, "\n"))); width > s.columns {
			s.t.Errorf("%s: a line of %d columns", path, width)
		}
	}
}
