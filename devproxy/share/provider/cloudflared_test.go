package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
)

// seen is a handler's record of a request.
type seen struct {
	Host, Target, Proto string
	Header              http.Header
}

var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/socket":
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, text, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, text) != nil {
				return
			}
		}
	case "/upload":
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), err)
	default:
		_ = json.NewEncoder(w).Encode(seen{r.Host, r.RequestURI, r.Proto, r.Header})
	}
})

// TestCloudflared is a page, a WebSocket and an upload over both protocols, with
// what a proxy and a hostile home would change.
func TestCloudflared(t *testing.T) {
	for _, protocol := range []string{overQUIC, overHTTP2} {
		t.Run(protocol, func(t *testing.T) {
			s := setup(t, scenario{Connects: []string{protocol}})
			s.env["HTTP_PROXY"], s.env["http_proxy"] = "http://127.0.0.1:9", "http://127.0.0.1:9"
			s.env["TUNNEL_URL"], s.env["DEVPROXY_HOME"] = "http://127.0.0.1:9", "/secret"
			hostile(t, s.env["HOME"])
			times := fastTimes
			if protocol == overHTTP2 {
				times.quic = 50 * time.Millisecond
			}
			s.start(times, echo)
			name := s.up()[0]
			for range 2 { // each on its own connection
				checkPage(t, s, name, protocol)
			}
			checkSocket(t, s, name)
			checkUpload(t, s, name)
			starts := s.starts()
			checkStart(t, starts[len(starts)-1], protocol)
			if err := s.end(); err != nil {
				t.Error(err)
			}
			if noted := len(s.notes) == 1; noted == isPrivate(protocol) || len(s.notes) > 1 {
				t.Errorf("%d notes", len(s.notes))
			}
		})
	}
}

// isPrivate reports whether addresses can be believed over a protocol: where not
// everyone on this machine can connect.
func isPrivate(protocol string) bool { return protocol == overQUIC && runtime.GOOS != "windows" }

// hostile is a home whose configuration would stop a quick tunnel.
func hostile(t *testing.T, home string) {
	t.Helper()
	folder := filepath.Join(home, ".cloudflared")
	err := os.Mkdir(folder, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "config.yml"), []byte("tunnel: [\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func checkPage(t *testing.T, s *sharing, name, protocol string) {
	t.Helper()
	var page seen
	if err := json.Unmarshal([]byte(s.get(name, "/a//b?c=%20d", "CF-Connecting-IP", "198.51.100.1", "X-Forwarded-For", "198.51.100.2")), &page); err != nil {
		t.Fatal(err)
	}
	if page.Host != name || page.Target != "/a//b?c=%20d" || page.Proto != "HTTP/1.1" {
		t.Errorf("the request is %+v", page)
	}
	if got := page.Header["Cf-Connecting-Ip"]; !slices.Equal(got, []string{"203.0.113.7"}) {
		t.Errorf("CF-Connecting-IP is %q", got)
	}
	conn := s.conn()
	want := "CF-Connecting-IP"
	if !isPrivate(protocol) {
		want = ""
	}
	if conn.AddrField != want {
		t.Errorf("the address is told in %q, want %q", conn.AddrField, want)
	}
	if conn.Visitor.Scheme != "https" || conn.Visitor.Host != name || conn.Visitor.Addr.IsValid() {
		t.Errorf("the visitor is %+v", conn.Visitor)
	}
}

func checkSocket(t *testing.T, s *sharing, name string) {
	t.Helper()
	edge := s.edge(name)
	conn, _, err := websocket.Dial(t.Context(), "ws://"+name+"/socket", &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, edge)
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, text := range []string{"one", "two"} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != text {
			t.Errorf("the socket says %q %v", got, err)
		}
	}
	s.conn()
}

func checkUpload(t *testing.T, s *sharing, name string) {
	t.Helper()
	body := make([]byte, 8<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(body)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+name+"/upload", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s.visit(name, r).Body)
	if want := fmt.Sprintf("%d %x <nil>", len(body), sha256.Sum256(body)); err != nil || string(got) != want {
		t.Errorf("the upload is %q %v, want %q", got, err, want)
	}
	s.conn()
}

