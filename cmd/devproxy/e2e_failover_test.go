//go:build e2e && unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
)

const (
	// failoverClients is how many clients send requests all the time, one after
	// the other.
	failoverClients = 64
	// failoverMember in the environment makes the test binary a member that
	// listens on this address.
	failoverMember = "DEVPROXY_TEST_FAILOVER_MEMBER"
)

// TestFailoverMemberProcess is a member when it is started as one.
func TestFailoverMemberProcess(t *testing.T) {
	addr := os.Getenv(failoverMember)
	if addr == "" {
		return // it is the parent's test that starts this one
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(ln.Addr())
	t.Fatal(http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, ln.Addr())
	})))
}

// failoverProcess is a member in its own process.
type failoverProcess struct {
	addr string
	cmd  *exec.Cmd
}

// startFailover runs a member on addr until the test ends.
func startFailover(t *testing.T, addr string) *failoverProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFailoverMemberProcess$")
	cmd.Env = append(os.Environ(), failoverMember+"="+addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &failoverProcess{cmd: cmd}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p.addr = strings.TrimSpace(line)
	return p
}

// kill ends it at once, also while it is stopped.
func (p *failoverProcess) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.cmd.Wait()
}

func (p *failoverProcess) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// failoverLoad sends requests until it is stopped, and counts the responses of
// each member.
type failoverLoad struct {
	url    string
	client *http.Client
	stop   atomic.Bool
	group  sync.WaitGroup

	mu       sync.Mutex
	answers  map[string]int
	failures []string
}

func (l *failoverLoad) run() {
	for range failoverClients {
		l.group.Go(func() {
			for !l.stop.Load() {
				l.note(l.ask())
			}
		})
	}
}

func (l *failoverLoad) ask() (member, failure string) {
	res, err := l.client.Get(l.url)
	if err != nil {
		return "", err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Sprintf("%s %v %.300s", res.Status, err, body)
	}
	return string(body), ""
}

func (l *failoverLoad) note(member, failure string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failure != "" {
		l.failures = append(l.failures, failure)
		return
	}
	l.answers[member]++
}

// take returns the counts since the last call.
func (l *failoverLoad) take() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.answers
	l.answers = map[string]int{}
	return taken
}

// awaitMember waits until `devproxy status --json` says that of a member.
func (u *upProcess) awaitMember(addr, state string) control.Member {
	u.t.Helper()
	var last []control.Member
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		last = u.status().Hosts[0].Routes[0].Members
		for _, m := range last {
			if m.Upstream == addr && m.State == state {
				return m
			}
		}
	}
	u.t.Fatalf("%s is not %s: %+v", addr, state, last)
	return control.Member{}
}

// Three members with health; one is killed and one is stopped under load. No
// request fails, and a member that returns gets its share again.
func TestE2EFailoverUnderLoad(t *testing.T) {
	killed, stopped, left := startFailover(t, "127.0.0.1:0"), startFailover(t, "127.0.0.1:0"), startFailover(t, "127.0.0.1:0")
	u := startUp(t, projectDir(t, fmt.Sprintf(`host "shop.localhost" { upstream = service.api }

service "api" {
  upstream = [%q, %q, %q]
  health   = { path = "/healthz", interval = "300ms", timeout = "200ms" }
}
`, killed.addr, stopped.addr, left.addr)))
	load := &failoverLoad{url: u.url("shop.localhost", "/"), client: u.client("h2"), answers: map[string]int{}}
	load.run()
	defer func() {
		load.stop.Store(true)
		load.group.Wait()
	}()
	u.awaitMember(killed.addr, "up")

	killed.kill()
	stopped.signal(t, syscall.SIGSTOP)
	u.awaitMember(killed.addr, "unhealthy")
	if m := u.awaitMember(stopped.addr, "unhealthy"); !strings.Contains(m.Detail, "/healthz") {
		t.Errorf("the stopped one is unhealthy since %q", m.Detail)
	}

	startFailover(t, killed.addr)
	u.awaitMember(killed.addr, "up")
	load.take()
	share, end := 0.0, time.Now().Add(patience)
	for share < 0.4 { // of two
		if time.Now().After(end) {
			t.Fatalf("the one that returned has %.2f of the requests after %v", share, patience)
		}
		<-time.After(500 * time.Millisecond)
		answers := load.take()
		if all := answers[killed.addr] + answers[left.addr]; all > 0 {
			share = float64(answers[killed.addr]) / float64(all)
		}
	}
	stopped.signal(t, syscall.SIGCONT)
	u.awaitMember(stopped.addr, "up")

	load.stop.Store(true)
	load.group.Wait()
	if n := len(load.failures); n > 0 {
		t.Errorf("%d requests failed: %q", n, load.failures[:min(n, 5)])
	}
}
