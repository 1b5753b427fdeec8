//go:build e2e

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// namespaceVariable is set in the process that runs a test in a network of its own.
const namespaceVariable = "DEVPROXY_TEST_NAMESPACE"

// inNetwork reports whether the test runs in a network of its own, where the default
// ports are free. Otherwise it runs the test there and returns false.
func inNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceVariable) == t.Name() {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return true
	}
	needRoot(t, "to make network namespaces")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), namespaceVariable+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in its own network: %v\n%s", err, out)
	}
	return false
}

// loaded is a project on the shared ports, with traffic of all kinds.
type loaded struct {
	*upProcess
	name   string
	dir    string
	place  *upProcess
	stop   context.CancelFunc
	group  sync.WaitGroup
	worked atomic.Int64
}

// upstreamOf answers with name; /ws echoes, and /download never ends.
func upstreamOf(t *testing.T, name string) *httptest.Server {
	download := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/download" {
			fmt.Fprint(w, name)
			return
		}
		for r.Context().Err() == nil {
			fmt.Fprint(w, name)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Millisecond): // it must not use the whole machine
			}
		}
	})
	server := httptest.NewServer(echoSocket(download))
	t.Cleanup(server.CloseClientConnections)
	return server
}

// start starts the project and its traffic.
func (l *loaded) start(t *testing.T) {
	t.Helper()
	l.upProcess = startBeside(t, l.place, l.dir, "up", "--json")
	l.ready = l.await("ready")
	l.trust()
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = cancel
	for _, protocol := range []string{"h1", "h2"} {
		l.group.Go(func() { l.request(ctx, protocol) })
	}
	l.group.Go(func() { l.talk(ctx) })
	l.group.Go(func() { l.download(ctx) })
	before := l.worked.Load()
	l.progress(before)
}

// progress waits until more requests were answered.
func (l *loaded) progress(before int64) {
	for deadline := time.Now().Add(patience); l.worked.Load() < before+20; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%s: no request is answered", l.name)
		}
	}
}

// quiet ends the traffic.
func (l *loaded) quiet() {
	l.stop()
	l.group.Wait()
}

// request sends one request after another; every tenth uses a new connection.
func (l *loaded) request(ctx context.Context, protocol string) {
	client := l.client(protocol)
	for i := 0; ctx.Err() == nil; i++ {
		if i%10 == 9 {
			client.CloseIdleConnections()
		}
		body, err := l.get(ctx, client, "/")
		if ctx.Err() == nil && (err != nil || body != l.name) {
			l.t.Errorf("%s, %s: %q, %v", l.name, protocol, body, err)
		}
		l.worked.Add(1)
	}
}

func (l *loaded) get(ctx context.Context, client *http.Client, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url(l.name, path), nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// talk keeps a WebSocket busy.
func (l *loaded) talk(ctx context.Context) {
	c, _, err := websocket.Dial(ctx, l.url(l.name, "/ws"), &websocket.DialOptions{HTTPClient: l.client("h1")})
	if err != nil {
		l.t.Errorf("%s: %v", l.name, err)
		return
	}
	defer c.CloseNow()
	for ctx.Err() == nil {
		err := c.Write(ctx, websocket.MessageText, []byte("hello"))
		if err == nil {
			_, _, err = c.Read(ctx)
		}
		if err != nil && ctx.Err() == nil {
			l.t.Errorf("%s: the WebSocket: %v", l.name, err)
			return
		}
		time.Sleep(5 * time.Millisecond) // it must not use the whole machine
	}
}

// download reads a response that does not end.
func (l *loaded) download(ctx context.Context) {
	if _, err := l.get(ctx, l.client("h2"), "/download"); ctx.Err() == nil {
		l.t.Errorf("%s: the download ended: %v", l.name, err)
	}
}

// TestE2EThreeProjects starts and stops projects in every order, by Ctrl-C and by
// SIGKILL. The others lose nothing, whether they are the front or not.
func TestE2EThreeProjects(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	var all []*loaded
	for _, name := range []string{"a.localhost", "b.localhost", "c.localhost"} {
		server := upstreamOf(t, name)
		p := &loaded{name: name, place: place}
		p.dir = projectDir(t, fmt.Sprintf("host %q { upstream = %q }\n", name, server.URL))
		p.start(t)
		all = append(all, p)
	}
	for i := range 10 {
		// Each is the front at some time: the oldest process mostly is.
		p, others := all[0], all[1:]
		p.quiet()
		if i%2 == 0 {
			p.kill()
			p.stopped = true
			_ = p.cmd.Wait()
		} else {
			p.upProcess.stop()
		}
		for _, other := range others {
			if body, err := other.get(t.Context(), other.client("h2"), "/"); err != nil || body != other.name {
				t.Errorf("a new connection at the end of %s: %q, %v", p.name, body, err)
			}
			other.progress(other.worked.Load())
		}
		p.start(t)
		all = append(append([]*loaded{}, others...), p)
		if i%3 == 2 { // another order
			all[0], all[1] = all[1], all[0]
		}
	}
	for _, p := range all {
		p.quiet()
	}
}

// TestE2EKilledProject: the names of a killed project are gone at the next request.
func TestE2EKilledProject(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	all := neighboursInTurn(t, "a.localhost", "b.localhost")
	a, b := all[0], all[1]
	b.kill()
	b.stopped = true
	_ = b.cmd.Wait()
	if code, body := fetch(t, a.client("h2"), a.url("a.localhost", "/")); code != 200 || body != "a.localhost" {
		t.Errorf("the other project: %d %q", code, body)
	}
	if code, _ := fetch(t, a.client("h2"), a.url("b.localhost", "/")); code != http.StatusNotFound {
		t.Errorf("a killed project's name: %d, want 404", code)
	}
}

// TestE2EPortByName: a project that names the port which it shares gets it if no other
// project uses it, and shares it again later.
func TestE2EPortByName(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	host := func(status int) string { return fmt.Sprintf("host \"a.localhost\" { respond = %d }\n", status) }
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	a := startBeside(t, place, projectDir(t, host(200)), "up", "--json")
	a.ready = a.await("ready")
	a.trust()
	a.save("Proxyfile", host(201)+"listen { https = 443 }\n")
	a.await("applied")
	if code, _ := fetch(t, a.client("h2"), a.url("a.localhost", "/")); code != 201 {
		t.Errorf("with the port alone: %d", code)
	}
	other := projectDir(t, "host \"b.localhost\" { respond = 204 }\n")
	b := startBeside(t, place, other, "up", "--json")
	if e := b.await("ready"); e.HTTPS != "127.0.0.1:8443" {
		t.Errorf("another project is at %s, want 127.0.0.1:8443", e.HTTPS)
	}
	a.save("Proxyfile", host(204))
	a.await("applied")
	a.await("ready") // on other ports
	b.ready = upEvent{HTTPS: "127.0.0.1:8443"}
	b.trust()
	for _, name := range []string{"a.localhost", "b.localhost"} {
		if code, _ := fetch(t, b.client("h2"), b.url(name, "/")); code != 204 {
			t.Errorf("%s on the shared port: %d", name, code)
		}
	}
	a.save("Proxyfile", host(204)+"listen { https = 8443 }\n")
	if e := a.await("rejected"); !strings.Contains(e.Error, "8443") {
		t.Errorf("a port that another project shares: %s", e.Line)
	}
	if code, _ := fetch(t, b.client("h2"), b.url("a.localhost", "/")); code != 204 {
		t.Errorf("after that: %d", code)
	}
}
