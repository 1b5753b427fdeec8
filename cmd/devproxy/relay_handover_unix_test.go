//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// handoverPatience bounds what should happen at once; only a failing test waits for it.
const handoverPatience = 30 * time.Second

// relayProcess is the program as a relay, with those that replaced it.
type relayProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	home   string
	addr   string
	http   string // of the redirect, empty for none
	events chan map[string]any
	pid    int // of the process that serves

	mu  sync.Mutex
	log bytes.Buffer
}

// startRelay starts a relay, and returns once it accepts connections.
func startRelay(t *testing.T, home string, args ...string) *relayProcess {
	t.Helper()
	p := launchRelay(t, home, args...)
	p.ready()
	return p
}

// ready waits until the relay accepts connections.
func (p *relayProcess) ready() {
	p.t.Helper()
	event := p.expect("ready")
	p.addr = event["listen"].(string)
	p.http, _ = event["http"].(string)
}

// launchRelay starts a relay, which may not accept connections yet.
func launchRelay(t *testing.T, home string, args ...string) *relayProcess {
	t.Helper()
	program, err := exec.LookPath("devproxy") // testscript.Main put this test there
	if err != nil {
		t.Fatal(err)
	}
	p := &relayProcess{t: t, home: home, events: make(chan map[string]any, 100)}
	p.cmd = exec.Command(program, append([]string{"relay", "--json"}, args...)...)
	// What is killed at the end removes nothing of its own.
	temporary, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temporary) })
	p.cmd.Env = append(os.Environ(), "DEVPROXY_HOME="+home, "TMPDIR="+temporary)
	out, in, err := os.Pipe() // which successors write to as well
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, p
	p.cmd.WaitDelay = 5 * time.Second // a successor that hangs has the pipe too
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go p.read(out)
	t.Cleanup(func() {
		if p.pid != 0 {
			_ = syscall.Kill(p.pid, syscall.SIGKILL) // what a passed test has ended is gone
		}
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("relay:\n%s", p.log.String())
		}
	})
	return p
}

func (p *relayProcess) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *relayProcess) read(out *os.File) {
	defer out.Close()
	defer close(p.events)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var event map[string]any
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			p.t.Errorf("standard output has %q", lines.Text())
			return
		}
		p.events <- event
	}
}

// expect waits for an event, and remembers the serving process.
func (p *relayProcess) expect(name string) map[string]any {
	p.t.Helper()
	for {
		select {
		case event, ok := <-p.events:
			if ok && event["event"] == "stopped" && name != "stopped" {
				continue // a process that was replaced
			}
			if !ok || event["event"] != name {
				p.t.Fatalf("the event is %v, want %s", event, name)
			}
			if name == "ready" {
				p.pid = int(event["pid"].(float64))
			}
			return event
		case <-time.After(handoverPatience):
			p.t.Fatalf("no %s event", name)
		}
	}
}

func (p *relayProcess) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		p.t.Fatal(err)
	}
}

// roots are the CA of the relay's home.
func (p *relayProcess) roots() *x509.CertPool {
	p.t.Helper()
	return rootsOf(p.t, filepath.Join(p.home, "root.pem"))
}

// client reaches the relay under every name.
func (p *relayProcess) client(http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: p.roots()}, Protocols: protocols,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.addr)
		},
	}
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: handoverPatience}
}

// share runs an agent with an app, and returns its public URL.
func (p *relayProcess) share(app http.Handler) string {
	p.t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), 32))
	up := make(chan agent.State, 100)
	_, port, _ := net.SplitHostPort(p.addr)
	a := agent.New(agent.Options{
		Relay: devDomain + ":" + port, Key: key, Roots: p.roots(),
		Claim:  tunnel.Claim{Project: "shop", Link: tunnel.Link(key, 0), Hosts: []string{""}},
		Notify: func(s agent.State) { up <- s },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	server := &http.Server{Handler: app}
	group.Go(func() {
		if err := a.Run(ctx); err != nil {
			p.t.Errorf("agent: %v", err)
		}
	})
	group.Go(func() { _ = server.Serve(a) })
	p.t.Cleanup(func() {
		cancel()
		server.Close()
		group.Wait()
	})
	for {
		select {
		case s := <-up:
			if s.Phase == agent.Up {
				go func() { // the rest is of no interest
					for {
						select {
						case <-up:
						case <-ctx.Done():
							return
						}
					}
				}()
				return "https://" + s.Grant.Hosts[0] + ":" + port
			}
		case <-time.After(handoverPatience):
			p.t.Fatal("the agent does not connect")
		}
	}
}

// uploadApp counts uploaded bytes, and echoes WebSockets.
func uploadApp(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ws" {
		echoMessages(w, r)
		return
	}
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprint(w, n)
}

func echoOnce(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), handoverPatience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if _, back, err := c.Read(ctx); err != nil || string(back) != text {
		t.Fatalf("%q came back, %v", back, err)
	}
}

