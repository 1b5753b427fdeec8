package provider

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// Every host has its own tunnel, to the same server.
func TestSeveralHosts(t *testing.T) {
	var count atomic.Int32
	names := make(map[string]bool)
	f := startSSH(t, func(c *fakeConn) {
		serveLike("", fmt.Sprintf("HTTPS: https://n%d.tuns.example.com\r\n", count.Add(1)))(c)
	})
	s := newShare(t)
	s.start(f.at(plainServer), shareOptions{hosts: []string{"", "admin", "api"}})
	state := s.wait(isUp)
	for _, name := range state.Grant.Hosts {
		names[name] = true
	}
	if len(state.Grant.Hosts) != 3 || len(names) != 3 {
		t.Fatalf("granted %v, want three names", state.Grant.Hosts)
	}
	for range 3 {
		c := <-f.ready
		got := get(t, c.browser(plainVisitor), "http://x/")
		name, isPage := strings.CutPrefix(got, "200 page of ")
		name, _, _ = strings.Cut(name, " ")
		if !isPage || !names[name] {
			t.Errorf("a visitor gets %q, want one of %v", got, state.Grant.Hosts)
		}
		delete(names, name)
	}
	if notes := s.noted(); len(notes) != 1 {
		t.Errorf("the user is told %q, want one key", notes)
	}
	// A broken tunnel comes back, and the others stay.
	f.mu.Lock()
	f.conns[0].Close()
	f.mu.Unlock()
	s.wait(isWaiting)
	again := s.wait(isUp)
	same := 0
	for i, name := range again.Grant.Hosts {
		if name == state.Grant.Hosts[i] {
			same++
		}
	}
	if same != 2 {
		t.Errorf("granted %v and then %v, want one new name", state.Grant.Hosts, again.Grant.Hosts)
	}
}

// A server that does not answer for a while, because much else comes from it, is
// not dead.
func TestBusyServer(t *testing.T) {
	busy := make(chan struct{})
	f := startSSH(t, func(c *fakeConn) {
		c.server.running.Go(c.serveSession)
		r := c.forwardRequest()
		if r == nil {
			return
		}
		_ = r.Reply(true, nil)
		_, _ = io.WriteString(<-c.session, plainText)
		c.server.running.Go(func() {
			for range c.requests { // unanswered
			}
		})
		for {
			select {
			case <-busy:
				_ = c.Wait()
				return
			case <-time.After(20 * time.Millisecond):
				if _, _, err := c.SendRequest("traffic@example.com", false, nil); err != nil {
					return
				}
			}
		}
	})
	s := newShare(t)
	const every, timeout = 100 * time.Millisecond, 900 * time.Millisecond
	s.start(f.at(plainServer), shareOptions{times: func(times *sshTimes) { times.keepaliveEvery, times.keepaliveTimeout = every, timeout }})
	s.wait(isUp)
	select {
	case state := <-s.states:
		t.Errorf("while the server was busy the state became %+v", state)
	case <-time.After(2 * (every + timeout)):
	}
	close(busy)
	wantError(t, s.wait(isWaiting).Err, agent.ReasonBroken, "has not answered for 1s")
}

// TestThroughProxy reaches a server that only the network's proxy knows.
func TestThroughProxy(t *testing.T) {
	f := startSSH(t, serveLike("", plainText))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 10)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReaderSize(c, 1))
				if err != nil {
					return
				}
				asked <- r.Method + " " + r.RequestURI
				server, err := net.Dial("tcp", f.ln.Addr().String())
				if err != nil {
					return
				}
				defer server.Close()
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
				running.Go(func() {
					_, _ = io.Copy(server, c)
					server.Close()
				})
				_, _ = io.Copy(c, server)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		running.Wait()
	})
	server := plainServer
	server.host, server.port = "ssh.example.com", sshPort
	s := newShare(t)
	s.start(&server, shareOptions{env: map[string]string{"HTTPS_PROXY": "http://" + ln.Addr().String()}})
	s.wait(isUp)
	if got, want := <-asked, "CONNECT ssh.example.com:22"; got != want {
		t.Errorf("the proxy was asked for %q, want %q", got, want)
	}
	c := <-f.ready
	if got := get(t, c.browser(plainVisitor), "http://x/"); !strings.HasPrefix(got, "200 page") {
		t.Errorf("a visitor gets %q", got)
	}
}

// TestUnreached: what keeps a share from its server is said in its words.
func TestUnreached(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	server := plainServer
	server.host, server.port = "127.0.0.1", uint16(ln.Addr().(*net.TCPAddr).Port)
	s := newShare(t)
	s.start(&server, shareOptions{})
	e := wantError(t, s.wait(isWaiting).Err, agent.ReasonRefused, "nothing listens there", "whether an SSH server runs there")
	if strings.Contains(e.Error()+e.Fix, "relay") {
		t.Errorf("%v (%s) mentions a relay", e, e.Fix)
	}
	// The errors that a test cannot make.
	for reason, want := range map[agent.Reason]string{
		agent.ReasonBlocked:     "port 22 seems blocked; try the provider pinggy",
		agent.ReasonProxyForbid: "this is port 22; try the provider pinggy",
		agent.ReasonDNS:         "as it was",
	} {
		old := &agent.Error{Reason: reason, Op: "connect to", Addr: "x", Err: io.EOF, Fix: "as it was"}
		wantError(t, (&sshServer{port: 22}).unreached(old), reason, want)
		if old.Fix != "as it was" {
			t.Errorf("%s: the error itself was changed", reason)
		}
	}
	if got := (&sshServer{word: "x"}).unreached(io.EOF); !strings.Contains(got.Error(), "x") {
		t.Errorf("another error is %v", got)
	}
}

// The fields that a share needs are there for every provider, in printable text.
func TestProvidersAreDescribed(t *testing.T) {
	for _, name := range []string{"localhost.run", "pinggy", "ssh://vps.example.com"} {
		p, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Operator == "" || p.Name != name || slices.Contains(p.Cannot, "") {
			t.Errorf("%s is %+v", name, p)
		}
	}
}