// checkStart checks the protocol, the environment and the folder of the
// program.
func checkStart(t *testing.T, start fakeStart, protocol string) {
	t.Helper()
	if start.Protocol != protocol {
		t.Errorf("the protocol is %q", start.Protocol)
	}
	for _, setting := range start.Env {
		name, _, _ := strings.Cut(setting, "=")
		if !slices.Contains(strings.Fields(environmentNames), name) && !strings.EqualFold(name, "SYSTEMROOT") {
			t.Errorf("the environment has %s", setting)
		}
	}
	if here, _ := os.Getwd(); start.Dir == here {
		t.Error("it runs in this folder")
	}
}

// TestCloudflaredCrash is a program that ends in the middle: a new name, and after
// HTTP/2 was needed once, no wait for QUIC.
func TestCloudflaredCrash(t *testing.T) {
	t.Parallel()
	s := setup(t, scenario{Connects: []string{overHTTP2}, Prints: `{"level":"error","message":"edge discovery: error looking up Cloudflare edge IPs: the DNS query failed"}` + "\n"})
	times := fastTimes
	times.quic = 50 * time.Millisecond
	s.start(times, echo)
	first := s.up()[0]
	s.get(first, "/")
	s.tell(first, "crash")
	// The connection may seem lost before the process has ended.
	err := s.until(func(state agent.State) bool {
		return state.Err != nil && strings.Contains(state.Err.Error(), "has ended")
	}).Err
	if err.Reason != agent.ReasonBroken || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "the edge is gone") || strings.ContainsRune(err.Error(), 0x1b) {
		t.Errorf("%v", err)
	}
	second := s.up()[0]
	if second == first {
		t.Errorf("the name is still %s", first)
	}
	s.get(second, "/")
	var protocols []string
	for _, start := range s.starts() {
		protocols = append(protocols, start.Protocol)
	}
	if !slices.Equal(protocols, []string{overQUIC, overHTTP2, overHTTP2}) {
		t.Errorf("started with %q", protocols)
	}
}

// TestCloudflaredReconnects is a connection to Cloudflare that is lost for a while:
// the name stays.
func TestCloudflaredReconnects(t *testing.T) {
	t.Parallel()
	s := setup(t, scenario{})
	s.start(fastTimes, echo)
	name := s.up()[0]
	s.tell(name, "lose")
	if err := s.waiting(); err.Reason != agent.ReasonBroken || !strings.Contains(err.Error(), "lost its connection") {
		t.Errorf("%v", err)
	}
	// A visitor gets through before anybody has looked again.
	s.get(name, "/")
	if conn := s.conn(); conn.Visitor.Host != name {
		t.Errorf("the visitor is %+v", conn.Visitor)
	}
	if again := s.up()[0]; again != name {
		t.Errorf("the name is %s, was %s", again, name)
	}
	s.tell(name, "regain")
	s.get(name, "/")
	if n := len(s.starts()); n != 1 {
		t.Errorf("%d starts", n)
	}
}

// TestCloudflaredLost is a connection to Cloudflare that does not come back.
func TestCloudflaredLost(t *testing.T) {
	t.Parallel()
	s := setup(t, scenario{})
	times := fastTimes
	times.lost = 100 * time.Millisecond
	s.start(times, echo)
	first := s.up()[0]
	s.tell(first, "lose")
	s.until(func(state agent.State) bool {
		return state.Err != nil && strings.Contains(state.Err.Error(), "has not been connected")
	})
	if second := s.up()[0]; second == first {
		t.Errorf("the name is still %s", first)
	}
}

