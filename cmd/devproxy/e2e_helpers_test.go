//go:build e2e && unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
)

const (
	// patience limits one step of a test. It is long because the race detector
	// and a busy machine are slow, and costs nothing when the step succeeds.
	patience = 30 * time.Second
	// maxEvents may wait to be read: a program whose output is not read must
	// not block.
	maxEvents = 1 << 14
)

// upEvent is a line of `devproxy up --json`; the fields of all events in one.
type upEvent struct {
	Event string
	Line  string `json:"-"` // as it was printed

	URLs        []string // ready
	HTTPS       string
	HTTP        *string
	Generation  uint64 // applied
	Added       []string
	Removed     []string
	Changed     []string
	Kept        int           `json:"kept_connections"`
	Dropped     int           `json:"dropped_connections"`
	Diagnostics []savedWrong  // rejected
	Error, Fix  string        // failed, rejected
	Requests    int           // stopped
	Sockets     int           //
	Upstream    string        // state
	State       string        //
	At          time.Time     `json:"-"` // when it was read here
	Took        time.Duration `json:"-"`
	TookMS      int64         `json:"took_ms"`
}

// savedWrong is a diagnostic of a rejected save.
type savedWrong struct {
	Severity, Summary, Detail, File string
	Line, Column                    int
}

// upProcess is a running `devproxy up --json` with state of its own.
type upProcess struct {
	t     *testing.T
	dir   string   // the Proxyfile's folder
	home  string   // $HOME
	state string   // $DEVPROXY_HOME
	env   []string // of every devproxy that shall share this state
	// program replaces devproxyBinary for every devproxy that shares this state.
	program string
	cmd     *exec.Cmd
	ready   upEvent
	addr    netip.AddrPort // of HTTPS on 127.0.0.1
	roots   *x509.CertPool
	events  chan upEvent // ready is not among them; closed when standard output is

	stderr  outputBuffer
	stopped bool
}

// startUp runs `devproxy up --json --https :0` in dir until the test ends, and
// returns once it is ready. It must then stop by SIGINT with exit code 0.
func startUp(t *testing.T, dir string, args ...string) *upProcess {
	t.Helper()
	return startUpWith(t, dir, nil, args...)
}

// startUpWith is startUp with more environment: "NAME=value".
func startUpWith(t *testing.T, dir string, env []string, args ...string) *upProcess {
	t.Helper()
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	place.env = append(place.env, env...)
	u := startBeside(t, place, dir, append([]string{"up", "--json", "--https", ":0"}, args...)...)
	u.ready = u.await("ready")
	u.trust()
	return u
}

// trust reads the root that the process has made.
func (u *upProcess) trust() {
	u.t.Helper()
	addr, err := netip.ParseAddrPort(u.ready.HTTPS)
	if err != nil {
		u.t.Fatalf("the ready event has no address: %s", u.ready.Line)
	}
	u.addr, u.roots = addr, rootsOf(u.t, u.rootFile())
}

// rootFile is the root's certificate.
func (u *upProcess) rootFile() string { return filepath.Join(u.state, "root.pem") }

// url is a path of a host, with the port: url("shop.localhost", "/x").
func (u *upProcess) url(host, path string) string {
	return fmt.Sprintf("https://%s:%d%s", host, u.addr.Port(), path)
}

// client sends requests as HTTP/1.1 or HTTP/2 ("h1", "h2"), trusts the root
// alone, dials the process whatever the name, and follows no redirect.
func (u *upProcess) client(protocol string) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "h1")
	protocols.SetHTTP2(protocol == "h2")
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: u.roots},
		Protocols:       protocols,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			// "*.localhost" does not resolve everywhere; an address needs not.
			if _, err := netip.ParseAddrPort(addr); err != nil {
				addr = u.addr.String()
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	u.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// save replaces a file of the project as editors do: written next to it, then
// renamed over it.
func (u *upProcess) save(name, content string) {
	u.t.Helper()
	saveFile(u.t, filepath.Join(u.dir, name), content)
}

func saveFile(t *testing.T, path, content string) {
	t.Helper()
	beside := path + "~"
	if err := os.WriteFile(beside, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
}

// await returns the next event that is not about an upstream's state. Any kind
// other than the expected ones fails the test.
func (u *upProcess) await(kinds ...string) upEvent {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		select {
		case e, open := <-u.events:
			switch {
			case !open:
				u.t.Fatalf("devproxy ended while %q was waited for", kinds)
			case slices.Contains(kinds, e.Event):
				return e
			case e.Event != "state":
				u.t.Fatalf("devproxy says %s, want %q", e.Line, kinds)
			}
		case <-ctx.Done():
			u.t.Fatalf("no event %q within %v", kinds, patience)
		}
	}
}

// read sends the events of standard output until it ends.
func (u *upProcess) read(out io.Reader) {
	defer close(u.events)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e := upEvent{Line: lines.Text(), At: time.Now()}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e.Event = "not JSON"
		}
		e.Took = time.Duration(e.TookMS) * time.Millisecond
		select {
		case u.events <- e:
		default:
			// No one reads the output; the pipe must not fill.
		}
	}
}

