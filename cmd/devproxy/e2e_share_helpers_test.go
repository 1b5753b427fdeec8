//go:build e2e && unix

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// devRelay is a running `devproxy relay --dev --json`. The projects that are
// shared through it have its state, and so its CA.
type devRelay struct {
	*upProcess
	listen string // 127.0.0.1:PORT
	name   string // share.localhost:PORT
}

// startDevRelay starts a relay for this machine until the test ends.
func startDevRelay(t *testing.T, args ...string) *devRelay {
	t.Helper()
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	args = append([]string{"relay", "--dev", "--json"}, args...)
	return newDevRelay(t, startBeside(t, place, shortDir(t), args...), filepath.Join(place.state, "root.pem"))
}

// newDevRelay is a relay that begins, whose visitors trust the CA in a file.
func newDevRelay(t *testing.T, started *upProcess, ca string) *devRelay {
	t.Helper()
	r := &devRelay{upProcess: started}
	var ready struct{ Domain, Listen string }
	decodeEvent(t, r.await("ready"), &ready)
	_, port, err := net.SplitHostPort(ready.Listen)
	if err != nil {
		t.Fatal(err)
	}
	r.listen, r.name, r.roots = ready.Listen, net.JoinHostPort(ready.Domain, port), rootsOf(t, ca)
	return r
}

// port is the one that visitors connect to.
func (r *devRelay) port() string {
	_, port, _ := net.SplitHostPort(r.listen)
	return port
}

// startBeside starts a devproxy in dir with the state of another, and waits for
// nothing. It must stop as startUp's does.
func startBeside(t *testing.T, place *upProcess, dir string, args ...string) *upProcess {
	t.Helper()
	program := place.program
	if program == "" {
		program = devproxyBinary(t)
	}
	return startProgram(t, place, dir, append([]string{program}, args...))
}

// startProgram is startBeside with the whole command, which may limit what
// devproxy gets: prlimit(1) and its arguments come before it.
func startProgram(t *testing.T, place *upProcess, dir string, command []string) *upProcess {
	t.Helper()
	u := &upProcess{t: t, dir: dir, home: place.home, state: place.state, env: slices.Clone(place.env), program: place.program, events: make(chan upEvent, maxEvents)}
	u.cmd = exec.Command(command[0], command[1:]...)
	u.cmd.Dir, u.cmd.Env, u.cmd.Stderr = dir, u.env, &u.stderr
	// Its own group: Ctrl-C in the terminal is for the test, and nothing that it starts
	// outlives it.
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := u.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.cleanup)
	go u.read(out)
	return u
}

func decodeEvent(t *testing.T, e upEvent, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.Line), into); err != nil {
		t.Fatalf("%s: %v", e.Line, err)
	}
}

// sharedProject is a running `devproxy up --share`.
type sharedProject struct {
	*upProcess
	relay *devRelay
	link  string            // the first host's public URL, with the secret of a plain name
	hosts map[string]string // public URLs by local name

	advisories []string // about dev servers with known holes
}

// share shares the project in dir, with more environment, until the test ends.
func (r *devRelay) share(t *testing.T, dir string, env []string, args ...string) *sharedProject {
	t.Helper()
	p := r.beginShare(t, dir, env, args...)
	p.ready = p.await("ready")
	p.trust()
	p.awaitLink()
	return p
}

// beginShare is share without waiting for anything.
func (r *devRelay) beginShare(t *testing.T, dir string, env []string, args ...string) *sharedProject {
	t.Helper()
	return r.begin(t, dir, env, append([]string{"up", "--share"}, args...))
}

// shareOnly is beginShare for `devproxy share`, which ends when the share fails.
func (r *devRelay) shareOnly(t *testing.T, dir string) *sharedProject {
	t.Helper()
	return r.begin(t, dir, nil, []string{"share"})
}

func (r *devRelay) begin(t *testing.T, dir string, env, args []string) *sharedProject {
	t.Helper()
	place := &upProcess{home: r.home, state: r.state, env: append(slices.Clone(r.env), env...), program: r.program}
	if !slices.Contains(args, "--relay") {
		args = append(args, "--relay", r.name)
	}
	args = append(args, "--json", "--https", ":0", "--http", ":0")
	return &sharedProject{upProcess: startBeside(t, place, dir, args...), relay: r}
}

// awaitLink waits until the project is shared.
func (p *sharedProject) awaitLink() {
	p.t.Helper()
	p.noteLink(p.awaitPast("shared"))
}

func (p *sharedProject) noteLink(e upEvent) {
	p.t.Helper()
	var shared struct {
		URL        string
		Hosts      map[string]string
		Advisories []string
	}
	decodeEvent(p.t, e, &shared)
	p.link, p.hosts, p.advisories = shared.URL, shared.Hosts, shared.Advisories
}

