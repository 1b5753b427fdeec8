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
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lyingRequest is a case of testdata/smuggle, whose README is the format.
type lyingRequest struct {
	name, rule, expect string
	eof                bool // the client closes its sending side
	otherHost          bool // not for shop.localhost
	raw                string
}

func lyingRequests(t *testing.T) []lyingRequest {
	t.Helper()
	files, err := filepath.Glob("../../testdata/smuggle/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var cases []lyingRequest
	for _, file := range files {
		for _, block := range strings.Split("\n"+readText(t, file), "\n== ")[1:] {
			cases = append(cases, parseLying(t, filepath.Base(file), block))
		}
	}
	return cases
}

func parseLying(t *testing.T, file, block string) lyingRequest {
	t.Helper()
	top, raw, _ := strings.Cut(block, "\n\n")
	name, facts, _ := strings.Cut(top, "\n")
	c := lyingRequest{name: file + "/" + name, raw: unescapeLying(t, name, strings.ReplaceAll(raw, "\n", ""))}
	for line := range strings.SplitSeq(facts, "\n") {
		switch key, value, _ := strings.Cut(line, ": "); key {
		case "rule":
			c.rule = value
		case "expect":
			c.expect = value
		case "then":
			c.eof = value == "eof"
		case "host":
			c.otherHost = value == "other"
		}
	}
	if c.expect == "" {
		t.Fatalf("%s expects nothing", c.name)
	}
	return c
}

func unescapeLying(t *testing.T, name, raw string) string {
	t.Helper()
	raw = regexp.MustCompile(`\{repeat (\d+) ([^}]*)\}`).ReplaceAllStringFunc(raw, func(s string) string {
		count, text, _ := strings.Cut(strings.Trim(s, "{}")[len("repeat "):], " ")
		n, err := strconv.Atoi(count)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.Repeat(text, n)
	})
	text, err := strconv.Unquote(`"` + raw + `"`)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return text
}

// TestE2ESmuggle sends every case to the running program, over plain HTTP and
// over TLS, and looks at what a raw upstream got. Each has an upstream of its
// own, to which a save points: the save after it retires that upstream, so that
// all that was ever sent to it has arrived.
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
			t.Run(c.name+"/"+scheme, func(t *testing.T) {
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

// dialRaw connects to the plain socket or, with TLS, to the other.
func (u *upProcess) dialRaw(t *testing.T, scheme string) halfConn {
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
	secure := tls.Client(conn, &tls.Config{RootCAs: u.roots, ServerName: "shop.localhost", NextProtos: []string{"http/1.1"}})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure
}

// send gives the final status of the first answer, 0 for none, and wants the
// connection to be closed after it when c is not to be forwarded.
func (c lyingRequest) send(t *testing.T, conn halfConn) int {
	t.Helper()
	_, _ = io.WriteString(conn, c.raw) // may fail: a long head is refused before its end
	if c.eof {
		_ = conn.CloseWrite()
	}
	in := bufio.NewReader(conn)
	status := 0
	response, err := http.ReadResponse(in, nil)
	if err == nil {
		status = response.StatusCode
		_, _ = io.Copy(io.Discard, response.Body)
	}
	// What is refused or broken is closed by devproxy: our side is still open,
	// unless the case itself closed it.
	if strings.HasPrefix(c.expect, "forward") {
		_ = conn.CloseWrite()
	}
	// A reset is as good an end; a deadline is none.
	if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection was not closed", c.rule)
	}
	return status
}

// compare holds what arrived against what the case expects.
func (c lyingRequest) compare(t *testing.T, u *rawUpstream, status int) {
	t.Helper()
	expect, want, _ := strings.Cut(c.expect, " ")
	if c.otherHost && expect == "forward" {
		expect = "404"
	}
	if u.stuck > 0 {
		t.Errorf("%s: the upstream's connection was left open", c.rule)
	}
	switch expect {
	case "forward":
		if diff := cmp.Diff([]string{want}, u.messages); diff != "" || status != 200 || u.broken > 0 {
			t.Errorf("%s: status %d, broken %d, messages (-want +got):\n%s", c.rule, status, u.broken, diff)
		}
	case "abort":
		if len(u.messages) > 0 || status == 200 || strings.HasSuffix(u.raw.String(), "0\r\n\r\n") {
			t.Errorf("%s: status %d, a complete message at the upstream: %q", c.rule, status, u.raw.String())
		}
	default:
		if strconv.Itoa(status) != expect || u.raw.Len() > 0 {
			t.Errorf("%s: status %d, want %s; at the upstream: %q", c.rule, status, expect, u.raw.String())
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
	stuck    int      // connections that nobody ended
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
