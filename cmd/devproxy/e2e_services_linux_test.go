//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// monorepo is a pnpm workspace with two Vite apps, a Node and a Go server, all of which
// devproxy starts. Names below localhost resolve in its namespace.
type monorepo struct {
	*upProcess
	t     *testing.T
	dir   string
	ports map[string]int // of each service that was ready once
}

const (
	pnpmVersion = "10.34.9"
	// startPatience is for four servers that start at once, one of which is compiled.
	startPatience = 4 * patience
)

// TestE2EServices starts the monorepo, uses it, and kills its processes one by one.
func TestE2EServices(t *testing.T) {
	needRoot(t, "to make mount namespaces")
	m := startMonorepo(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"service discovery", m.servicesCallEachOther}, {"hot replacement", m.replacesModules}, {"killed processes", m.survivesKills}, {"killed devproxy", m.leavesNothing},
	} {
		if !t.Run(step.name, step.run) {
			return // the next steps build on it
		}
	}
}

// startMonorepo copies and installs the monorepo, and starts it with all services ready.
func startMonorepo(t *testing.T) *monorepo {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "devproxy-frameworks", "monorepo")
	tools := filepath.Join(dir, "tools")
	if err := os.MkdirAll(tools, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"apps/web/headline.js", "apps/admin/headline.js"} { // an earlier test has edited them
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			t.Fatal(err)
		}
	}
	copyOver(t, "../../testdata/monorepo", dir)
	env := append(os.Environ(), "PATH="+filepath.Join(tools, "node_modules", ".bin")+":"+os.Getenv("PATH"))
	if _, err := os.Stat(filepath.Join(dir, "installed")); err != nil {
		if out, err := runTool(t, installLimit, env, needTool(t, "npm"), "install", "--prefix", tools, "--no-audit", "--no-fund", "pnpm@"+pnpmVersion); err != nil {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
		if out, err := runTool(t, installLimit, env, filepath.Join(tools, "node_modules", ".bin", "pnpm"), "-C", dir, "install"); err != nil {
			t.Fatalf("pnpm install: %v\n%s", err, out)
		}
		saveFile(t, filepath.Join(dir, "installed"), "")
	}

	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	place.env = append(place.env, "PATH="+filepath.Join(tools, "node_modules", ".bin")+":"+os.Getenv("PATH"), "GOCACHE="+filepath.Join(cache, "go-build"), "GOFLAGS=-mod=mod", "CI=")
	hosts := filepath.Join(place.home, "hosts")
	saveFile(t, hosts, "127.0.0.1 localhost shop.localhost admin.shop.localhost\n")
	script := `mount --bind "$1" /etc/hosts && shift && exec "$@"`
	m := &monorepo{t: t, dir: dir, ports: map[string]int{}}
	m.upProcess = startProgram(t, place, dir, []string{
		needTool(t, "unshare"), "--mount", "sh", "-c", script, "sh", hosts, devproxyBinary(t), "up", "--json", "--https", ":0", "--allow",
	})
	m.ready = m.await("ready")
	m.trust()
	for len(m.ports) < 4 {
		m.untilReady()
	}
	return m
}

