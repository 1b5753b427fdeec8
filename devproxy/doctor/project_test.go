package doctor

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/control"
)

// listening accepts connections on addr until the test ends, and returns its port.
func listening(t *testing.T, network, addr string) string {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		skip(t, err)
	}
	t.Cleanup(func() { ln.Close() })
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
		return strconv.Itoa(tcp.Port)
	}
	return ""
}

// closedPort is a port on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

func TestUpstreams(t *testing.T) {
	four, six, closed := listening(t, "tcp", "127.0.0.1:0"), listening(t, "tcp", "[::1]:0"), closedPort(t)
	start := func(line int) string {
		return fmt.Sprintf(" | start the server of Proxyfile:%d, or write its port there", line)
	}
	s := subject(t, fmt.Sprintf(`host "shop.localhost" {
  upstream = %s
  route "/six" { upstream = %s }
  route "/closed" { upstream = %s }
  route "/again" { upstream = %[1]s }
  route "/both" { upstream = [%[1]s, %[3]s] }
  route "/far" { upstream = "192.0.2.1:80" }
  route "/socket" { upstream = "unix:run/web.sock" }
  route "/outside" { upstream = "unix:/nowhere/web.sock" }
}`, four, six, closed), nil)
	got := checkUpstreams(t.Context(), s)
	want := []string{
		"fine :" + four + " and :" + six + " on [::1] answer",
		":" + closed + " fault nothing listens on :" + closed + start(4),
		fmt.Sprintf(":%s, :%s warning nothing listens on :%[2]s; the others of Proxyfile:6 answer", four, closed),
		"unix:run/web.sock fault nothing listens on unix:run/web.sock" + start(8),
		"others unknown 192.0.2.1:80 and unix:/nowhere/web.sock are outside of this machine or project",
	}
	expect(t, "upstreams", got, want...)

	s = subject(t, `host "shop.localhost" { upstream = "unix:web.sock" }`, nil)
	if path := filepath.Join(s.Project.Root, "web.sock"); len(path) < 100 {
		listening(t, "unix", path)
		expect(t, "a socket", checkUpstreams(t.Context(), s), "fine unix:web.sock answers")
	}
}

// TestServices has services that do not run, listen elsewhere than asked, not yet, and fail.
func TestServices(t *testing.T) {
	asked, closed, bad, used := closedPort(t), closedPort(t), closedPort(t), listening(t, "tcp", "127.0.0.1:0")
	s := subject(t, fmt.Sprintf(`host "shop.localhost" {
  upstream = service.web
  route "/api" { upstream = service.api }
  route "/bad" { upstream = service.bad }
}
service "web" {
  command  = "node web.js"
  upstream = %s
}
service "api" {
  command  = "node api.js"
  upstream = %s
}
service "bad" {
  command  = "none"
  upstream = %s
}`, asked, closed, bad), nil)
	s.runsOnce.Do(func() {})
	expect(t, "nothing runs", checkUpstreams(t.Context(), s), "web fine devproxy up starts web", "api fine devproxy up starts api", "bad fine devproxy up starts bad")

	port := func(text string) uint16 {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		return uint16(n)
	}
	s.found.statuses = []control.Status{{Folder: s.Project.Folder, Services: []control.Service{
		{Name: "web", State: "ready", Port: port(used)}, {Name: "api", State: "starting", Port: port(closed)},
		{Name: "bad", State: "failed", Port: port(bad), Exit: "none is not on PATH"},
	}}}
	expect(t, "devproxy runs", checkUpstreams(t.Context(), s),
		"web fine web listens on :"+used+", and devproxy uses that port instead of :"+asked,
		"api fault api does not listen on :"+closed+" | devproxy restart api",
		"bad fault bad fails: none is not on PATH | devproxy logs bad")
}

// TestHotReload has a Vite that runs and settings in files.
func TestHotReload(t *testing.T) {
	client := `const serverHost = "localhost:%d/"; const socketProtocol = null || "ws"; const hmrPort = 24678; const directSocketHost = "localhost:24678/";`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/@vite/client" {
			fmt.Fprintf(w, client, 5173)
		}
	}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	s := subject(t, fmt.Sprintf(`host "shop.localhost" { upstream = %d }`, port), nil)
	got := checkHotReload(t.Context(), s)
	if len(got) != 1 || got[0].State != Warning || !strings.HasPrefix(got[0].Detail, "Vite's hot replacement has its own server on port 24678") {
		t.Errorf("a running Vite: %+v", got)
	}

	s = subject(t, `host "shop.localhost" { upstream = 1 }`, nil)
	write(t, filepath.Join(s.Project.Root, "package.json"), `{"scripts": {"dev": "vite"}, "devDependencies": {"vite": "7"}}`)
	write(t, filepath.Join(s.Project.Root, "vite.config.js"), "export default {\n  server: { hmr: { port: 24679 } },\n}\n")
	expect(t, "a configuration", checkHotReload(t.Context(), s),
		"warning vite.config.js:2: server.hmr has its own port, so hot reload bypasses devproxy | remove the port")
}

func TestVersions(t *testing.T) {
	s := subject(t, `host "shop.localhost" { upstream = 1 }`, nil)
	expect(t, "without packages", checkVersions(t.Context(), s))
	write(t, filepath.Join(s.Project.Root, "node_modules", "vite", "package.json"), `{"version": "7.3.1"}`)
	const what = "warning vite 7.3.1 lets visitors read any file through its WebSocket (CVE-2026-39363) | "
	expect(t, "with npm", checkVersions(t.Context(), s), what+"npm install vite@7.3.2")
	for lock, command := range map[string]string{"pnpm-lock.yaml": "pnpm update", "bun.lockb": "bun add"} {
		s := subject(t, `host "shop.localhost" { upstream = 1 }`, nil)
		write(t, filepath.Join(s.Project.Root, "node_modules", "vite", "package.json"), `{"version": "7.3.1"}`)
		write(t, filepath.Join(s.Project.Root, lock), "")
		expect(t, lock, checkVersions(t.Context(), s), what+command+" vite@7.3.2")
	}
}