// TestCloudflaredDoesNotStart covers every way in which a tunnel fails to
// start.
func TestCloudflaredDoesNotStart(t *testing.T) {
	for name, test := range map[string]struct {
		does      scenario
		env       map[string]string
		reason    agent.Reason
		text, fix string
		fatal     bool
	}{
		"too many": {does: scenario{API: "429"}, reason: agent.ReasonBusy,
			text: "cannot share through cloudflare: Cloudflare allows no more quick tunnels from this network for now (429)", fix: "wait some minutes"},
		"no tunnel": {does: scenario{API: "500"}, reason: agent.ReasonFailed,
			text: "Cloudflare does not provide a quick tunnel now (failed to parse quick Tunnel ID: invalid UUID length: 0)", fix: "devproxy tries again"},
		"no name": {does: scenario{API: "dial tcp: lookup api.trycloudflare.com on 127.0.0.11:53: no such host"}, reason: agent.ReasonDNS,
			text: "cannot look up api.trycloudflare.com", fix: "nslookup api.trycloudflare.com"},
		"no name behind a proxy": {does: scenario{API: "dial tcp: lookup api.trycloudflare.com on 127.0.0.11:53: no such host"}, env: map[string]string{"HTTPS_PROXY": "http://proxy:3128"},
			reason: agent.ReasonDNS, text: "cannot look up api.trycloudflare.com", fix: "cannot use the proxy"},
		"no network": {does: scenario{API: "dial tcp 104.16.230.132:443: connect: network is unreachable"}, reason: agent.ReasonUnreachable,
			text: "no route from this network", fix: "check this machine's network"},
		"no answer": {does: scenario{API: "net/http: TLS handshake timeout"}, reason: agent.ReasonBlocked,
			text: "api.trycloudflare.com does not answer", fix: "devproxy relay login HOST"},
		"decrypted": {does: scenario{API: "tls: failed to verify certificate: x509: certificate signed by unknown authority"}, reason: agent.ReasonInspected,
			text: "decrypts TLS", fix: "another network"},
		"something else": {does: scenario{API: "EOF"}, reason: agent.ReasonFailed,
			text: `Cloudflare does not provide a quick tunnel now (failed to request quick Tunnel: Post "https://api.trycloudflare.com/tunnel": EOF)`, fix: "devproxy tries again"},
		"last words": {does: scenario{Dies: "\x1b]0;x\x07the moon is full\r\n", Connects: []string{}, Hostname: "a-%d.trycloudflare.com"}, reason: agent.ReasonBroken,
			text: "the moon is full", fix: "devproxy tries again"},
		"no names": {does: scenario{Dies: "edge discovery: error looking up Cloudflare edge IPs: the DNS query failed"}, reason: agent.ReasonDNS,
			text: "cannot look up the addresses of Cloudflare's network", fix: "nslookup"},
		"too old": {does: scenario{Version: "2025.6.0"}, reason: ReasonProgram,
			text: "version 2025.6.0 is too old: Incorrect Usage. flag provided but not defined: -output", fix: "update it", fatal: true},
		"a local name":       {does: scenario{Hostname: "app.localhost"}, reason: ReasonNoURL, text: `"app.localhost"`, fatal: true},
		"an address":         {does: scenario{Hostname: "127.0.0.1"}, reason: ReasonNoURL, text: `"127.0.0.1"`, fatal: true},
		"one label":          {does: scenario{Hostname: "trycloudflare"}, reason: ReasonNoURL, text: `"trycloudflare"`, fatal: true},
		"a path":             {does: scenario{Hostname: "a.trycloudflare.com/x"}, reason: ReasonNoURL, text: `"a.trycloudflare.com/x"`, fatal: true},
		"another scheme":     {does: scenario{Hostname: "http://a.trycloudflare.com"}, reason: ReasonNoURL, text: `"http"`, fatal: true},
		"an escape in it":    {does: scenario{Hostname: `a\u001b[2J.trycloudflare.com`}, reason: ReasonNoURL, text: `"a\x1b[2j.trycloudflare.com"`, fatal: true},
		"a name with nought": {does: scenario{Hostname: " "}, reason: ReasonNoURL, text: "not a public host name", fatal: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, test.does)
			for key, value := range test.env {
				s.env[key] = value
			}
			s.start(fastTimes, echo)
			var err *agent.Error
			if test.fatal {
				err = s.fatal()
			} else {
				err = s.waiting()
			}
			if err.Reason != test.reason || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Fix, test.fix) {
				t.Errorf("%s %v\n%s", err.Reason, err, err.Fix)
			}
			if strings.IndexFunc(err.Error()+err.Fix, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) >= 0 {
				t.Errorf("%q is not for a terminal", err.Error())
			}
		})
	}
}

