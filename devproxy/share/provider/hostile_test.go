package provider

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// plainServer tells its address as sish does.
var plainServer = sshServer{word: "ssh://tuns.example.com", user: "me", listen: listenHere, listenPort: webPort}

const plainText = "HTTPS: https://flb.tuns.example.com\r\n"

var plainVisitor = forwardedChannel{Addr: "localhost", Port: 80, OriginAddr: "localhost"}

// A flood of channels takes no more than its places, and neither stops the SSH
// connection nor keeps visitors out once it has ended.
func TestFloodOfChannels(t *testing.T) {
	const extra = 200
	f := startSSH(t, serveLike("", plainText))
	s := newShare(t)
	s.start(f.at(plainServer), shareOptions{times: func(times *sshTimes) {
		times.keepaliveEvery = 20 * time.Millisecond
	}})
	c := <-f.ready
	s.wait(isUp)
	var refused, accepted atomic.Int32
	release := make(chan struct{})
	var flood sync.WaitGroup
	for range maxVisitors + maxWaiting + extra {
		flood.Go(func() {
			conn, err := c.visit(plainVisitor)
			var open *ssh.OpenChannelError
			switch {
			case errors.As(err, &open) && open.Reason == ssh.ResourceShortage:
				refused.Add(1)
			case err != nil:
				t.Error(err)
			default:
				accepted.Add(1)
				<-release
				conn.Close()
			}
		})
	}
	// How many find the queue full depends on how fast the first get in.
	eventually(t, "refusing what is too much", func() bool { return refused.Load() >= extra && accepted.Load() == maxVisitors })
	if n := refused.Load(); n > extra+maxVisitors {
		t.Errorf("%d were refused, want %d at most", n, extra+maxVisitors)
	}
	close(release)
	flood.Wait()
	if n := accepted.Load(); n < maxWaiting {
		t.Errorf("%d got in, want those that waited", n)
	}
	if got := get(t, c.browser(plainVisitor), "http://x/"); !strings.HasPrefix(got, "200 page") {
		t.Errorf("after the flood a visitor gets %q", got)
	}
	select {
	case state := <-s.states:
		t.Errorf("the flood changed the state to %+v", state)
	default:
	}
}

// Only channels for the forwarded port are let in.
func TestForeignChannels(t *testing.T) {
	f := startSSH(t, serveLike("", plainText))
	s := newShare(t)
	s.start(f.at(plainServer), shareOptions{})
	c := <-f.ready
	s.wait(isUp)
	for name, test := range map[string]struct {
		kind    string
		payload []byte
		reason  ssh.RejectionReason
	}{
		"port":      {"forwarded-tcpip", ssh.Marshal(forwardedChannel{Addr: "localhost", Port: 22, OriginAddr: "localhost"}), ssh.Prohibited},
		"no port":   {"forwarded-tcpip", ssh.Marshal(forwardedChannel{Addr: "localhost", OriginAddr: "localhost"}), ssh.Prohibited},
		"garbage":   {"forwarded-tcpip", []byte{0, 0, 1}, ssh.Prohibited},
		"nothing":   {"forwarded-tcpip", nil, ssh.Prohibited},
		"session":   {"session", nil, ssh.UnknownChannelType},
		"direct":    {"direct-tcpip", ssh.Marshal(plainVisitor), ssh.UnknownChannelType},
		"agent":     {"auth-agent@openssh.com", nil, ssh.UnknownChannelType},
		"X11":       {"x11", nil, ssh.UnknownChannelType},
		"a socket":  {"forwarded-streamlocal@openssh.com", nil, ssh.UnknownChannelType},
		"a fantasy": {"\x1b[31m", nil, ssh.UnknownChannelType},
	} {
		_, _, err := c.OpenChannel(test.kind, test.payload)
		var open *ssh.OpenChannelError
		if !errors.As(err, &open) || open.Reason != test.reason {
			t.Errorf("%s: %v, want %v", name, err, test.reason)
		}
	}
	if got := get(t, c.browser(plainVisitor), "http://x/"); !strings.HasPrefix(got, "200 page") {
		t.Errorf("a visitor gets %q", got)
	}
}

// Visitors that come before the address is known wait for it.
func TestEarlyVisitors(t *testing.T) {
	f := startSSH(t, func(c *fakeConn) {
		c.server.running.Go(c.serveSession)
		r := c.forwardRequest()
		_ = r.Reply(true, nil)
		got := make(chan string)
		c.server.running.Go(func() { got <- get(t, c.browser(plainVisitor), "http://x/") })
		c.server.running.Go(c.stay)
		session := <-c.session
		_, _ = io.WriteString(session, plainText)
		if text := <-got; !strings.HasPrefix(text, "200 page of flb.tuns.example.com") {
			t.Errorf("an early visitor gets %q", text)
		}
		c.server.ready <- c
		_ = c.Wait()
	})
	s := newShare(t)
	s.start(f.at(plainServer), shareOptions{})
	s.wait(isUp)
	<-f.ready
}