// awaitPast returns the next event of a kind; events about the connection to
// the relay come in between.
func (p *sharedProject) awaitPast(kind string) upEvent {
	p.t.Helper()
	for {
		if e := p.await(kind, "relay"); e.Event == kind {
			return e
		}
	}
}

// awaitEnd returns the failed event of a share that never came to be, and wants
// the process to end with exit code 1.
func (p *sharedProject) awaitEnd() (failed upEvent) {
	p.t.Helper()
	p.stopped = true // on its own
	killer := time.AfterFunc(patience, p.kill)
	defer killer.Stop()
	for e := range p.events {
		if e.Event == "failed" {
			failed = e
		}
	}
	_ = p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		p.t.Errorf("devproxy share ends with %d, want 1", code)
	}
	return failed
}

// base is the first host's public URL without path and secret.
func (p *sharedProject) base() string {
	base, _, _ := strings.Cut(p.link, "/?")
	return base
}

// host is the public authority of a local name.
func (p *sharedProject) host(local string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(p.hosts[local], "https://"), "/")
	return host
}

// visitorAddress is where visitors come from: not where the agent does, where
// the system has more than one address for itself.
func visitorAddress() string {
	if runtime.GOOS == "linux" {
		return "127.0.0.9"
	}
	return "127.0.0.1"
}

// dial connects to the relay as a visitor, whatever the name.
func (r *devRelay) dial(ctx context.Context) (net.Conn, error) {
	from := &net.TCPAddr{IP: net.ParseIP(visitorAddress())}
	return (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", r.listen)
}

// visitor sends requests to the relay as HTTP/1.1 or HTTP/2 ("h1", "h2"),
// trusts the CA alone, keeps no cookies and follows no redirect.
func (r *devRelay) visitor(t *testing.T, protocol string) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "h1")
	protocols.SetHTTP2(protocol == "h2")
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.roots},
		Protocols:       protocols,
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return r.dial(ctx) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialRaw returns a TLS connection to the relay without a request.
func (r *devRelay) dialRaw(t *testing.T, serverName string, protocols ...string) *tls.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(rawPatience)); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(serverName, ":")
	secure := tls.Client(conn, &tls.Config{RootCAs: r.roots, ServerName: name, NextProtos: append(protocols, "http/1.1")})
	if err := secure.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	return secure
}

// answered is a response that was read to its end.
type answered struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with fields, "Name", "value", …; Host is the authority.
func ask(t *testing.T, client *http.Client, method, url, body string, fields ...string) answered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "Host" {
			r.Host = fields[i+1]
		}
		r.Header[fields[i]] = append(r.Header[fields[i]], fields[i+1])
	}
	delete(r.Header, "Host")
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return answered{response.StatusCode, response.Header, string(text)}
}

// app is a dev server that records its requests.
type app struct {
	*httptest.Server

	mu   sync.Mutex
	seen []*http.Request
}

func startApp(t *testing.T, handler http.HandlerFunc) *app {
	t.Helper()
	a := &app{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.seen = append(a.seen, r)
		a.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// take are the requests since the last call.
func (a *app) take() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := a.seen
	a.seen = nil
	return seen
}

// html answers with a page of this body. Its icon is its own: no request of the
// browser's comes on top.
func html(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><title>page</title><link rel="icon" href="data:,">`+body)
}

// unixApp serves a socket file in dir until stop: no one else can take it in
// between, as they could a port.
func unixApp(t *testing.T, dir, name string, handler http.HandlerFunc) (stop func()) {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close) // closing it twice is harmless
	return func() {
		server.CloseClientConnections()
		server.Close()
	}
}

// keyIn is the public key of a folder in a text for people.
func keyIn(t *testing.T, text string) string {
	t.Helper()
	key := regexp.MustCompile(`[A-Za-z0-9+/]{43}=`).FindString(text)
	if key == "" {
		t.Fatalf("no key in %s", text)
	}
	return key
}

// shareKnown shares the project in dir with a relay that reads its list of keys
// every two seconds, and so may not know a new one at once. It returns what
// comes of it: the shared event or another failure.
func (r *devRelay) shareKnown(t *testing.T, dir string) (*sharedProject, upEvent) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		p := r.shareOnly(t, dir)
		for e := range p.events {
			switch e.Event {
			case "shared":
				p.noteLink(e)
				return p, e
			case "failed":
				p.awaitEnd()
				if !strings.Contains(e.Line, "does not know") {
					return p, e
				}
			}
		}
	}
	t.Fatalf("the relay does not read its keys within %v", patience)
	return nil, upEvent{}
}
