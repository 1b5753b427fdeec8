//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sane is what `stty` says of a terminal as a shell leaves it.
const sane = `susp = \^Z;[^$]* icanon[^$]* echo\n`

const showTerminal = `stty -a | grep -o 'susp = ...\| -*icanon\| -*echo\>'`

// TestCtrlZ stops devproxy with the terminal as it was, and keys work after fg:
// under a shell that restores the terminal by itself, and under one that does not.
func TestCtrlZ(t *testing.T) {
	for _, shell := range [][]string{{"bash", "--norc", "--noprofile", "-i"}, {"sh", "-i"}} {
		t.Run(shell[0], func(t *testing.T) {
			s := newScreen(t, 80, 24)
			s.write("Proxyfile", sampleProxyfile)
			s.open(shell...)
			s.waitFor(`^\$`)
			s.run("devproxy up --https :0 --http :0")
			s.waitFor(`q quit`)
			pid := s.pidOfUp()
			for name, stop := range map[string]func(){
				"Ctrl-Z": func() { s.press("C-z") },
				"a signal": func() {
					if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
						t.Fatal(err)
					}
				},
			} {
				stop()
				s.waitFor(`Stopped( \(signal\))? +devproxy up`)
				if name == "Ctrl-Z" {
					s.fresh(showTerminal, sane)
				} else {
					s.fresh("stty sane", "")
				}
				s.run("fg")
				s.waitFor(`^(\$ )?devproxy up`)
				s.press("e") // says that nothing is shared
				s.waitFor(`nothing is shared here`)
				s.run("clear-marker") // which devproxy does not echo
			}
			if strings.Contains(s.whole(), "clear-marker") {
				t.Errorf("keys are shown:\n%s", s.whole())
			}
			s.press("q")
			s.waitFor(`^stopped`)
			s.fresh(showTerminal, sane)
		})
	}
}

// TestBackground keeps serving while another program has the terminal, and has
// its keys back after fg.
func TestBackground(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.write("Proxyfile", sampleProxyfile)
	s.open()
	s.run("devproxy up --https :0 --http :0")
	s.waitFor(`q quit`)
	s.press("C-z")
	s.waitFor(`Stopped +devproxy up`)
	s.run("bg")
	s.fresh("devproxy status; echo it is $?", `^it is 0`) // typed while devproxy is in the background
	s.run("jobs")
	s.waitFor(`Running +devproxy up`)
	s.run("fg")
	s.waitFor(`^devproxy up`)
	// A shell tells a running process nothing of fg, so it looks.
	for deadline := time.Now().Add(scriptPatience); !strings.Contains(s.whole(), "nothing is shared here"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no key works after bg and fg:\n%s", s.whole())
		}
		s.press("e")
	}
	s.press("q")
	s.waitFor(`^stopped`)
}

// TestStartedInBackground neither stops without the terminal nor changes it.
func TestStartedInBackground(t *testing.T) {
	s := newScreen(t, 80, 24)
	s.write("Proxyfile", sampleProxyfile)
	s.open()
	s.run("devproxy up --https :0 --http :0 &")
	s.waitFor(`q quit`)
	s.fresh(showTerminal, sane)
	s.run("devproxy down; wait; echo it is $?")
	s.waitFor(`^it is 0`)
}

