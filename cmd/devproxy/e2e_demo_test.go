//go:build e2e && unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// demoSource is the demo as it lies in the checkout.
const demoSource = "../../testdata/demo"

// installLimit is for `npm ci` on a slow line.
const installLimit = 5 * time.Minute

// copyDemo copies the demo, so that a test can edit it, with Vite where it is
// installed already.
func copyDemo(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(shortDir(t), "demo")
	if err := os.CopyFS(dir, os.DirFS(demoSource)); err != nil {
		t.Fatal(err)
	}
	// npm's own record of what it installed must not look older than the lock
	// file because it was copied first.
	now := time.Now()
	err := os.Chtimes(filepath.Join(dir, "web", "node_modules", ".package-lock.json"), now, now)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return dir
}

// demoServers are the demo's dev servers, which the test starts in devproxy's place: its
// API, seen through a recorder, and Vite.
type demoServers struct {
	dir     string // the copy of the demo, whose Proxyfile names their ports
	api     *recorder
	webPort string
}

func startDemo(t *testing.T) *demoServers {
	t.Helper()
	node := needTool(t, "node")
	d := &demoServers{dir: copyDemo(t)}
	web := filepath.Join(d.dir, "web")
	if _, err := os.Stat(filepath.Join(web, "node_modules")); errors.Is(err, fs.ErrNotExist) {
		out, err := runTool(t, installLimit, os.Environ(), needTool(t, "npm"), "ci", "--prefix", web, "--no-audit", "--no-fund")
		if err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	binary := filepath.Join(d.dir, "api", "api")
	if out, err := runTool(t, installLimit, os.Environ(), needTool(t, "go"), "build", "-o", binary, demoSource+"/api"); err != nil {
		t.Fatalf("cannot build the API: %v\n%s", err, out)
	}
	apiPort := startServer(t, `api listens on 127\.0\.0\.1:(\d+)`, d.dir, binary)
	d.api = record(t, "http://127.0.0.1:"+apiPort)
	d.webPort = startServer(t, `http://localhost:(\d+)/`, web, node, "node_modules/vite/bin/vite.js", "--clearScreen=false")
	file := filepath.Join(d.dir, "Proxyfile")
	text := withUpstream(t, readText(t, file), "web", "http://localhost:"+d.webPort)
	saveFile(t, file, withUpstream(t, text, "api", d.api.server.URL))
	return d
}

// withUpstream replaces the command of a service in a Proxyfile with an upstream.
func withUpstream(t *testing.T, proxyfile, service, upstream string) string {
	t.Helper()
	block := regexp.MustCompile(`(?s)service "` + service + `" \{\n.*?\n\}`)
	if len(block.FindAllString(proxyfile, -1)) != 1 {
		t.Fatalf("the Proxyfile has no service %q of several lines:\n%s", service, proxyfile)
	}
	return block.ReplaceAllLiteralString(proxyfile, fmt.Sprintf("service %q { upstream = %q }", service, upstream))
}

// startServer runs a program on a port of its own choice until the test ends,
// and returns the port, which the program prints as the pattern's group.
func startServer(t *testing.T, pattern, dir, name string, args ...string) (port string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PORT=0", "NO_COLOR=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close() // the server has its own
	printed := make(chan string, 1)
	var reading sync.WaitGroup
	reading.Go(func() { scanFor(out, regexp.MustCompile(pattern), printed) })
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // killed
		reading.Wait()
		out.Close()
	})
	select {
	case port, ok := <-printed:
		if !ok {
			t.Fatalf("%s ended before it listened", filepath.Base(name))
		}
		return port
	case <-time.After(2 * patience):
		t.Fatalf("%s does not listen within %v", filepath.Base(name), 2*patience)
	}
	return ""
}

// scanFor sends the first match's group and reads on until the end, so that
// the writer never waits.
func scanFor(out io.Reader, pattern *regexp.Regexp, found chan<- string) {
	defer close(found)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if match := pattern.FindStringSubmatch(lines.Text()); match != nil && len(found) == 0 {
			select {
			case found <- match[1]:
			default:
			}
		}
	}
}

// recorder records the requests to a server.
type recorder struct {
	server *httptest.Server

	mu    sync.Mutex
	lines []string // "POST /api/echo"
}

// record is a recorder before the server at base.
func record(t *testing.T, base string) *recorder {
	t.Helper()
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	proxy := &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(target)
		pr.Out.Host = pr.In.Host // the API compares it with Origin
		pr.Out.Header = pr.In.Header.Clone()
	}}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.lines = append(r.lines, request.Method+" "+request.URL.Path)
		r.mu.Unlock()
		proxy.ServeHTTP(w, request)
	}))
	t.Cleanup(func() {
		r.server.CloseClientConnections() // streams have no end
		r.server.Close()
	})
	return r
}

// asked are the requests whose line begins with prefix.
func (r *recorder) asked(prefix string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := slices.Clone(r.lines)
	return slices.DeleteFunc(lines, func(line string) bool { return !strings.HasPrefix(line, prefix) })
}