// stop interrupts the process and returns the stopped event, which must be the
// last. Later calls do nothing.
func (u *upProcess) stop() upEvent {
	u.t.Helper()
	if u.stopped {
		return upEvent{}
	}
	u.stopped = true
	if err := u.cmd.Process.Signal(os.Interrupt); err != nil {
		u.t.Errorf("cannot interrupt devproxy: %v", err)
	}
	killer := time.AfterFunc(patience, u.kill)
	defer killer.Stop()
	var last upEvent
	for e := range u.events {
		last = e
	}
	if err := u.cmd.Wait(); err != nil {
		u.t.Errorf("devproxy up ended with %v after SIGINT, want exit code 0", err)
	}
	if last.Event != "stopped" {
		u.t.Errorf("the last event is %q, want stopped", last.Line)
	}
	return last
}

// kill ends the process and whatever it has started.
func (u *upProcess) kill() { _ = syscall.Kill(-u.cmd.Process.Pid, syscall.SIGKILL) }

func (u *upProcess) cleanup() {
	u.stop()
	if u.t.Failed() {
		u.t.Logf("devproxy's standard error:\n%s", u.stderr.String())
	}
}

// devproxyBinary is the devproxy that TestMain has put in the PATH: this very
// test binary under another name, so with the race detector where the test has
// it. A race it finds makes its exit code 66.
func devproxyBinary(t *testing.T) string {
	t.Helper()
	return needTool(t, "devproxy")
}

// privateState makes empty folders for the state of devproxy and browsers, and
// the environment that points there. Their paths are short: a control socket's
// ends at 107 bytes.
func privateState(t *testing.T) (home, state string, env []string) {
	t.Helper()
	base := shortDir(t)
	home, state = filepath.Join(base, "home"), filepath.Join(base, "state")
	runtime := filepath.Join(base, "run")
	for _, dir := range []string{home, runtime} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "XDG_") && !strings.HasPrefix(name, "DEVPROXY_") {
			env = append(env, entry)
		}
	}
	return home, state, append(env, "HOME="+home, "DEVPROXY_HOME="+state, "XDG_RUNTIME_DIR="+runtime, "NO_COLOR=1")
}

// shortDir is a folder like t.TempDir's, without the test's name in its path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("cannot clean up: %v", err)
		}
	})
	return dir
}

// projectDir is a folder with this Proxyfile.
func projectDir(t *testing.T, proxyfile string) string {
	t.Helper()
	dir := shortDir(t)
	saveFile(t, filepath.Join(dir, "Proxyfile"), proxyfile)
	return dir
}

// needTool is the path of a program; without it the test is skipped, or failed
// where CI promises that everything is there.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v; make deps installs it", err)
	}
	t.Skipf("%v; make deps installs it", err)
	return ""
}

// status returns what `devproxy status --json` prints in u's folder.
func (u *upProcess) status() (status control.Status) {
	u.t.Helper()
	cmd := exec.Command(devproxyBinary(u.t), "status", "--json")
	cmd.Dir, cmd.Env = u.dir, u.env
	text, err := cmd.Output()
	if err != nil {
		u.t.Fatalf("status: %v", err)
	}
	if err := json.Unmarshal(text, &status); err != nil {
		u.t.Fatalf("status prints %s: %v", text, err)
	}
	return status
}

// runTool runs a program to its end and returns what it printed. It is killed
// when it takes longer than limit.
func runTool(t *testing.T, limit time.Duration, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	// Its child processes may keep its output open.
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("%s took more than %v: %w", filepath.Base(name), limit, errors.Join(ctx.Err(), err))
	}
	return string(out), err
}

// fetch sends one request and returns status and body.
func fetch(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return response.StatusCode, string(body)
}

// outputBuffer keeps a process's output while others read it.
type outputBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *outputBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *outputBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