// The text of a hostile server never becomes a link.
func TestHostileText(t *testing.T) {
	for name, text := range map[string]func(io.Writer){
		"huge line": func(w io.Writer) {
			for range 100 {
				_, _ = w.Write(make([]byte, 64<<10))
			}
			_, _ = io.WriteString(w, "\n"+plainText)
		},
		"many lines": func(w io.Writer) {
			_, _ = io.WriteString(w, strings.Repeat("HTTPS: http://flb.tuns.example.com\r\n", 10000)+plainText)
		},
		"local name":  func(w io.Writer) { _, _ = io.WriteString(w, "HTTPS: https://admin.localhost\r\n") },
		"an address":  func(w io.Writer) { _, _ = io.WriteString(w, "HTTPS: https://192.168.1.1\r\n") },
		"escapes":     func(w io.Writer) { _, _ = io.WriteString(w, "HTTPS: https://a.example.com/\x1b]0;title\x07x\r\n") },
		"no newline":  func(w io.Writer) { _, _ = io.WriteString(w, "HTTPS: https://a.exam") },
		"open string": func(w io.Writer) { _, _ = io.WriteString(w, "\x1b]0;HTTPS: https://a.example.com") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startSSH(t, func(c *fakeConn) {
				c.server.running.Go(c.serveSession)
				r := c.forwardRequest()
				if r == nil {
					return
				}
				_ = r.Reply(true, nil)
				c.server.running.Go(c.stay)
				text(<-c.session)
				_ = c.Wait()
			})
			s := newShare(t)
			s.start(f.at(plainServer), shareOptions{times: func(times *sshTimes) { times.link = 500 * time.Millisecond }})
			s.fails(ReasonNoURL)
		})
	}
}

// A server that does not answer, at any stage, is given up in time.
func TestSilentServers(t *testing.T) {
	short := func(times *sshTimes) {
		times.setup, times.link = 200*time.Millisecond, 200*time.Millisecond
	}
	for name, serve := range map[string]func(*fakeConn){
		"no session": func(c *fakeConn) { _ = c.Wait() },
		"no shell": func(c *fakeConn) {
			next := <-c.channels
			if next == nil {
				return
			}
			_, _, _ = next.Accept()
			_ = c.Wait()
		},
		"no forwarding": func(c *fakeConn) {
			c.server.running.Go(c.serveSession)
			c.forwardRequest()
			_ = c.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startSSH(t, serve)
			s := newShare(t)
			s.start(f.at(plainServer), shareOptions{times: short})
			wantError(t, s.wait(isWaiting).Err, agent.ReasonBroken, "did not answer within 200ms")
		})
	}
	t.Run("no SSH", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close() // it never accepts
		server := plainServer
		server.host, server.port = "127.0.0.1", uint16(ln.Addr().(*net.TCPAddr).Port)
		s := newShare(t)
		s.start(&server, shareOptions{times: func(times *sshTimes) { times.handshake = 200 * time.Millisecond }})
		wantError(t, s.wait(isWaiting).Err, agent.ReasonBroken, "no SSH server answered within 200ms")
	})
}

// Servers that are something else, or end with a word.
func TestStrangeServers(t *testing.T) {
	for name, test := range map[string]struct{ says, want string }{
		"HTTP":   {"HTTP/1.1 400 Bad Request\r\n\r\n", ""},
		"no one": {"", "the server closed the connection"},
		"escape": {"SSH-2.0-\x1b[31m\r\n\x00\x00", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var running sync.WaitGroup
			running.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(c, test.says)
					c.Close()
				}
			})
			t.Cleanup(func() {
				ln.Close()
				running.Wait()
			})
			server := plainServer
			server.host, server.port = "127.0.0.1", uint16(ln.Addr().(*net.TCPAddr).Port)
			s := newShare(t)
			s.start(&server, shareOptions{})
			wantError(t, s.wait(isWaiting).Err, agent.ReasonBroken, test.want)
		})
	}
}

// A server that dies, or hangs, is left; what it says last is shown without its
// control characters.
func TestDyingServers(t *testing.T) {
	f := startSSH(t, serveLike("", plainText))
	s := newShare(t)
	s.start(f.at(plainServer), shareOptions{})
	c := <-f.ready
	s.wait(isUp)
	visitor, err := c.visit(plainVisitor)
	if err != nil {
		t.Fatal(err)
	}
	f.cut()
	wantError(t, s.wait(isWaiting).Err, agent.ReasonBroken)
	if _, err := visitor.Read(make([]byte, 1)); err == nil {
		t.Error("a visitor of a dead server reads something")
	}
	c = <-f.ready
	s.wait(isUp)
	if got := get(t, c.browser(plainVisitor), "http://x/"); !strings.HasPrefix(got, "200 page") {
		t.Errorf("after the cut a visitor gets %q", got)
	}
}

