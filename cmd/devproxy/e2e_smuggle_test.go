//go:build e2e && unix

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devproxy/devproxy/testdata/smuggle"
)

// lyingRequest is a case of testdata/smuggle.
type lyingRequest struct {
	smuggle.Case
	kept bool // the connection may stay open though the request is refused
}

func lyingRequests(t *testing.T) []lyingRequest {
	t.Helper()
	cases, err := smuggle.Cases()
	if err != nil {
		t.Fatal(err)
	}
	all := make([]lyingRequest, len(cases))
	for i, c := range cases {
		all[i] = lyingRequest{Case: c}
	}
	return all
}

// TestE2ESmuggle sends every case to the running program, over plain HTTP and
// over TLS, and looks at what a raw upstream got. Each has its own upstream, to
// which a save points: the save after it retires that upstream, so that all
// that was ever sent to it has arrived.
func TestE2ESmuggle(t *testing.T) {
	u := startUp(t, projectDir(t, smuggleProxyfile(1)), "--http", ":0")
	if u.ready.HTTP == nil {
		t.Fatalf("no plain HTTP: %s", u.ready.Line)
	}
	cases := lyingRequests(t)
	if len(cases) < 100 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, c := range cases {
		for _, scheme := range []string{"http", "https"} {
			t.Run(c.Name+"/"+scheme, func(t *testing.T) {
				raw := newRawUpstream(t)
				u.save("Proxyfile", smuggleProxyfile(raw.port()))
				u.await("applied")
				status := c.send(t, u.dialRaw(t, scheme))
				u.save("Proxyfile", smuggleProxyfile(1))
				u.await("applied")
				raw.finish()
				c.compare(t, raw, status)
			})
		}
	}
}

// TestE2ESmuggleHTTP2 sends every HTTP/2 case to the running program.
func TestE2ESmuggleHTTP2(t *testing.T) {
	u := startUp(t, projectDir(t, smuggleProxyfile(1)))
	smuggleHTTP2(t, u, "shop.localhost", func() { u.await("applied") }, func(t *testing.T) net.Conn { return u.dialRaw(t, "https", "h2") })
}

