package provider

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// fakeSSH is the server side of package ssh, with the behaviour of a service.
type fakeSSH struct {
	t       testing.TB
	ln      net.Listener
	config  *ssh.ServerConfig
	key     ssh.Signer
	serve   func(*fakeConn)
	running sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	users []string
	ready chan *fakeConn // connections, once they forward
}

// fakeConn is one SSH connection to a fakeSSH.
type fakeConn struct {
	*ssh.ServerConn
	server   *fakeSSH
	channels <-chan ssh.NewChannel
	requests <-chan *ssh.Request

	session chan ssh.Channel // accepted, once a shell or a command runs in it
	command string           // of the session; "shell" for a shell
	address string           // that is asked for with tcpip-forward
	port    uint32           // in the message
}

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// startSSH starts a server that admits everyone. serve has a connection to itself;
// when it returns the connection is closed.
func startSSH(t testing.TB, serve func(*fakeConn)) *fakeSSH {
	t.Helper()
	return startSSHWith(t, &ssh.ServerConfig{NoClientAuth: true}, serve)
}

// startSSHWith starts a server that admits whom config admits.
func startSSHWith(t testing.TB, config *ssh.ServerConfig, serve func(*fakeConn)) *fakeSSH {
	t.Helper()
	f := &fakeSSH{t: t, key: newSigner(t), serve: serve, ready: make(chan *fakeConn, 100)}
	f.config = config
	f.config.AddHostKey(f.key)
	f.listen("127.0.0.1:0")
	t.Cleanup(func() {
		f.stop()
		f.running.Wait()
	})
	return f
}

func (f *fakeSSH) listen(address string) {
	f.t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.ln = ln
	f.running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			f.running.Go(func() { f.handle(c) })
		}
	})
}

// stop closes the listener and every connection.
func (f *fakeSSH) stop() {
	f.ln.Close()
	f.cut()
}

func (f *fakeSSH) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}

func (f *fakeSSH) handle(c net.Conn) {
	defer c.Close()
	conn, channels, requests, err := ssh.NewServerConn(c, f.config)
	if err != nil {
		return
	}
	defer conn.Close()
	f.mu.Lock()
	f.users = append(f.users, conn.User())
	f.mu.Unlock()
	f.serve(&fakeConn{ServerConn: conn, server: f, channels: channels, requests: requests, session: make(chan ssh.Channel, 1)})
}

// at is server as one that connects to f.
func (f *fakeSSH) at(server sshServer) *sshServer {
	server.host, server.port, server.pin = "127.0.0.1", uint16(f.ln.Addr().(*net.TCPAddr).Port), ""
	return &server
}

// serveSession takes the client's session until it has a shell or a command; then
// it goes on in the background. It refuses what a client with a terminal asks for.
func (c *fakeConn) serveSession() {
	for next := range c.channels {
		if next.ChannelType() != "session" {
			_ = next.Reject(ssh.UnknownChannelType, "no")
			continue
		}
		channel, requests, err := next.Accept()
		if err != nil {
			return
		}
		started := false
		for r := range requests {
			switch r.Type {
			case "shell":
				c.command = "shell"
			case "exec":
				var exec struct{ Command string }
				_ = ssh.Unmarshal(r.Payload, &exec)
				c.command = exec.Command
			}
			started = r.Type == "shell" || r.Type == "exec"
			_ = r.Reply(started, nil)
			if started {
				break
			}
		}
		if started {
			c.session <- channel
			c.server.running.Go(func() { ssh.DiscardRequests(requests) })
			c.server.running.Go(func() { _, _ = io.Copy(io.Discard, channel) })
		}
		for next := range c.channels {
			_ = next.Reject(ssh.UnknownChannelType, "no")
		}
		return
	}
}

// forwardRequest waits for tcpip-forward.
func (c *fakeConn) forwardRequest() *ssh.Request {
	for r := range c.requests {
		if r.Type != "tcpip-forward" {
			_ = r.Reply(false, nil)
			continue
		}
		var forward struct {
			Addr string
			Port uint32
		}
		_ = ssh.Unmarshal(r.Payload, &forward)
		c.address, c.port = forward.Addr, forward.Port
		return r
	}
	return nil
}

// stay answers keepalives until the connection ends.
func (c *fakeConn) stay() {
	for r := range c.requests {
		_ = r.Reply(r.Type == "keepalive@openssh.com", nil)
	}
}

type forwardedChannel struct {
	Addr       string
	Port       uint32
	OriginAddr string
	OriginPort uint32
}

// visit opens a channel as for a visitor.
func (c *fakeConn) visit(payload forwardedChannel) (net.Conn, error) {
	channel, requests, err := c.OpenChannel("forwarded-tcpip", ssh.Marshal(payload))
	if err != nil {
		return nil, err
	}
	c.server.running.Go(func() { ssh.DiscardRequests(requests) })
	return channelAsConn{channel}, nil
}

// channelAsConn is a channel for an http.Transport, which needs no deadlines.
type channelAsConn struct{ ssh.Channel }

func (channelAsConn) LocalAddr() net.Addr              { return addr("test") }
func (channelAsConn) RemoteAddr() net.Addr             { return addr("test") }
func (channelAsConn) SetDeadline(time.Time) error      { return nil }
func (channelAsConn) SetReadDeadline(time.Time) error  { return nil }
func (channelAsConn) SetWriteDeadline(time.Time) error { return nil }

// browser is an HTTP client whose connections are visitors of c.
func (c *fakeConn) browser(payload forwardedChannel) *http.Client {
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c.visit(payload) }}
	c.server.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// serveLike is a service that writes before and after it forwards.
func serveLike(before, after string) func(*fakeConn) {
	return func(c *fakeConn) {
		c.server.running.Go(c.serveSession)
		r := c.forwardRequest()
		if r == nil {
			return
		}
		if c.port == 0 {
			c.port = 9
		}
		session := <-c.session
		_, _ = io.WriteString(session, before)
		_ = r.Reply(true, ssh.Marshal(struct{ Port uint32 }{c.port}))
		_, _ = io.WriteString(session, after)
		c.session <- session
		c.server.ready <- c
		c.stay()
	}
}

func get(t testing.TB, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}
