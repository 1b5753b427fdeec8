//go:build e2e && linux

package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestE2EStopwatch is the way from a dev server to a trusted page and to a link, as a
// newcomer goes it: each command is in testdata/script/stopwatch. It prints how long
// it took.
func TestE2EStopwatch(t *testing.T) {
	s := &stopwatch{t: t}
	params := scriptParams("../../testdata/script/stopwatch")
	params.Cmds["node_modules"] = s.nodeModules
	params.Cmds["freeport"] = s.freePort
	params.Cmds["chromium"] = s.chromium
	params.Cmds["sshd"] = s.sshd
	params.Cmds["stopwatch"] = s.lap
	testscript.Run(t, params)
}

// stopwatch has the commands that only this transcript needs.
type stopwatch struct {
	t     *testing.T
	start time.Time
}

// lap is `stopwatch start`, and then `stopwatch TEXT`, which prints how long it took
// to there.
func (s *stopwatch) lap(ts *testscript.TestScript, _ bool, args []string) {
	if s.start.IsZero() {
		s.start = time.Now()
		return
	}
	s.t.Logf("after %.1f s: %s", time.Since(s.start).Seconds(), args[0])
}

// nodeModules is `node_modules DIR`: Vite is installed there.
func (s *stopwatch) nodeModules(ts *testscript.TestScript, _ bool, args []string) {
	from := filepath.Join(copyDemo(s.t), "web", "node_modules")
	if _, err := os.Stat(from); err != nil {
		web := filepath.Dir(from)
		out, err := runTool(s.t, installLimit, os.Environ(), needTool(s.t, "npm"), "ci", "--prefix", web, "--no-audit", "--no-fund")
		if err != nil {
			ts.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	ts.Check(os.Rename(from, filepath.Join(ts.MkAbs(args[0]), "node_modules")))
}

// freePort is `freeport NAME`: a port that nothing listened on a moment ago.
func (s *stopwatch) freePort(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strconv.Itoa(s.freeTCP(ts)))
}

func (s *stopwatch) freeTCP(ts *testscript.TestScript) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// chromium is `chromium URL TEXT`: Chromium, which takes every certificate fault
// seriously, shows a page with that text.
func (s *stopwatch) chromium(ts *testscript.TestScript, _ bool, args []string) {
	place := &upProcess{t: s.t, env: []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + os.Getenv("PATH")}}
	page := openTab(s.t, startChromium(s.t, place, "demo.example.com"))
	if status, err := page.visit(args[0]); err != nil || status != http.StatusOK {
		ts.Fatalf("%s: %d, %v", args[0], status, err)
	}
	text := ""
	for deadline := time.Now().Add(patience); !strings.Contains(text, args[1]); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			served, _ := os.ReadFile(ts.MkAbs("../up.err"))
			ts.Fatalf("%s shows %q and not %q; up says:\n%s", args[0], text, args[1], served)
		}
		text = evaluate[string](s.t, page, "document.body.innerText")
	}
}

// sshd is `sshd SERVER FRONT`: OpenSSH's server, which the user of this HOME may log in
// to, and an HTTPS proxy for demo.example.com in front of the port that it forwards.
// SERVER is what follows "ssh://", FRONT the port of the proxy.
func (s *stopwatch) sshd(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(filepath.Join(ts.Getenv("WORK"), "sshd"))
	keys := filepath.Join(ts.Getenv("HOME"), ".ssh")
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(os.Mkdir(keys, 0o700))
	keygen := needTool(s.t, "ssh-keygen")
	for _, file := range []string{filepath.Join(dir, "host"), filepath.Join(keys, "id_ed25519")} {
		out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput()
		if err != nil {
			ts.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	port, forwarded := s.freeTCP(ts), s.freeTCP(ts)
	saveFile(s.t, filepath.Join(dir, "config"), fmt.Sprintf(`ListenAddress 127.0.0.1:%d
HostKey %[2]s/host
PidFile none
AuthorizedKeysFile %[3]s/id_ed25519.pub
StrictModes no
UsePAM no
AllowTcpForwarding remote
`, port, dir, keys))
	if os.Geteuid() == 0 { // sshd(8): the folder of its privilege separation
		ts.Check(os.MkdirAll("/run/sshd", 0o755))
	}
	server := exec.Command(needTool(s.t, "sshd"), "-D", "-f", filepath.Join(dir, "config"))
	ts.Check(server.Start())
	ts.Defer(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // killed
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("sshd does not listen: %v", err)
		}
	}
	self, err := user.Current()
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprintf("%s@127.0.0.1:%d?listen=%d", self.Username, port, forwarded))
	ts.Setenv(args[1], s.front(ts, dir, forwarded))
}

// front is an HTTPS proxy with a certificate that the Chromium of HOME trusts, as a
// public one is.
func (s *stopwatch) front(ts *testscript.TestScript, dir string, to int) (port string) {
	writeIssued(s.t, dir, "example.com")
	database := "sql:" + filepath.Join(ts.Getenv("HOME"), ".local", "share", "pki", "nssdb")
	out, err := exec.Command(needTool(s.t, "certutil"), "-d", database, "-A", "-n", "front", "-t", "C,,", "-i", filepath.Join(dir, "ca.pem")).CombinedOutput()
	if err != nil {
		ts.Fatalf("certutil: %v\n%s", err, strings.TrimSpace(string(out)))
	}
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	ts.Check(err)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	ts.Check(err)
	proxy := &http.Server{Handler: &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", to)})
			r.Out.Host = r.In.Host
		},
	}}
	go func() { _ = proxy.Serve(ln) }() // until it is closed
	ts.Defer(func() { _ = proxy.Close() })
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}