// TestResize has lines fit the window as it is now.
func TestResize(t *testing.T) {
	s := newScreen(t, 120, 24)
	s.write("Proxyfile", sampleProxyfile)
	s.open()
	s.run("devproxy up --https :0 --http :0")
	url := s.waitFor(`^(https://mail\.shop\.localhost:\d+)`)
	s.waitFor(`q quit`)
	ask := func(path string) {
		response, err := s.client().Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	path := "/" + strings.Repeat("long/", 8)
	ask(path + "before")
	s.waitFor(`GET +mail\.shop\.localhost` + path + `before +204`)
	s.tmux("resize-window", "-t", "s", "-x", "60", "-y", "24")
	ask(path + "after")
	s.waitFor(`^\d\d:\d\d:\d\d +GET +.*… +204  \d+ ms$`)
	if strings.Contains(s.whole(), "after") {
		t.Errorf("a line is as long as the window was:\n%s", s.whole())
	}
}

// client trusts the CA of the screen's user and dials this machine.
func (s *screen) client() *http.Client { return clientOf(s.t, s.state()) }

func clientOf(t *testing.T, state string) *http.Client {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(state, "root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: scriptPatience}
}

// slowServer answers each request when it is released.
func slowServer(t *testing.T) (port string, asked <-chan struct{}, release func()) {
	t.Helper()
	arrived, released := make(chan struct{}, 8), make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-released
		}
		fmt.Fprint(w, "whole")
	}))
	t.Cleanup(func() {
		release()
		server.Close()
	})
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, arrived, release
}

// asking begins a request and gives its outcome later: nil for the whole answer.
func asking(client *http.Client, url string) <-chan error {
	outcome := make(chan error, 1)
	go func() {
		response, err := client.Get(url)
		if err != nil {
			outcome <- err
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err == nil && string(body) != "whole" {
			err = fmt.Errorf("%d %q", response.StatusCode, body)
		}
		outcome <- err
	}()
	return outcome
}

// wantNothingLeft waits until a devproxy has ended and wants no file of its run.
func wantNothingLeft(t *testing.T, pid int, runtime string) {
	t.Helper()
	for deadline := time.Now().Add(scriptPatience); ; time.Sleep(10 * time.Millisecond) {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("devproxy, pid %d, does not end", pid)
		}
	}
	left, err := filepath.Glob(filepath.Join(runtime, "devproxy", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if !strings.HasSuffix(path, ".lock") {
			t.Errorf("%s is left", path)
		}
	}
}

// TestTerminalCloses finishes a request that is under way, and removes its files.
func TestTerminalCloses(t *testing.T) {
	port, asked, release := slowServer(t)
	s := newScreen(t, 80, 24)
	s.open()
	s.run("devproxy up " + port + " --https :0 --http :0")
	url := s.waitFor(`^(https://shop\.localhost:\d+)`)
	s.waitFor(`q quit`)
	pid := s.pidOfUp()
	outcome := asking(s.client(), url+"/slow")
	<-asked
	s.tmux("kill-session", "-t", "s")
	waitUntilRefused(t, url)
	release()
	if err := <-outcome; err != nil {
		t.Errorf("the request in flight: %v", err)
	}
	wantNothingLeft(t, pid, s.runtime())
}

// pidOfUp is the process that serves the screen's folder.
func (s *screen) pidOfUp() int {
	s.t.Helper()
	var out []byte
	for deadline := time.Now().Add(scriptPatience); ; time.Sleep(10 * time.Millisecond) {
		cmd := exec.Command("devproxy", "status", "--json")
		cmd.Env, cmd.Dir = s.env, s.dir
		var err error
		if out, err = cmd.CombinedOutput(); err == nil {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("devproxy status: %v: %s", err, out)
		}
	}
	_, rest, _ := strings.Cut(string(out), `"pid":`)
	digits, _, _ := strings.Cut(rest, ",")
	pid, err := strconv.Atoi(digits)
	if err != nil {
		s.t.Fatalf("%s: %v", out, err)
	}
	return pid
}

// waitUntilRefused waits until nothing accepts connections at url.
func waitUntilRefused(t *testing.T, url string) {
	t.Helper()
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "https://"), ":")
	for deadline := time.Now().Add(scriptPatience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("it goes on accepting connections")
		}
	}
}

// piped is a devproxy whose standard output and error are pipes.
type piped struct {
	*exec.Cmd
	out, err *os.File // our ends

	home, runtime string
}

