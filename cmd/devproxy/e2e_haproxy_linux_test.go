//go:build e2e

package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestE2EHAProxy is a relay behind a balancer that passes TLS through, on
// another port, and passes the client's address by the PROXY protocol: version
// 1 and 2, with health checks.
func TestE2EHAProxy(t *testing.T) {
	haproxy := needTool(t, "haproxy")
	for name, options := range map[string]string{
		"version 1": "send-proxy check inter 100ms",
		"version 2": "send-proxy-v2 check check-send-proxy inter 100ms",
	} {
		t.Run(name, func(t *testing.T) {
			front, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer front.Close()
			_, port, _ := net.SplitHostPort(front.Addr().String())
			relay := startDevRelay(t, "--public-port", port, "--proxy-protocol", "127.0.0.1")
			startHAProxy(t, haproxy, front, relay.listen, options)
			relay.listen, relay.name = front.Addr().String(), net.JoinHostPort(devDomain, port)

			app := startApp(t, func(w http.ResponseWriter, _ *http.Request) { html(w, "hello") })
			p := relay.share(t, projectDir(t, "host \"shop.localhost\" { upstream = \""+app.URL+"\" }\n"), nil)
			client := relay.visitorFrom(t, "h2", "127.0.0.77")
			if !strings.HasSuffix(p.link, ":"+port) {
				t.Errorf("the link is %s, and the balancer's port %s", p.link, port)
			}
			if got := ask(t, client, "GET", p.link+"/", ""); got.status != 200 || !strings.Contains(got.body, "hello") {
				t.Fatalf("%d %s", got.status, got.body)
			}
			for deadline := time.Now().Add(patience); !strings.Contains(relay.stderr.String(), `"msg":"request","from":"127.0.0.77"`); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("the visitor's address is not in the log:\n%s", relay.stderr.String())
				}
			}
			if log := relay.stderr.String(); !strings.Contains(log, `"msg":"agent connected"`) || strings.Contains(log, "connection refused") {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}

// startHAProxy runs a balancer on the socket front, in TCP mode, until the test ends.
func startHAProxy(t *testing.T, program string, front net.Listener, relay, options string) {
	t.Helper()
	config := filepath.Join(shortDir(t), "haproxy.cfg")
	text := `
global
  maxconn 100
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend public
  bind fd@3
  default_backend relay
backend relay
  server relay ` + relay + " " + options + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := front.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var said outputBuffer
	cmd := exec.Command(program, "-db", "-f", config)
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = []*os.File{socket}, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("haproxy says:\n%s", said.String())
		}
	})
}
