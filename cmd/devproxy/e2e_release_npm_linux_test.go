//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nodeName is Node's name of this platform.
func nodeName() string {
	return "linux-" + map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
}

// npmInstalls makes the packages of npm with this program, and uses them
// through npm and npx with a registry of this machine.
func npmInstalls(t *testing.T, program string) {
	n := startRegistry(t, npmPackages(t, program))
	project := n.install("--ignore-scripts")
	t.Run("npx", func(t *testing.T) {
		out := n.run(t, shortDir(t), 0, "", "npx", "--yes", "devproxy@"+releaseVersion, "version")
		if want := "devproxy v" + releaseVersion + " "; !strings.HasPrefix(out, want) {
			t.Errorf("npx devproxy version prints %q", out)
		}
	})
	t.Run("exit codes and streams", func(t *testing.T) {
		local := filepath.Join(project, "node_modules/.bin/devproxy")
		saveFile(t, filepath.Join(project, "Proxyfile"), "host \"shop.localhost\" { upstrem = 5173 }\n")
		n.run(t, project, exitProxyfile, "", local, "check")
		n.run(t, project, exitProxyfile, "", "npx", "devproxy", "check")
		n.run(t, project, exitUsage, "", local, "chekc")
		if out := n.run(t, project, exitOK, "host \"a.localhost\" {\nupstream=1\n}\n", local, "fmt", "-"); !strings.Contains(out, "\n  upstream = 1\n") {
			t.Errorf("devproxy fmt - prints %q", out)
		}
		if err := os.Remove(filepath.Join(project, "Proxyfile")); err != nil {
			t.Fatal(err)
		}
	})
	const local = "node_modules/.bin/devproxy"
	t.Run("SIGINT without a terminal", func(t *testing.T) {
		u := n.startUp(t, project, false, local, "up")
		if err := u.drains(func() error { return u.cmd.Process.Signal(os.Interrupt) }); err != nil {
			t.Error(err)
		}
	})
	t.Run("SIGTERM", func(t *testing.T) {
		u := n.startUp(t, project, true, local, "up")
		if err := u.drains(func() error { return u.cmd.Process.Signal(syscall.SIGTERM) }); err != nil {
			t.Error(err)
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		u := n.startUp(t, project, true, local, "up")
		if err := u.drains(u.typeCtrlC); err != nil {
			t.Error(err)
		}
	})
	t.Run("Ctrl-C and npx", func(t *testing.T) {
		u := n.startUp(t, project, true, "npx", "devproxy", "up")
		// npx gets the signal too and ends by it, once devproxy has ended.
		if err := u.drains(u.typeCtrlC); err != nil && err.Error() != "signal: interrupt" {
			t.Error(err)
		}
	})
	t.Run("killed", func(t *testing.T) { n.diesAsItsChild(t, project) })
	t.Run("without optional dependencies", func(t *testing.T) {
		out := n.run(t, n.install("--omit=optional"), exitFailed, "", "npx", "devproxy", "version")
		want := "devproxy: the package @devproxy/cli-" + nodeName() + " is not installed: "
		if !strings.Contains(out, want) || !strings.Contains(out, "\n  install it: npm install --include=optional devproxy\n") {
			t.Errorf("it says %q", out)
		}
	})
	t.Run("another platform", func(t *testing.T) {
		saveFile(t, filepath.Join(project, "mips.js"), "Object.defineProperty(process, 'arch', { value: 'mips' });\n")
		out := n.run(t, project, exitFailed, "", "node", "--require", "./mips.js", "node_modules/devproxy/bin/devproxy.js", "version")
		want := "devproxy: no npm package for linux-mips: the npm packages are for linux-x64, linux-arm64, darwin-x64, darwin-arm64, win32-x64, win32-arm64\n  build it with Go: "
		if !strings.HasPrefix(out, want) {
			t.Errorf("it says %q", out)
		}
	})
	if n.missed() != nil {
		t.Errorf("npm asked the registry for %q", n.missed())
	}
}

// npmPackages is the folder that assemble.mjs makes from what goreleaser builds.
// Only this platform's package has a program.
func npmPackages(t *testing.T, program string) string {
	t.Helper()
	dist := shortDir(t)
	none := filepath.Join(dist, "none")
	saveFile(t, none, "")
	type artifact struct {
		Type   string `json:"type"`
		Goos   string `json:"goos"`
		Goarch string `json:"goarch"`
		Path   string `json:"path"`
	}
	artifacts := []artifact{{Type: "Archive", Path: "devproxy.tar.gz"}}
	for _, build := range readRelease(t).Builds {
		for _, goos := range build.Goos {
			for _, goarch := range build.Goarch {
				path := none
				if goos == runtime.GOOS && goarch == runtime.GOARCH {
					path = program
				}
				artifacts = append(artifacts, artifact{"Binary", goos, goarch, path})
			}
		}
	}
	for name, value := range map[string]any{"artifacts.json": artifacts, "metadata.json": map[string]string{"version": releaseVersion}} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		saveFile(t, filepath.Join(dist, name), string(text))
	}
	out := filepath.Join(dist, "npm")
	cmd := exec.Command(needTool(t, "node"), ".ci/release/npm/assemble.mjs", dist, out)
	cmd.Dir = "../.."
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("assemble.mjs: %v\n%s", err, text)
	}
	return out
}

