//go:build unix

package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/localca/trust"
)

// onPath is a new folder with programs, and the only one on PATH.
func onPath(t *testing.T, dir string, programs map[string]string) {
	t.Helper()
	for name, text := range programs {
		path := filepath.Join(dir, name)
		write(t, path, "#!/bin/sh\n"+text+"\n")
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func clientNamed(t *testing.T, name string) *client {
	t.Helper()
	for _, c := range clients() {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no client %q", name)
	return nil
}

// TestAnswers has programs that say what a client may say.
func TestAnswers(t *testing.T) {
	const proxyfile = `host "shop.localhost" {
  aliases = ["*.tenant.shop.localhost"]
  respond = 204
}`
	const all = "name any-name.localhost 127.0.0.1\nname any-name.tenant.shop.localhost ::1"
	for name, test := range map[string]struct{ output, want string }{
		"every name":       {"trust yes\nname shop.localhost ::1 127.0.0.1\n" + all, "fine finds every name below localhost"},
		"only the name":    {"name shop.localhost 127.0.0.1\nname any-name.localhost\nname any-name.tenant.shop.localhost 127.0.0.1", "fine finds shop.localhost"},
		"not the name":     {"name shop.localhost\n" + all, "fault does not find shop.localhost | devproxy names sync, while devproxy up runs"},
		"another address":  {"name shop.localhost 127.0.0.1 10.1.2.3\n" + all, "fault shop.localhost leads to 10.1.2.3 instead of 127.0.0.1"},
		"another loopback": {"name shop.localhost 127.0.1.1\n" + all, "fault shop.localhost leads to 127.0.1.1 instead of 127.0.0.1"},
		"mapped":           {"name shop.localhost ::ffff:127.0.0.1\n" + all, "fine finds every name below localhost"},
		"nonsense":         {"name shop.localhost \x1b[2J\n" + all, "fault shop.localhost leads to \x1b[2J instead of 127.0.0.1"},
	} {
		s := subject(t, proxyfile, nil)
		onPath(t, t.TempDir(), map[string]string{"node": "echo '" + strings.ReplaceAll(test.output, "\n", "'; echo '") + "'"})
		expect(t, name, s.checkNames(t.Context(), clientNamed(t, "Node")), test.want)
	}

	s := subject(t, proxyfile, nil)
	onPath(t, t.TempDir(), map[string]string{"node": "echo secret >&2; exit 1"})
	expect(t, "a failure", s.checkNames(t.Context(), clientNamed(t, "Node")), "unknown not asked: its program failed")
	expect(t, "not installed", s.checkNames(t.Context(), clientNamed(t, "Java")))
	s = subject(t, proxyfile, nil)
	onPath(t, t.TempDir(), map[string]string{"node": "echo name shop.localhost 127.0.0.1; echo name any-name.tenant.shop.localhost"})
	got := s.checkNames(t.Context(), clientNamed(t, "Node"))
	if len(got) != 1 || got[0].State != Warning || got[0].Detail != "does not find the names of *.tenant.shop.localhost, which a hosts file can't have" {
		t.Errorf("a wildcard: %+v", got)
	}
}

// TestNothingOfTheProjectRuns has a node in the project's folder, directly and through a
// link, and modules with the names of Python's own.
func TestNothingOfTheProjectRuns(t *testing.T) {
	s := subject(t, `host "shop.localhost" { respond = 204 }`, nil)
	ran := filepath.Join(t.TempDir(), "ran")
	bin := filepath.Join(s.Project.Root, "node_modules", ".bin")
	onPath(t, bin, map[string]string{"node": "echo >" + ran})
	expect(t, "a program of the project", s.checkNames(t.Context(), clientNamed(t, "Node")), "unknown not asked: it is in the project's folder, and nothing there is run")
	links := t.TempDir()
	if err := os.Symlink(filepath.Join(bin, "node"), filepath.Join(links, "node")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", links)
	s.clients.Clear()
	expect(t, "a link to it", s.checkNames(t.Context(), clientNamed(t, "Node")), "unknown not asked: it is in the project's folder, and nothing there is run")
	if _, err := os.Stat(ran); err == nil {
		t.Error("it ran")
	}
	s.Avoid, s.Project, s.Stores = []string{s.Project.Root}, nil, nil // a repository without a Proxyfile
	project := s.Avoid[0]
	t.Setenv("PATH", bin)
	s.clients.Clear()
	expect(t, "without a Proxyfile", s.checkNames(t.Context(), clientNamed(t, "Node")), "unknown not asked: it is in the project's folder, and nothing there is run")
	t.Chdir(bin)
	for _, entry := range []string{".", "", "../.bin"} {
		t.Setenv("PATH", entry)
		s.clients.Clear()
		expect(t, "a relative entry "+entry, s.checkNames(t.Context(), clientNamed(t, "Node")))
	}
	onPath(t, bin, map[string]string{"certutil": "echo >" + ran})
	t.Setenv("HOME", t.TempDir())
	write(t, filepath.Join(os.Getenv("HOME"), ".pki", "nssdb", "cert9.db"), "")
	checkOtherTools(t.Context(), s)
	for _, store := range trust.Stores(s.Machine(), trust.Root{}) {
		if store.Name() == "chromium" {
			store.Check(t.Context())
		}
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the project's certutil ran")
	}

	t.Setenv("PATH", "/usr/bin:/bin")
	if _, err := s.programs().Find("python3"); err != nil {
		skip(t, err)
	}
	for _, module := range []string{"socket.py", "ssl.py", "sitecustomize.py"} {
		write(t, filepath.Join(project, module), "open("+`"`+ran+`"`+", 'w')\n")
	}
	t.Chdir(project)
	t.Setenv("PYTHONPATH", project)
	if a := s.answer(t.Context(), clientNamed(t, "Python")); a.err != nil || a.trust != refuses {
		t.Errorf("Python: %+v", a)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a module of the project ran")
	}
}

// TestSlowClient has a program that never ends, with a child that has its output.
func TestSlowClient(t *testing.T) {
	s := subject(t, `host "shop.localhost" { respond = 204 }`, nil)
	sleep := "/bin/sleep 1000"
	onPath(t, t.TempDir(), map[string]string{"node": "echo name any-name.localhost 127.0.0.1\n" + sleep + " & " + sleep})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel) // in place of the timeout
	got := s.checkNames(ctx, clientNamed(t, "Node"))
	if len(got) != 1 || got[0].State == Fine {
		t.Errorf("a client that does not end: %+v", got)
	}
	if len(got) == 1 && got[0].State == Fault && !strings.Contains(got[0].Detail, "in time; a DNS server may not answer") {
		t.Errorf("a client that answers for some names: %+v", got)
	}
}

// TestRunIsBounded runs all checks with a context that has ended.
func TestRunIsBounded(t *testing.T) {
	s := subject(t, `host "shop.localhost" { upstream = 1 }`, nil)
	onPath(t, t.TempDir(), map[string]string{"node": "exec /bin/sleep 1000", "curl": "exec /bin/sleep 1000"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	groups := map[string]bool{}
	Run(ctx, s, func(f Finding) {
		groups[f.Group] = true
		if f.Check == "" || f.State == "" || f.Detail == "" {
			t.Errorf("an empty finding: %+v", f)
		}
		if (f.Check == "Node" || f.Check == "curl") && f.State != Unknown {
			t.Errorf("%+v", f)
		}
	})
	for _, group := range []string{"ports", "names", "trust", "project", "machine"} {
		if !groups[group] {
			t.Errorf("nothing about %s", group)
		}
	}
}

// TestMask: a value of the environment in the Proxyfile is not shown.
func TestMask(t *testing.T) {
	s := subject(t, `host "shop.localhost" { upstream = "unix:${env("SOCKET")}" }`, variables{"SOCKET": "pa55word.sock"})
	t.Setenv("PATH", t.TempDir())
	Run(t.Context(), s, func(f Finding) {
		if strings.Contains(f.Detail+f.Fix+f.Check, "pa55word") {
			t.Errorf("%+v", f)
		}
	})
}