// smuggleHTTP2 sends every HTTP/2 case to host over its own connection and to its own
// upstream.
func smuggleHTTP2(t *testing.T, u *upProcess, host string, applied func(), dial func(*testing.T) net.Conn) {
	for _, c := range smuggle.HTTP2Cases() {
		t.Run(c.Name, func(t *testing.T) {
			raw := newRawUpstream(t)
			u.save("Proxyfile", smuggleProxyfile(raw.port()))
			applied()
			outcome, err := c.Send(dial(t), host)
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			u.save("Proxyfile", smuggleProxyfile(1))
			applied()
			raw.finish()
			if wrong := c.Judge(outcome, raw.messages); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

func smuggleProxyfile(port int) string {
	return fmt.Sprintf("listen { redirect = false }\n\nhost \"shop.localhost\" {\n  upstream = %d\n  hold     = \"0s\"\n}\n", port)
}

// halfConn is a connection whose sending side can be closed alone.
type halfConn interface {
	net.Conn
	CloseWrite() error
}

// rawPatience is how long a connection that should be closed may stay open.
const rawPatience = 5 * time.Second

// dialRaw connects to the plain socket or, with TLS, to the other; there it
// speaks HTTP/1.1 unless protocols says otherwise.
func (u *upProcess) dialRaw(t *testing.T, scheme string, protocols ...string) halfConn {
	t.Helper()
	addr := *u.ready.HTTP
	if scheme == "https" {
		addr = u.ready.HTTPS
	}
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(rawPatience)); err != nil {
		t.Fatal(err)
	}
	if scheme == "http" {
		return conn.(*net.TCPConn)
	}
	secure := tls.Client(conn, &tls.Config{RootCAs: u.roots, ServerName: "shop.localhost", NextProtos: append(protocols, "http/1.1")})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure
}

// send gives the final status of the first answer, 0 for none, and wants the
// connection to be closed after it when c is not to be forwarded.
func (c lyingRequest) send(t *testing.T, conn halfConn) int {
	t.Helper()
	_, _ = io.WriteString(conn, c.Raw) // may fail: a long head is refused before its end
	if c.EOF {
		_ = conn.CloseWrite()
	}
	in := bufio.NewReader(conn)
	status := 0
	response, err := http.ReadResponse(in, nil)
	if err == nil {
		status = response.StatusCode
		_, _ = io.Copy(io.Discard, response.Body)
	}
	// Refused and broken connections are closed by devproxy: our side is still
	// open, unless the case itself closed it.
	if strings.HasPrefix(c.Expect, "forward") || c.kept {
		_ = conn.CloseWrite()
	}
	// A reset is as good an end; a deadline is none.
	if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection was not closed", c.Rule)
	}
	return status
}

// compare compares the received messages with the expected ones.
func (c lyingRequest) compare(t *testing.T, u *rawUpstream, status int) {
	t.Helper()
	expect, want, _ := strings.Cut(c.Expect, " ")
	if c.OtherHost && expect == "forward" {
		expect = "404"
	}
	if u.stuck > 0 {
		t.Errorf("%s: the upstream's connection was left open", c.Rule)
	}
	switch expect {
	case "forward":
		if diff := cmp.Diff([]string{want}, u.messages); diff != "" || status != 200 || u.broken > 0 {
			t.Errorf("%s: status %d, broken %d, messages (-want +got):\n%s", c.Rule, status, u.broken, diff)
		}
	case "abort":
		if !c.EOF && status != 400 {
			t.Errorf("%s: status %d, want 400", c.Rule, status)
		}
		if len(u.messages) > 0 || status == 200 || strings.HasSuffix(u.raw.String(), "0\r\n\r\n") {
			t.Errorf("%s: status %d, a complete message at the upstream: %q", c.Rule, status, u.raw.String())
		}
	default:
		if strconv.Itoa(status) != expect || u.raw.Len() > 0 {
			t.Errorf("%s: status %d, want %s; at the upstream: %q", c.Rule, status, expect, u.raw.String())
		}
	}
}

// rawUpstream records what arrives, byte for byte and as messages.
type rawUpstream struct {
	listener net.Listener
	group    sync.WaitGroup

	mu       sync.Mutex
	raw      bytes.Buffer
	messages []string // METHOD TARGET "BODY"
	broken   int      // connections that ended within a message
	stuck    int      // connections that were never closed
}

func newRawUpstream(t *testing.T) *rawUpstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &rawUpstream{listener: listener}
	u.group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			u.group.Go(func() { u.record(conn) })
		}
	})
	t.Cleanup(u.finish)
	return u
}

func (u *rawUpstream) port() int { return u.listener.Addr().(*net.TCPAddr).Port }

// finish returns when everything that was sent has been recorded.
func (u *rawUpstream) finish() {
	u.listener.Close()
	u.group.Wait()
}

// Write takes the raw bytes.
func (u *rawUpstream) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.raw.Write(p)
}

// record answers every message, as a server that keeps connections open does.
func (u *rawUpstream) record(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rawPatience))
	in := bufio.NewReader(io.TeeReader(conn, u))
	for {
		if _, err := in.Peek(1); err != nil {
			u.ended(err, false)
			return
		}
		r, err := http.ReadRequest(in)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(r.Body)
		}
		if err != nil {
			u.ended(err, true)
			return
		}
		u.mu.Lock()
		u.messages = append(u.messages, fmt.Sprintf("%s %s %q", r.Method, r.RequestURI, body))
		u.mu.Unlock()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func (u *rawUpstream) ended(err error, within bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if within {
		u.broken++
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		u.stuck++
	}
}