// npmRegistry serves packages to npm, and to nobody else.
type npmRegistry struct {
	t   *testing.T
	env []string // of npm, whose home and cache are empty
	// packages has each package.json by the package's name, files what npm pack
	// has made. They do not change once the registry serves them.
	packages map[string]map[string]any
	files    map[string][]byte

	mu    sync.Mutex
	asked []string // requests for missing packages
}

// startRegistry packs the packages of a folder and serves them as the public
// registry does: github.com/npm/registry, docs/responses/package-metadata.md.
func startRegistry(t *testing.T, folder string) *npmRegistry {
	t.Helper()
	n := &npmRegistry{t: t, packages: map[string]map[string]any{}, files: map[string][]byte{}}
	home, _, env := privateState(t)
	for _, entry := range env {
		if name, _, _ := strings.Cut(strings.ToLower(entry), "="); !strings.HasPrefix(name, "npm_") && !strings.HasSuffix(name, "_proxy") {
			n.env = append(n.env, entry)
		}
	}
	n.env = append(n.env, "npm_config_cache="+filepath.Join(home, "cache"),
		"npm_config_update_notifier=false", "npm_config_audit=false", "npm_config_fund=false")

	folders, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(folders) != 7 {
		t.Fatalf("assemble.mjs made %q, want a package for each of six platforms and devproxy", folders)
	}
	files := shortDir(t)
	for _, folder := range folders {
		var description map[string]any
		if err := json.Unmarshal([]byte(readText(t, filepath.Join(folder, "package.json"))), &description); err != nil {
			t.Fatal(err)
		}
		name := description["name"].(string)
		if description["scripts"] != nil {
			t.Errorf("%s runs scripts when it is installed", name)
		}
		n.packages[name] = description
	}
	pack := exec.Command(needTool(t, "npm"), "pack", "--pack-destination", files, "./devproxy", "./cli-"+nodeName())
	pack.Dir, pack.Env = folder, n.env
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("npm pack: %v\n%s", err, out)
	}
	packed, err := filepath.Glob(filepath.Join(files, "*.tgz"))
	if err != nil || len(packed) != 2 {
		t.Fatalf("npm pack made %q", packed)
	}
	for _, path := range packed {
		n.files["files/"+filepath.Base(path)] = []byte(readText(t, path))
	}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	n.env = append(n.env, "npm_config_registry="+server.URL)
	return n
}

func (n *npmRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/") // "@devproxy%2fcli-linux-x64" is decoded
	file, isFile := n.files[name]
	description, isPackage := n.packages[name]
	switch {
	case isFile:
		_, _ = w.Write(file)
	case isPackage:
		version := maps.Clone(description)
		version["dist"] = map[string]string{"tarball": fmt.Sprintf("http://%s/files/%s-%s.tgz", r.Host, strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-"), releaseVersion)}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"name": name, "dist-tags": map[string]string{"latest": releaseVersion}, "versions": map[string]any{releaseVersion: version},
		})
	default:
		n.mu.Lock()
		n.asked = append(n.asked, r.Method+" "+r.URL.Path)
		n.mu.Unlock()
		http.NotFound(w, r)
	}
}

// missed are the requests for packages that are not here: a wrapper that
// downloads something would be seen.
func (n *npmRegistry) missed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

