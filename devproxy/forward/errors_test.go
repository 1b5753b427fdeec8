package forward

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestABadAnswerIsExplained(t *testing.T) {
	ok := http.NotFoundHandler()
	as := func(m plan.Member, scheme plan.Scheme) plan.Member {
		m.Scheme, m.ServerName, m.SkipVerify = scheme, "localhost", true
		return m
	}
	verified := as(startUpstream(t, "https", ok), plan.SchemeHTTPS)
	verified.SkipVerify = false
	wrongName := startUpstream(t, "https", ok)
	wrongName.SkipVerify, wrongName.ServerName = false, "elsewhere.example"
	for _, test := range []struct {
		name         string
		m            plan.Member
		reason, hint string
	}{
		{"TLS where HTTP is written", as(startUpstream(t, "https", ok), plan.SchemeHTTP), "", "https://"},
		{"HTTP where TLS is written", as(startUpstream(t, "http", ok), plan.SchemeHTTPS), "does not speak TLS", "http://"},
		{"h2c where HTTP is written", as(answering(t, "\x00\x00\x12\x04\x00\x00\x00\x00\x00"), plan.SchemeHTTP), "speaks HTTP/2 without TLS", "h2c://"},
		{"HTTP where h2c is written", as(answering(t, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), plan.SchemeH2C), "does not speak HTTP/2", "http://"},
		{"a certificate nobody knows", verified, "certificate", "tls_skip_verify = true"},
		{"garbage", answering(t, "220 mail.localhost ESMTP\r\n"), "something that is not HTTP", "right port"},
		{"a status that is none", answering(t, "HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n"), "a status that does not exist", "right port"},
		{"a head that never ends", answering(t, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", maxResponseHead)+"\r\n\r\n"), "a header of more than 1 MiB", "cookie"},
		{"two lengths", answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12"), "not HTTP", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProxy(t, "h1", Options{}, test.m)
			if res, body := p.get(t, "/"); res.StatusCode != http.StatusBadGateway {
				if test.name == "TLS where HTTP is written" && strings.Contains(body, "HTTPS server") {
					return // Go's server answers in HTTP itself, and says so
				}
				t.Fatalf("got %s %q", res.Status, body)
			}
			var bad *UpstreamError
			if err := <-p.errs; !errors.As(err, &bad) || !strings.Contains(bad.Reason, test.reason) || !strings.Contains(bad.Hint, test.hint) {
				t.Errorf("got %v; hint %q", err, bad.Hint)
			}
		})
	}
}

func TestTheTimeoutIsForTheFirstByteOfTheAnswer(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		const limit = 100 * time.Millisecond
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/late" {
				<-r.Context().Done()
				return
			}
			io.WriteString(w, "slow")
			http.NewResponseController(w).Flush()
			<-time.After(2 * limit)
			io.WriteString(w, " body")
		})))
		p.route.Timeout = limit
		if res, _ := p.get(t, "/late"); res.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("got %s", res.Status)
		}
		var timeout *TimeoutError
		if err := <-p.errs; !errors.As(err, &timeout) || timeout.Timeout != limit {
			t.Errorf("got %v", err)
		}
		if res, body := p.get(t, "/body"); res.StatusCode != http.StatusOK || body != "slow body" {
			t.Errorf("a slow body: %s %q", res.Status, body)
		}

		body, send := io.Pipe()
		go func() {
			io.WriteString(send, "a")
			<-time.After(2 * limit)
			send.Close()
		}()
		res, err := p.client().Post(p.URL, "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("a slow visitor: %s", res.Status)
		}
	})
}

func TestAnUpgradedConnectionHasNoTimeout(t *testing.T) {
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		<-time.After(150 * time.Millisecond)
		io.WriteString(c, "late")
	}))
	p.route.Timeout = 50 * time.Millisecond
	c := p.dial(t)
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(c)
	readHead(r)
	if got, _ := io.ReadAll(r); string(got) != "late" {
		t.Errorf("got %q", got)
	}
}

func TestRetireLetsExchangesFinish(t *testing.T) {
	arrived, release := make(chan bool), make(chan bool)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "finished")
	})))
	answer := make(chan string)
	go func() {
		_, body := p.get(t, "/")
		answer <- body
	}()
	<-arrived
	p.upstream.Retire()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if p.upstream.Wait(over) == nil || p.upstream.Idle() {
		t.Error("the exchange is over before it is")
	}
	close(release)
	if body := <-answer; body != "finished" {
		t.Errorf("got %q", body)
	}
	if err := p.upstream.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLibrariesAreNotNamed: messages about an upstream do not mention Go's
// libraries.
func TestLibrariesAreNotNamed(t *testing.T) {
	for text, want := range map[string]string{
		`net/http: HTTP/1.x transport connection broken: malformed HTTP response "220 mail: http: ready"`: `malformed HTTP response "220 mail: ready"`,
		"tls: failed to verify certificate: x509: certificate signed by unknown authority":                "failed to verify certificate: certificate signed by unknown authority",
		"remote error: tls: handshake failure":                                                            "handshake failure",
		"http2: frame too large":                                                                          "frame too large",
		"x509: tls":                                                                                       "tls",
		"unexpected EOF":                                                                                  "unexpected EOF",
		"":                                                                                                "",
	} {
		if got := withoutPackages(text); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	err := describe(&member{}, errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "220 mail"`))
	for _, name := range packages {
		if strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s names %s", err, name)
		}
	}
}
