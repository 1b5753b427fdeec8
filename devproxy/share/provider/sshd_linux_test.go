package provider

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/crypto/ssh"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// sshd is OpenSSH's server, which a share's user may log in to.
type sshd struct {
	t       *testing.T
	program string
	dir     string
	port    int
	hostKey ssh.Signer
	cmd     *exec.Cmd
}

// startSSHD starts a server that knows the share's user by id_ed25519.
func startSSHD(t *testing.T, s *testShare) *sshd {
	t.Helper()
	d := &sshd{t: t, program: needTool(t, "sshd"), dir: t.TempDir(), port: freePort(t)}
	if os.Geteuid() == 0 { // sshd(8): the folder of its privilege separation
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.hostKey = writeKey(t, filepath.Join(d.dir, "host"))
	key := writeKey(t, filepath.Join(s.user, ".ssh", "id_ed25519"))
	d.authorize(key.PublicKey())
	config := fmt.Sprintf(`ListenAddress 127.0.0.1:%d
HostKey %s/host
PidFile none
AuthorizedKeysFile %s/authorized_keys
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding remote
`, d.port, d.dir, d.dir)
	if err := os.WriteFile(filepath.Join(d.dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start()
	t.Cleanup(d.kill)
	return d
}

// freePort is a port that nothing listened on a moment ago: sshd cannot choose one.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// authorize lets a key forward and nothing else, as a careful owner of a server does.
func (d *sshd) authorize(key ssh.PublicKey) {
	d.t.Helper()
	line := append([]byte("restrict,port-forwarding,command=\"/bin/false\" "), ssh.MarshalAuthorizedKey(key)...)
	if err := os.WriteFile(filepath.Join(d.dir, "authorized_keys"), line, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *sshd) start() {
	d.t.Helper()
	log := new(bytes.Buffer)
	d.cmd = exec.Command(d.program, "-D", "-e", "-f", filepath.Join(d.dir, "config"))
	d.cmd.Stderr = log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd := d.cmd
	d.t.Cleanup(func() {
		if d.t.Failed() {
			_ = cmd.Wait() // so that no one writes to the log any more
			d.t.Logf("sshd:\n%s", log)
		}
	})
	eventually(d.t, "listening of sshd", func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// family are the processes of the server: each connection has its own.
func (d *sshd) family() []int {
	parents := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		parent, _ := strconv.Atoi(fields[1]) // proc_pid_stat(5)
		parents[parent] = append(parents[parent], pid)
	}
	all := []int{d.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		all = append(all, parents[all[i]]...)
	}
	return all
}

func (d *sshd) signal(signal syscall.Signal) {
	for _, pid := range d.family() {
		_ = syscall.Kill(pid, signal)
	}
}

// kill ends the server and its connections at once.
func (d *sshd) kill() {
	d.signal(syscall.SIGKILL)
	_ = d.cmd.Wait()
}

// relay is the value of `relay` for the server with a proxy in front of port.
func (d *sshd) relay(port int) string {
	self, err := user.Current()
	if err != nil {
		d.t.Fatal(err)
	}
	return fmt.Sprintf("ssh://%s@127.0.0.1:%d?listen=%d&url=https://share.example.com", self.Username, d.port, port)
}

func (d *sshd) server(port int) *sshServer {
	d.t.Helper()
	server, err := parseSSH(d.relay(port))
	if err != nil {
		d.t.Fatal(err)
	}
	return server
}

// startFront is an HTTPS proxy in front of a port, and the client of a visitor.
func startFront(t *testing.T, port int) *http.Client {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	transport := new(http.Transport)
	front := httptest.NewTLSServer(&httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(front.Close)
	t.Cleanup(transport.CloseIdleConnections)
	client := front.Client()
	own := client.Transport.(*http.Transport)
	own.TLSClientConfig.ServerName = "example.com"
	own.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, front.Listener.Addr().String())
	}
	t.Cleanup(own.CloseIdleConnections)
	return client
}

const shareURL = "https://share.example.com"

// TestOpenSSH shares through a real sshd, with an HTTPS proxy in front of it.
func TestOpenSSH(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	port := freePort(t)
	s.start(d.server(port), shareOptions{})
	client := startFront(t, port)
	state := s.wait(isUp)
	if want := []string{"share.example.com"}; !slices.Equal(state.Grant.Hosts, want) || state.Grant.Port != 443 {
		t.Errorf("granted %v:%d, want %v:443", state.Grant.Hosts, state.Grant.Port, want)
	}
	if notes := s.noted(); len(notes) != 1 || !strings.Contains(notes[0], ssh.FingerprintSHA256(d.hostKey.PublicKey())) {
		t.Errorf("the user is told %q, want the server's fingerprint", notes)
	}

	t.Run("page", func(t *testing.T) {
		if got, want := get(t, client, shareURL+"/"), "200 page of share.example.com for https from invalid AddrPort"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("WebSocket", func(t *testing.T) {
		c, _, err := websocket.Dial(t.Context(), shareURL+"/socket", &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		for i := range 100 {
			message := fmt.Sprint("message ", i)
			if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != "echo "+message {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("closing failed: %v", err)
		}
	})
	t.Run("events", func(t *testing.T) {
		response, err := client.Get(shareURL + "/events")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		// The answer does not end, so this line has not waited for its end.
		if line, err := bufio.NewReader(response.Body).ReadString('\n'); line != "data: first\n" {
			t.Errorf("got %q, %v", line, err)
		}
	})
	t.Run("upload", func(t *testing.T) {
		body := make([]byte, 50<<20)
		if _, err := rand.Read(body); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(body)
		response, err := client.Post(shareURL+"/upload", "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		got, err := io.ReadAll(response.Body)
		if want := fmt.Sprintf("%d %s <nil>", len(body), hex.EncodeToString(sum[:])); string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
	t.Run("download", func(t *testing.T) {
		response, err := client.Get(shareURL + "/download/20000000")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if n, err := io.Copy(io.Discard, response.Body); n != 20000000 || err != nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
	})
	t.Run("twenty at a time", func(t *testing.T) {
		var visitors sync.WaitGroup
		for range 20 {
			visitors.Go(func() {
				for range 5 {
					if got := get(t, client, shareURL+"/"); !strings.HasPrefix(got, "200 ") {
						t.Errorf("got %q", got)
					}
				}
			})
		}
		visitors.Wait()
	})
}

// TestOpenSSHRestart: the share comes back under the same name.
func TestOpenSSHRestart(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	port := freePort(t)
	s.start(d.server(port), shareOptions{})
	client := startFront(t, port)
	s.wait(isUp)
	d.kill()
	state := s.wait(isWaiting)
	if state.Err.Reason != agent.ReasonBroken || state.Err.Fix == "" {
		t.Errorf("the error is %+v, want %s", state.Err, agent.ReasonBroken)
	}
	d.start()
	if state := s.wait(isUp); !slices.Equal(state.Grant.Hosts, []string{"share.example.com"}) {
		t.Errorf("granted %v", state.Grant.Hosts)
	}
	client.CloseIdleConnections()
	if got := get(t, client, shareURL+"/"); !strings.HasPrefix(got, "200 page") {
		t.Errorf("after the restart a visitor gets %q", got)
	}
	if notes := s.noted(); len(notes) != 1 {
		t.Errorf("the user is told %q, want the first key alone", notes)
	}
}

// TestOpenSSHHostKey: a server with another key than before gets nothing.
func TestOpenSSHHostKey(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	port := freePort(t)
	s.start(d.server(port), shareOptions{})
	s.wait(isUp)
	d.kill()
	old := d.hostKey
	d.hostKey = writeKey(t, filepath.Join(d.dir, "host"))
	d.start()
	e := s.fails(agent.ReasonPin, ssh.FingerprintSHA256(old.PublicKey()), ssh.FingerprintSHA256(d.hostKey.PublicKey()))

	// The command that it names accepts the new key.
	_, command, _ := strings.Cut(e.Fix, "accept it: ")
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	again := &testShare{t: t, home: s.home, user: s.user, states: make(chan agent.State, 1000), result: make(chan error, 1)}
	again.start(d.server(port), shareOptions{})
	again.wait(isUp)
	if notes := again.noted(); len(notes) != 1 || !strings.Contains(notes[0], ssh.FingerprintSHA256(d.hostKey.PublicKey())) {
		t.Errorf("the user is told %q, want the new fingerprint", notes)
	}
}

// TestOpenSSHUnknownKey: a user who may not log in gets the fix.
func TestOpenSSHUnknownKey(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	d.authorize(newSigner(t).PublicKey())
	s.start(d.server(freePort(t)), shareOptions{})
	s.fails(agent.ReasonUnknownKey, "ssh-copy-id -p "+strconv.Itoa(d.port), "none of the 1 keys")
}

// TestOpenSSHPortTaken: a port that something else uses may become free.
func TestOpenSSHPortTaken(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	server := d.server(ln.Addr().(*net.TCPAddr).Port)
	server.listen = "127.0.0.1" // of two families sshd is content with one
	s.start(server, shareOptions{})
	wantError(t, s.wait(isWaiting).Err, agent.ReasonFailed, "AllowTcpForwarding")
	ln.Close()
	s.wait(isUp)
}

// TestOpenSSHSilent: a server that hangs is noticed, and is there again.
func TestOpenSSHSilent(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	port := freePort(t)
	s.start(d.server(port), shareOptions{times: func(times *sshTimes) {
		times.keepaliveEvery, times.keepaliveTimeout = 50*time.Millisecond, 500*time.Millisecond
	}})
	s.wait(isUp)
	d.signal(syscall.SIGSTOP)
	wantError(t, s.wait(isWaiting).Err, agent.ReasonBroken, "has not answered for 550ms")
	d.signal(syscall.SIGCONT)
	s.wait(isUp)
	if got := get(t, startFront(t, port), shareURL+"/"); !strings.HasPrefix(got, "200 page") {
		t.Errorf("a visitor gets %q", got)
	}
}

// TestOpenSSHWithoutURL: a plain sshd gives no names.
func TestOpenSSHWithoutURL(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	server := d.server(freePort(t))
	server.public = link{}
	s.start(server, shareOptions{times: func(times *sshTimes) { times.link = 100 * time.Millisecond }})
	s.fails(ReasonNoURL, "relay = \""+server.base()+"?listen=8080&url=https://demo.example.com\"")
}

// TestOpenSSHAgent: keys come from ssh-agent, and a file with a passphrase is named
// when nothing else helps.
func TestOpenSSHAgent(t *testing.T) {
	s := newShare(t)
	d := startSSHD(t, s)
	file := filepath.Join(s.user, ".ssh", "id_ed25519")
	private := lockKey(t, file)
	port := freePort(t)
	s.start(d.server(port), shareOptions{})
	s.fails(agent.ReasonUnknownKey, "ssh-add '"+file+"'", "has a passphrase")

	// Now the agent has it, among keys that the server does not know.
	dir, err := os.MkdirTemp("", "agent-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "socket")
	serveAgent(t, socket, file, private)
	again := newShare(t)
	again.user = s.user
	again.start(d.server(port), shareOptions{env: map[string]string{"SSH_AUTH_SOCK": socket}})
	again.wait(isUp)
}