// Requests of the server's are answered with no, and many of them do no harm.
func TestForeignRequests(t *testing.T) {
	f := startSSH(t, serveLike("", plainText))
	s := newShare(t)
	s.start(f.at(plainServer), shareOptions{})
	c := <-f.ready
	s.wait(isUp)
	for range 100 {
		if ok, _, err := c.SendRequest("hostkeys-00@openssh.com", true, make([]byte, 1000)); ok || err != nil {
			t.Fatalf("a request was answered with %v, %v", ok, err)
		}
	}
	session := <-c.session
	for range 100 {
		if ok, err := session.SendRequest("signal", true, nil); ok || err != nil {
			t.Fatalf("a request of the session was answered with %v, %v", ok, err)
		}
	}
	// The session's end is not the tunnel's.
	_, _ = session.SendRequest("exit-status", false, []byte{0, 0, 0, 0})
	session.Close()
	if got := get(t, c.browser(plainVisitor), "http://x/"); !strings.HasPrefix(got, "200 page") {
		t.Errorf("a visitor gets %q", got)
	}
}

// A service that changes the name tells so; one that does nothing else is left.
func TestRename(t *testing.T) {
	event := func(name string) string {
		return `{"type":"v1.tcpip_forward.register.accepted","data":"` + name + ` tunneled with tls termination, https://` + name + `"}` + "\n"
	}
	f := startSSH(t, serveLike("", event("a.lhr.example")+event("a.lhr.example")))
	s := newShare(t)
	s.start(f.at(localhostRunServer), shareOptions{times: func(times *sshTimes) { times.rename = 100 * time.Millisecond }})
	c := <-f.ready
	began := time.Now()
	s.wait(isUp)
	session := <-c.session
	eventually(t, "the first name to have lasted", func() bool { return time.Since(began) > 200*time.Millisecond })
	_, _ = io.WriteString(session, "HTTPS: https://text.example.com\n"+event("b.lhr.example"))
	state := s.wait(func(state agent.State) bool {
		return state.Phase != agent.Up || state.Grant.Hosts[0] != "a.lhr.example"
	})
	if state.Phase != agent.Up || state.Grant.Hosts[0] != "b.lhr.example" {
		t.Fatalf("after another name the state is %+v", state)
	}
	if got := get(t, c.browser(plainVisitor), "http://x/"); !strings.HasPrefix(got, "200 page of b.lhr.example ") {
		t.Errorf("a visitor gets %q", got)
	}
	_, _ = io.WriteString(session, event("c.lhr.example")+event("d.lhr.example")+event("e.lhr.example"))
	wantError(t, s.wait(isWaiting).Err, agent.ReasonBroken, "too often")
}

// TestEndAtAnyTime ends shares at all stages, with visitors inside that neither
// read nor write: nothing of them is left.
func TestEndAtAnyTime(t *testing.T) {
	stage := make(chan string, 10)
	f := startSSH(t, func(c *fakeConn) {
		stage <- "connected"
		c.server.running.Go(c.serveSession)
		r := c.forwardRequest()
		if r == nil {
			return
		}
		stage <- "asked"
		_ = r.Reply(true, nil)
		session := <-c.session
		stage <- "forwarding"
		_, _ = io.WriteString(session, plainText)
		c.server.running.Go(c.stay)
		conn, err := c.visit(plainVisitor)
		if err != nil {
			return
		}
		// The answer is larger than all windows, and no one reads it.
		_, _ = io.WriteString(conn, "GET /download/100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
		_, _ = io.ReadFull(conn, make([]byte, 100))
		stage <- "visited"
		_ = c.Wait()
	})
	for _, until := range []string{"connected", "asked", "forwarding", "visited"} {
		s := newShare(t)
		c := s.carrier(f.at(plainServer), shareOptions{})
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- c.Run(ctx) }()
		served := make(chan error, 1)
		go func() {
			for {
				conn, err := c.Accept()
				if err != nil {
					served <- err
					return
				}
				go func() { _, _ = io.Copy(conn, zeros{}) }()
			}
		}()
		for reached := ""; reached != until; {
			reached = <-stage
		}
		if until == "asked" {
			c.Close()
		} else {
			cancel()
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: Run ended with %v", until, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s: Run does not end", until)
		}
		cancel()
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: Accept ended with %v", until, err)
		}
		f.cut()
		for len(stage) > 0 {
			<-stage
		}
	}
}
