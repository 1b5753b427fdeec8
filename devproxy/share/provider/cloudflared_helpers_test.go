package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// fastTimes has short pauses, and times that only a fault reaches.
var fastTimes = cloudflaredTimes{start: time.Minute, quic: time.Minute, http2: time.Minute, lost: time.Minute, startPoll: 5 * time.Millisecond, watchPoll: 10 * time.Millisecond}

// sharing is a share through a fake cloudflared.
type sharing struct {
	t       *testing.T
	bin     string // the only folder of PATH
	temp    string // TMPDIR
	carrier *carrier
	states  chan agent.State
	stop    context.CancelFunc
	ended   chan error // Run's
	conns   chan *Conn // that the server has
	notes   chan string
	env     map[string]string
}

// setup prepares a share; start begins it.
func setup(t *testing.T, does scenario) *sharing {
	t.Helper()
	s := &sharing{t: t, bin: t.TempDir(), temp: shortFolder(t), states: make(chan agent.State, 1000), ended: make(chan error, 1), conns: make(chan *Conn, 1000), notes: make(chan string, 1000)}
	if does.Version == "" {
		does.Version = "2026.8.2"
	}
	if does.Hostname == "" {
		does.Hostname = "start-%d-of-fake.trycloudflare.com"
	}
	if does.Connects == nil {
		does.Connects = []string{"quic", "http2"}
	}
	installFake(t, s.bin, "cloudflared")
	writeJSON(t, filepath.Join(s.bin, "scenario.json"), does)
	s.env = map[string]string{"PATH": s.bin, "TMPDIR": s.temp, "HOME": t.TempDir()}
	if runtime.GOOS == "windows" {
		for _, name := range []string{"SystemRoot", "TEMP", "TMP", "USERPROFILE"} {
			s.env[name] = os.Getenv(name)
		}
	}
	return s
}

// shortFolder is a folder whose path leaves room for that of a Unix socket.
func shortFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "dp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// installFake makes this program be run by another name.
func installFake(t *testing.T, folder, name string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, name+programSuffix)
	if runtime.GOOS != "windows" {
		if err := os.Symlink(self, path); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(self)
	if err == nil {
		err = os.WriteFile(path, text, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// start shares hosts. handler answers the visitors' requests.
func (s *sharing) start(p cloudflaredTimes, handler http.Handler, hosts ...string) {
	s.t.Helper()
	provider := cloudflare()
	provider.opener = func(opts Options) (opener, error) {
		c := newCloudflared(opts)
		c.times = p
		return c, nil
	}
	if hosts == nil {
		hosts = []string{""}
	}
	s.carrier = newCarrier(provider, Options{
		Claim:  tunnel.Claim{Hosts: hosts},
		Getenv: func(name string) string { return s.env[name] },
		Notify: func(state agent.State) { s.states <- state },
		Note:   func(text string) { s.notes <- text },
	})
	ctx, stop := context.WithCancel(s.t.Context())
	s.stop = stop
	go func() { s.ended <- s.carrier.Run(ctx) }()
	server := &http.Server{Handler: handler, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		s.conns <- c.(*Conn)
		return ctx
	}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(s.carrier)
	}()
	s.t.Cleanup(func() {
		s.end()
		<-served
		server.Close()
	})
}

// end ends the share and looks for leftovers of it.
func (s *sharing) end() error {
	s.t.Helper()
	s.stop()
	var err error
	select {
	case err = <-s.ended:
		s.ended <- err
	case <-time.After(time.Minute):
		s.t.Fatal("the share does not end")
	}
	if left, err := os.ReadDir(s.temp); err != nil || len(left) > 0 {
		s.t.Errorf("left in TMPDIR: %v %v", left, err)
	}
	for _, start := range s.starts() {
		if isAlive(start.PID) {
			s.t.Errorf("process %d is left", start.PID)
		}
	}
	return err
}

// starts are those of the fake so far.
func (s *sharing) starts() []fakeStart {
	s.t.Helper()
	var starts []fakeStart
	for n := 1; ; n++ {
		text, err := os.ReadFile(filepath.Join(s.bin, fmt.Sprintf("start-%d.json", n)))
		if os.IsNotExist(err) {
			return starts
		}
		var start fakeStart
		if err == nil {
			err = json.Unmarshal(text, &start)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		starts = append(starts, start)
	}
}

// until waits for a state.
func (s *sharing) until(is func(agent.State) bool) agent.State {
	s.t.Helper()
	timeout := time.After(time.Minute)
	var last agent.State
	for {
		select {
		case last = <-s.states:
			if is(last) {
				return last
			}
		case err := <-s.ended:
			s.ended <- err
			s.t.Fatalf("the share has ended: %v; the last state is %+v", err, last)
		case <-timeout:
			s.t.Fatalf("the last state is %+v", last)
		}
	}
}

// up waits until the share is up, and is its names.
func (s *sharing) up() []string {
	s.t.Helper()
	return s.until(func(state agent.State) bool { return state.Phase == agent.Up }).Grant.Hosts
}

// waiting waits for an error that is tried again.
func (s *sharing) waiting() *agent.Error {
	s.t.Helper()
	return s.until(func(state agent.State) bool { return state.Err != nil }).Err
}

// fatal waits for the error that ends the share.
func (s *sharing) fatal() *agent.Error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		s.ended <- nil
		var known *agent.Error
		if !errors.As(err, &known) {
			s.t.Fatalf("the share ended with %v", err)
		}
		return known
	case <-time.After(time.Minute):
		s.t.Fatal("the share does not end")
		return nil
	}
}

// conn is the next connection that the server has got.
func (s *sharing) conn() *Conn {
	s.t.Helper()
	select {
	case conn := <-s.conns:
		return conn
	case <-time.After(time.Minute):
		s.t.Fatal("no connection of its own")
		return nil
	}
}

// edge is where visitors of a name come in.
func (s *sharing) edge(name string) string {
	s.t.Helper()
	var n int
	if _, err := fmt.Sscanf(name, "start-%d-", &n); err != nil {
		n = 1
	}
	starts := s.starts()
	if n > len(starts) {
		s.t.Fatalf("start %d not found", n)
	}
	return starts[n-1].Edge
}

// visit makes a visitor's request.
func (s *sharing) visit(name string, r *http.Request) *http.Response {
	s.t.Helper()
	r.Host = name
	edge := s.edge(name)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, edge)
	}}}
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// get is the text of a page.
func (s *sharing) get(name, path string, fields ...string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+name+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp := s.visit(name, r)
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s %q %v", path, resp.Status, text, err)
	}
	return string(text)
}

// tell gives the fake an order.
func (s *sharing) tell(name, order string) {
	s.t.Helper()
	resp, err := http.Get("http://" + s.edge(name) + "/.fake/" + order)
	if err != nil {
		return // a crash has no answer
	}
	resp.Body.Close()
}

// untilGone waits until the process of a name has ended.
func (s *sharing) untilGone(name string) {
	s.t.Helper()
	edge := s.edge(name)
	for _, start := range s.starts() {
		if start.Edge == edge {
			for deadline := time.Now().Add(time.Minute); isAlive(start.PID); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					s.t.Fatalf("process %d does not end", start.PID)
				}
			}
		}
	}
}