// TestRelayHandover replaces a relay twice under load: no request fails, on
// connections old and new, an upload under way ends well, and a WebSocket of
// the first process lives. Then SIGTERM ends it with 1012.
func TestRelayHandover(t *testing.T) {
	p := startRelay(t, t.TempDir(), "--dev", "--admin", "0")
	url := p.share(http.HandlerFunc(uploadApp))
	socket, _, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{HTTPClient: p.client(false)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	echoOnce(t, socket, "before")

	body, upload := io.Pipe()
	uploaded := make(chan string, 1)
	go func() {
		res, err := p.client(true).Post(url+"/upload", "text/plain", body)
		if err != nil {
			uploaded <- err.Error()
			return
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		uploaded <- string(text)
	}()
	fmt.Fprint(upload, strings.Repeat("x", 1000))

	stop := make(chan struct{})
	var load sync.WaitGroup
	var served, failed atomic.Int64
	for i := range 4 {
		load.Go(func() {
			client := p.client(i%2 == 0)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if i%10 == 9 {
					client.CloseIdleConnections() // then a new one
				}
				res, err := client.Post(url+"/", "text/plain", strings.NewReader("12345"))
				if err != nil {
					t.Errorf("POST: %v", err)
					failed.Add(1)
					return
				}
				text, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if string(text) != "5" {
					t.Errorf("POST: %s %q", res.Status, text)
					failed.Add(1)
					return
				}
				served.Add(1)
			}
		})
	}
	first := p.pid
	for range 2 {
		before := p.pid
		waitServed(t, &served, 100)
		p.signal(syscall.SIGHUP)
		ready := p.expect("ready")
		if event := p.expect("handover"); ready["listen"] != p.addr || p.pid == before || int(event["pid"].(float64)) != p.pid {
			t.Errorf("after SIGHUP: %v, %v", ready, event)
		}
		waitServed(t, &served, 100)
		echoOnce(t, socket, "after")
		fmt.Fprint(upload, strings.Repeat("x", 1000))
	}
	close(stop)
	load.Wait()
	upload.Close()
	select {
	case text := <-uploaded:
		if text != "3000" {
			t.Errorf("the upload: %q", text)
		}
	case <-time.After(handoverPatience):
		t.Error("the upload does not end")
	}
	t.Logf("%d requests, %d failed", served.Load(), failed.Load())

	second, _, err := websocket.Dial(t.Context(), url+"/ws", &websocket.DialOptions{HTTPClient: p.client(false)})
	if err != nil {
		t.Fatal(err)
	}
	defer second.CloseNow()
	echoOnce(t, second, "third process")
	p.signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(t.Context(), handoverPatience)
	defer cancel()
	if _, _, err := second.Read(ctx); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("after SIGTERM the WebSocket ended with %v; want 1012", err)
	}
	echoOnce(t, socket, "the first process still has its own")
	_ = syscall.Kill(first, syscall.SIGTERM)
	if _, _, err := socket.Read(ctx); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("after SIGTERM to the first process the WebSocket ended with %v; want 1012", err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the first process ended with %v", err)
	}
}

func waitServed(t *testing.T, served *atomic.Int64, more int64) {
	t.Helper()
	from := served.Load()
	for deadline := time.Now().Add(handoverPatience); served.Load() < from+more; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d requests within %v", served.Load()-from, handoverPatience)
		}
	}
}

// TestRelayHandoverFails: a program that cannot start leaves the old one serving.
func TestRelayHandoverFails(t *testing.T) {
	home := t.TempDir()
	keys := filepath.Join(home, "keys")
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), 32)).Public().(ed25519.PublicKey)
	line := "devproxy-ed25519 " + base64.StdEncoding.EncodeToString(key) + "\n"
	if err := os.WriteFile(keys, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startRelay(t, home, "--dev", "--authorized-keys", keys)
	url := p.share(http.HandlerFunc(uploadApp))
	if err := os.WriteFile(keys, []byte("nonsense\n"+line), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.expect("failed") // the new process's
	if event := p.expect("handover"); event["pid"] != nil || event["error"] == nil {
		t.Errorf("the event is %v", event)
	}
	res, err := p.client(true).Post(url+"/", "text/plain", strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("afterwards: %s", res.Status)
	}
	if err := os.WriteFile(keys, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.expect("ready")
	p.expect("handover")
}

// TestRelayWithFiles: a relay as on a server, with its own certificate, keys
// and a redirect, all of which survive a handover.
func TestRelayWithFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "relay", "t.example.com", "*.t.example.com")
	p := startRelay(t, dir, "--domain", "t.example.com", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--cert", cert, "--key", key,
		"--token", "a token for this test")
	roots := rootsOf(t, cert)
	client := &http.Client{Timeout: handoverPatience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			to := p.addr
			if strings.HasSuffix(addr, ":80") {
				to = p.http
			}
			return new(net.Dialer).DialContext(ctx, network, to)
		},
	}}
	for range 2 {
		res, err := client.Get("http://shop.t.example.com/x") // redirected to HTTPS
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound || !strings.HasPrefix(string(body), "This link does not exist.") || res.Request.URL.Scheme != "https" {
			t.Errorf("%s %s: %q", res.Request.URL, res.Status, body)
		}
		p.signal(syscall.SIGHUP)
		p.expect("ready")
		p.expect("handover")
	}
	p.signal(syscall.SIGTERM)
}