// install is a new project with devproxy.
func (n *npmRegistry) install(flag string) string {
	n.t.Helper()
	project := shortDir(n.t)
	saveFile(n.t, filepath.Join(project, "package.json"), `{"private": true}`)
	n.run(n.t, project, 0, "", "npm", "install", flag, "devproxy")
	return project
}

// run runs a program of a project to its end, wants this exit code, and returns
// what it printed on both streams.
func (n *npmRegistry) run(t *testing.T, project string, code int, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = project, n.env, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%s %q: %v, want exit code %d\n%s", name, args, err, code, out)
	}
	return string(out)
}

// npmUp is `devproxy up PORT` in front of a server that answers when it is told.
type npmUp struct {
	*upProcess
	person  *os.File // who sits before its terminal; nil without one
	arrived chan struct{}
	release func()
}

// startUp runs a command and returns once devproxy is ready.
func (n *npmRegistry) startUp(t *testing.T, project string, inTerminal bool, command ...string) *npmUp {
	t.Helper()
	u := &npmUp{upProcess: &upProcess{t: t, dir: project, events: make(chan upEvent, maxEvents)}, arrived: make(chan struct{})}
	released := make(chan struct{})
	u.release = sync.OnceFunc(func() { close(released) })
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(u.arrived)
		<-released
		fmt.Fprint(w, "hello")
	}))
	t.Cleanup(func() {
		u.release()
		upstream.Close()
	})
	_, port, _ := net.SplitHostPort(upstream.Listener.Addr().String())
	for _, entry := range n.env {
		if state, found := strings.CutPrefix(entry, "DEVPROXY_HOME="); found {
			u.state = state
		}
	}

	u.cmd = exec.Command(command[0], append(command[1:], port, "--json", "--https", ":0")...)
	u.cmd.Dir, u.cmd.Env = project, n.env
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if inTerminal {
		terminal, person := openTerminal(t)
		u.cmd.Stdin, u.cmd.Stderr, u.person = terminal, terminal, person
		u.cmd.SysProcAttr.Setctty = true
		go io.Copy(io.Discard, person) // a full terminal would stop devproxy; it ends with the terminal
	}
	out, err := u.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-u.cmd.Process.Pid, syscall.SIGKILL) }) // what is left after a failure
	go u.read(out)
	u.ready = u.await("ready")
	u.trust()
	return u
}

// typeCtrlC has the terminal interrupt every process in its foreground.
func (u *npmUp) typeCtrlC() error {
	_, err := u.person.WriteString("\x03")
	return err
}

// drains stops devproxy while a request is under way, and returns how the
// command ends. The request must be answered, which a second signal would
// prevent, and the command must not end before.
func (u *npmUp) drains(stop func() error) error {
	u.t.Helper()
	answered := make(chan error, 1)
	go func() {
		response, err := u.client("h1").Get(u.ready.URLs[0])
		if err == nil {
			var body []byte
			body, err = io.ReadAll(response.Body)
			response.Body.Close()
			if err == nil && string(body) != "hello" {
				err = fmt.Errorf("status %d: %s", response.StatusCode, body)
			}
		}
		answered <- err
	}()
	<-u.arrived
	if err := stop(); err != nil {
		u.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", u.addr.String())
		if err != nil {
			break // devproxy drains
		}
		conn.Close()
		if time.Now().After(deadline) {
			u.t.Fatal("devproxy goes on listening")
		}
	}
	var ended unix.Siginfo
	if err := unix.Waitid(unix.P_PID, u.cmd.Process.Pid, &ended, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil || ended.Signo != 0 {
		u.t.Errorf("the command ends before devproxy does (%v)", err)
	}
	u.release()
	if err := <-answered; err != nil {
		u.t.Errorf("the request under way: %v", err)
	}
	for range u.events { // until standard output is closed
	}
	return u.cmd.Wait()
}

// diesAsItsChild kills devproxy itself: the wrapper ends by the same signal.
func (n *npmRegistry) diesAsItsChild(t *testing.T, project string) {
	u := n.startUp(t, project, false, "node_modules/.bin/devproxy", "up")
	text := readText(t, fmt.Sprintf("/proc/%d/task/%[1]d/children", u.cmd.Process.Pid))
	child, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatalf("the children of the wrapper are %q", text)
	}
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range u.events { // until standard output is closed
	}
	err = u.cmd.Wait()
	if status := u.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		t.Errorf("the wrapper ends with %v", err)
	}
}