// copyOver copies the files of a folder over those of another.
func copyOver(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// untilReady waits until a service is ready, and returns its name.
func (m *monorepo) untilReady() string {
	m.t.Helper()
	timeout := time.After(startPatience)
	for {
		select {
		case e, open := <-m.events:
			var status struct {
				Service struct {
					Name, State string
					Port        int
				}
			}
			if !open || e.Event == "service" && json.Unmarshal([]byte(e.Line), &status) != nil {
				m.t.Fatalf("devproxy has ended, or says %s", e.Line)
			}
			if status.Service.State == "ready" {
				m.ports[status.Service.Name] = status.Service.Port
				return status.Service.Name
			}
		case <-timeout:
			m.t.Fatal("no service becomes ready")
		}
	}
}

func (m *monorepo) servicesCallEachOther(t *testing.T) {
	client := m.client("h2")
	for path, want := range map[string]string{
		"/api/stock": "api got stock from " + m.url("shop.localhost", ""),
		"/stock/api": "stock got api from " + m.url("shop.localhost", ""),
	} {
		if status, body := fetch(t, client, m.url("shop.localhost", path)); status != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
}

// replacesModules edits a module of each app. Its page shows that without a reload.
func (m *monorepo) replacesModules(t *testing.T) {
	trustChromium(t, m.upProcess)
	browser := startChromium(t, m.upProcess)
	for host, app := range map[string]string{"shop.localhost": "web", "admin.shop.localhost": "admin"} {
		page := openTab(t, browser)
		if status, err := page.visit(m.url(host, "/")); err != nil || status != 200 {
			t.Fatalf("%s: %d %v", host, status, err)
		}
		page.await(t, testID("headline")+" === '"+app+"'")
		evaluate[bool](t, page, "window.same = true")
		m.editUntilShown(t, page, app)
	}
}

// editUntilShown edits a module until the page shows that: Vite does not send it to a
// page whose WebSocket is not open yet.
func (m *monorepo) editUntilShown(t *testing.T, page *tab, app string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		headline := fmt.Sprintf("%s at %d", app, time.Now().UnixNano())
		saveFile(t, filepath.Join(m.dir, "apps", app, "headline.js"), fmt.Sprintf("export const headline = %q;\n", headline))
		for soon := time.Now().Add(2 * time.Second); time.Now().Before(soon); time.Sleep(20 * time.Millisecond) {
			if evaluate[string](t, page, testID("headline")) == headline {
				if !evaluate[bool](t, page, "window.same === true") {
					t.Errorf("%s was loaded again", app)
				}
				return
			}
		}
	}
	t.Fatalf("%s never shows an edited module", app)
}

// survivesKills kills each process between devproxy and a server: the service starts again,
// and nothing of it runs twice.
func (m *monorepo) survivesKills(t *testing.T) {
	vite := fmt.Sprintf("--port %d", m.ports["web"])
	for _, service := range []struct {
		name, path, want string
		chain            []string
		below            string // what the server has started
	}{
		{"web", "/headline.js", "web", []string{"service-guard guard web", "pnpm --filter web", "sh -c vite " + vite, "vite.js " + vite}, "vite.js " + vite},
		{"api", "/api", "api", []string{"service-guard guard api", "pnpm --filter api", "sh -c node server.js", "node server.js"}, "sleep 100000"},
	} {
		works := func(killed string) {
			t.Helper()
			if status, body := fetch(t, m.client("h1"), m.url("shop.localhost", service.path)); status != 200 || !strings.Contains(body, service.want) {
				t.Errorf("after SIGKILL of %s: %d %.100q", killed, status, body)
			}
			for _, program := range append(service.chain, service.below) {
				if again := m.running(program); len(again) != 1 {
					t.Errorf("after SIGKILL of %s: %v", killed, again)
				}
			}
		}
		for _, program := range service.chain {
			m.killOne(t, program)
			if name := m.untilReady(); name != service.name {
				t.Errorf("after SIGKILL of %s %s is ready", program, name)
			}
			works(program)
		}
	}
	// What a server has started is the server's: it goes on, or ends by itself.
	if status, body := fetch(t, m.client("h1"), m.url("shop.localhost", "/main.ts")); status != 200 { // esbuild translates it
		t.Fatalf("main.ts: %d %.100q", status, body)
	}
	m.killOne(t, "sleep 100000")
	m.killOne(t, "esbuild --service")
	for path, want := range map[string]string{"/headline.js": "web", "/api": "api"} {
		if status, body := fetch(t, m.client("h1"), m.url("shop.localhost", path)); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s after SIGKILL below the servers: %d %.100q", path, status, body)
		}
	}
}

// killOne kills the first process whose command line has a text.
func (m *monorepo) killOne(t *testing.T, text string) {
	t.Helper()
	all := m.running(text)
	if len(all) == 0 {
		t.Fatalf("no %s runs: %v", text, m.tree())
	}
	if err := syscall.Kill(all[0].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// running are the processes of the monorepo whose command line has a text, without the
// shells that have it as an argument.
func (m *monorepo) running(text string) []running {
	return slices.DeleteFunc(m.tree(), func(p running) bool {
		at := strings.Index(p.command, text)
		return at < 0 || strings.HasSuffix(p.command[:at], "sh -c ")
	})
}

// leavesNothing kills devproxy itself, with a process below that has left its session.
func (m *monorepo) leavesNothing(t *testing.T) {
	m.killOne(t, "node server.js")
	m.untilReady()
	if len(m.running("sleep 100000")) != 1 {
		t.Errorf("the server has not started what it should: %v", m.tree())
	}
	m.stopped = true
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = m.cmd.Wait() // it was killed
	for end := time.Now().Add(patience); len(m.tree()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left: %v", m.tree())
		}
	}
}

// running is a process of the monorepo.
type running struct {
	pid     int
	command string
}

func (p running) String() string { return fmt.Sprintf("%d %s", p.pid, p.command) }

// tree are the processes with devproxy's state in their environment, except devproxy
// itself and the browser.
func (m *monorepo) tree() []running {
	var all []running
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, file := range files {
		environ, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(environ, []byte("DEVPROXY_HOME="+m.state+"\x00")) {
			continue
		}
		command, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
		if err == nil && pid != m.cmd.Process.Pid && !bytes.Contains(command, []byte("chrom")) {
			all = append(all, running{pid, string(bytes.ReplaceAll(command, []byte{0}, []byte(" ")))})
		}
	}
	return all
}