// TestCloudflaredBlocked has no way to Cloudflare's port over either protocol. The
// program fails again and again; it is not waited for.
func TestCloudflaredBlocked(t *testing.T) {
	t.Parallel()
	for name, spins := range map[string]bool{"silent": false, "spinning": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, scenario{Connects: []string{}, Spins: spins})
			times := fastTimes
			if !spins {
				times.quic, times.http2 = 50*time.Millisecond, 50*time.Millisecond
			}
			s.start(times, echo)
			err := s.waiting()
			if err.Reason != agent.ReasonBlocked || !strings.Contains(err.Error(), "no connection to Cloudflare over UDP or TCP port 7844") {
				t.Errorf("%v", err)
			}
			if starts := s.starts(); len(starts) < 2 || starts[0].Protocol != overQUIC || starts[1].Protocol != overHTTP2 {
				t.Errorf("started %+v", starts)
			}
		})
	}
}

// TestCloudflaredMissing has no program that may be run.
func TestCloudflaredMissing(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *sharing){
		"not there":     func(_ *testing.T, s *sharing) { s.env["PATH"] = s.temp },
		"no PATH":       func(_ *testing.T, s *sharing) { delete(s.env, "PATH") },
		"in the folder": func(t *testing.T, s *sharing) { t.Chdir(s.bin); s.env["PATH"] = string(filepath.ListSeparator) + "." },
		"a folder": func(t *testing.T, s *sharing) {
			folder := t.TempDir()
			if err := os.Mkdir(filepath.Join(folder, "cloudflared"+programSuffix), 0o700); err != nil {
				t.Fatal(err)
			}
			s.env["PATH"] = folder
		},
		"not a program": func(t *testing.T, s *sharing) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "cloudflared"), []byte("text"), 0o600); err != nil {
				t.Fatal(err)
			}
			s.env["PATH"] = folder
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t, scenario{})
			change(t, s)
			s.start(fastTimes, echo)
			err := s.fatal()
			if err.Reason != ReasonProgram || !strings.Contains(err.Error(), "cannot start cloudflared: it is not on PATH") {
				t.Fatalf("%v", err)
			}
			for _, word := range []string{"brew install cloudflared", "winget install", "pkg.cloudflare.com", "devproxy relay login HOST"} {
				if !strings.Contains(err.Fix, word) {
					t.Errorf("the fix is %q", err.Fix)
				}
			}
		})
	}
}

// TestCloudflaredProbe asks without a tunnel.
func TestCloudflaredProbe(t *testing.T) {
	if err := cloudflare().Probe(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "not on PATH") {
		t.Errorf("without a PATH: %v", err)
	}
	s := setup(t, scenario{})
	if err := cloudflare().Probe(t.Context(), Options{Getenv: func(name string) string { return s.env[name] }}); err != nil {
		t.Error(err)
	}
	if starts := s.starts(); len(starts) > 0 {
		t.Errorf("started %+v", starts)
	}
}

// TestCloudflaredEnds is a share that ends while its program does not want to, and
// while visitors are in the middle of something.
func TestCloudflaredEnds(t *testing.T) {
	t.Parallel()
	s := setup(t, scenario{IgnoresTerm: true, Prints: strings.Repeat(strings.Repeat("\x1b[31mno end\x07 ", 1000)+"\n", 20)})
	entered := make(chan struct{})
	s.start(fastTimes, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	name := s.up()[0]
	left := make(chan struct{})
	edge := s.edge(name)
	go func() {
		defer close(left)
		r, _ := http.NewRequest(http.MethodGet, "http://"+edge, nil)
		r.Host = name
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	<-entered
	if err := s.end(); err != nil {
		t.Error(err)
	}
	<-left
}

// TestCloudflaredHosts runs one program for each host.
func TestCloudflaredHosts(t *testing.T) {
	t.Parallel()
	s := setup(t, scenario{})
	s.start(fastTimes, echo, "", "admin")
	names := s.up()
	if len(names) != 2 || names[0] == names[1] {
		t.Fatalf("the names are %q", names)
	}
	for _, name := range names {
		var page seen
		if err := json.Unmarshal([]byte(s.get(name, "/")), &page); err != nil || page.Host != name {
			t.Errorf("%+v %v", page, err)
		}
	}
	grant, err := s.carrier.Claim(t.Context(), tunnel.Claim{Hosts: []string{"admin"}})
	if err != nil || !slices.Equal(grant.Hosts, names[1:]) {
		t.Errorf("%+v %v", grant, err)
	}
	s.get(names[1], "/")
	s.untilGone(names[0])
}