func startPiped(t *testing.T, shell string) *piped {
	t.Helper()
	home := t.TempDir()
	runtime, err := os.MkdirTemp("", "run") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	p := &piped{Cmd: exec.Command("sh", "-c", shell), home: home, runtime: runtime}
	p.Dir = filepath.Join(home, "shop")
	if err := os.Mkdir(p.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.Env = plainEnvironment("HOME="+home, "DEVPROXY_HOME="+filepath.Join(home, "state"), "XDG_RUNTIME_DIR="+runtime)
	for _, end := range []struct {
		ours   **os.File
		theirs *io.Writer
	}{{&p.out, &p.Stdout}, {&p.err, &p.Stderr}} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer write.Close()
		*end.ours, *end.theirs = read, write
		t.Cleanup(func() { read.Close() })
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended
		_ = p.Wait()
	})
	return p
}

// line reads from a pipe until a line has a text, and returns it.
func line(t *testing.T, from *os.File, text string) string {
	t.Helper()
	if err := from.SetReadDeadline(time.Now().Add(scriptPatience)); err != nil {
		t.Fatal(err)
	}
	var read strings.Builder
	for b := make([]byte, 1); ; {
		if _, err := from.Read(b); err != nil {
			t.Fatalf("no line with %q: %v\n%s", text, err, read.String())
		}
		read.Write(b)
		if lines := strings.Split(read.String(), "\n"); b[0] == '\n' && strings.Contains(lines[len(lines)-2], text) {
			return lines[len(lines)-2]
		}
	}
}

// TestPipeCloses: devproxy stops when its output is no longer read: it finishes
// a request that is under way, and removes its files.
func TestPipeCloses(t *testing.T) {
	for name, test := range map[string]struct {
		flags string
		close func(*piped)
	}{
		"error":         {"", func(p *piped) { p.err.Close() }},
		"both":          {"", func(p *piped) { p.out.Close(); p.err.Close() }},
		"output":        {"--json", func(p *piped) { p.out.Close() }},
		"both, as JSON": {"--json", func(p *piped) { p.out.Close(); p.err.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			port, asked, release := slowServer(t)
			p := startPiped(t, "exec devproxy up "+port+" --https :0 --http :0 "+test.flags)
			said := line(t, p.out, "https://shop.localhost:")
			_, rest, _ := strings.Cut(said, "https://shop.localhost:")
			url := "https://shop.localhost:" + rest[:strings.IndexFunc(rest+" ", func(r rune) bool { return r < '0' || r > '9' })]
			if test.flags == "" {
				line(t, p.err, "Ctrl-C stops")
			}
			client := clientOf(t, filepath.Join(p.home, "state"))
			outcome := asking(client, url+"/slow")
			<-asked
			test.close(p)
			// Something to print: a request, or for programs an event.
			if test.flags == "" {
				if err := <-asking(client, url+"/quick"); err != nil {
					t.Fatal(err)
				}
			} else {
				_, _ = p.devproxy("share", "--relay", "share.localhost:1") // the result does not matter
			}
			waitUntilRefused(t, url)
			release()
			if err := <-outcome; err != nil {
				t.Errorf("the request in flight: %v", err)
			}
			if err := p.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			wantNothingLeft(t, p.Process.Pid, p.runtime)
		})
	}
}

// TestNohup goes on when a terminal is closed that it was told to survive.
func TestNohup(t *testing.T) {
	p := startPiped(t, "trap '' HUP; exec devproxy up 9 --https :0 --http :0")
	line(t, p.err, "Ctrl-C stops")
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if out, err := p.devproxy("status"); err != nil {
		t.Errorf("it does not run any more: %v %s", err, out)
	}
	if out, err := p.devproxy("down"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func (p *piped) devproxy(args ...string) ([]byte, error) {
	cmd := exec.Command("devproxy", args...)
	cmd.Env, cmd.Dir = p.Env, p.Dir
	return cmd.CombinedOutput()
}
