package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// scripted is a listener whose Accept fails as a test says, and then waits for Close.
type scripted struct {
	errors  []error
	accepts int
	closed  chan struct{}
	once    sync.Once
}

func (s *scripted) Accept() (net.Conn, error) {
	s.accepts++
	if len(s.errors) > 0 {
		err := s.errors[0]
		s.errors = s.errors[1:]
		return nil, err
	}
	<-s.closed
	return nil, net.ErrClosed
}

func (s *scripted) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *scripted) Addr() net.Addr { return (*connListener)(nil).Addr() }

// TestServe: how accepting ends, and that it continues after a temporary failure.
func TestServe(t *testing.T) {
	gone := errors.New("the socket is gone")
	for name, c := range map[string]struct {
		errors []error
		end    func(*Relay, context.CancelFunc) // after it has rested
		want   error
		took   time.Duration
		logs   int
	}{
		"closed":                       {end: func(r *Relay, _ context.CancelFunc) { r.Close() }, took: time.Second},
		"given up":                     {end: func(_ *Relay, cancel context.CancelFunc) { cancel() }, took: time.Second},
		"stopped":                      {end: func(r *Relay, _ context.CancelFunc) { r.stopAccepting() }, took: time.Second},
		"a socket that fails":          {errors: []error{gone}, want: gone},
		"failures that pass":           {errors: []error{temporary(true), temporary(true), gone}, want: gone, took: 2 * acceptPause, logs: 2},
		"closed while accepting rests": {errors: []error{temporary(true)}, end: func(r *Relay, _ context.CancelFunc) { r.Close() }, took: time.Second, logs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log syncBuffer
				r, err := New(Options{
					Domain: domain, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil },
					Registry: NewMemory(), Log: slog.New(slog.NewTextHandler(&log, nil)),
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ln := &scripted{errors: c.errors, closed: make(chan struct{})}
				if c.end != nil {
					time.AfterFunc(time.Second, func() { c.end(r, cancel) })
				}
				began := time.Now()
				err = r.Serve(ctx, ln)
				if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), "cannot accept on visitors") {
					t.Errorf("%v, want %v", err, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if n := strings.Count(log.String(), "connection not accepted"); n != c.logs {
					t.Errorf("%d lines, want %d: %s", n, c.logs, log.String())
				}
				r.Close()
				late := &scripted{closed: make(chan struct{})}
				if err := r.Serve(ctx, late); err != nil || late.accepts > 0 {
					t.Errorf("after the end: %v, %d accepts", err, late.accepts)
				}
				<-late.closed // is never used again
			})
		})
	}
}

// TestPauseEnds: a pause in accepting does not delay the end of the relay.
func TestPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Relay{}
		r.life, r.cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, r.cancel)
		began := time.Now()
		if wait(r.life, time.Millisecond, nil); time.Since(began) != time.Millisecond {
			t.Errorf("rested for %v", time.Since(began))
		}
		if wait(r.life, time.Hour, nil); time.Since(began) != time.Second {
			t.Errorf("rested for %v", time.Since(began))
		}
	})
}

// TestConnListener: connections are delivered one by one, and closed after the listener's
// end.
func TestConnListener(t *testing.T) {
	h := newConnListener()
	closed := new(bool)
	c := fakeConn{closed: closed}
	go h.deliver(c)
	if got, err := h.Accept(); got != net.Conn(c) || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if *closed {
		t.Error("a connection that was taken is closed")
	}
	if h.deliver(c); !*closed {
		t.Error("a connection that no one accepts stays open")
	}
}

// TestNew: invalid options are refused.
func TestNew(t *testing.T) {
	certificate := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
	for name, c := range map[string]struct {
		options Options
		says    string
	}{
		"no domain":               {Options{Certificate: certificate, Registry: NewMemory()}, "a domain"},
		"a domain with a capital": {Options{Domain: "T.example.com", Certificate: certificate, Registry: NewMemory()}, "lower case"},
		"no certificates":         {Options{Domain: domain, Registry: NewMemory()}, "certificates"},
		"no registry":             {Options{Domain: domain, Certificate: certificate}, "a registry"},
		"no keys file":            {Options{Domain: domain, Certificate: certificate, Registry: NewMemory(), AuthorizedKeys: "none/keys"}, "authorized keys"},
		"a token to be guessed":   {Options{Domain: domain, Certificate: certificate, Registry: NewMemory(), Tokens: []string{"short"}}, "can be guessed"},
	} {
		if _, err := New(c.options); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	for range 2 { // each with its own metrics
		r, err := New(Options{Domain: domain, Certificate: certificate, Registry: NewMemory()})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
	}
}

// TestPortOfTheListener: agents get the port that visitors need.
func TestPortOfTheListener(t *testing.T) {
	w := start(t, func(o *Options) { o.Port = 0 })
	key := testKey("a")
	_, port, _ := net.SplitHostPort(w.addr)
	if got := w.agent(key, claimOf(key, ""), &recorder{}).grant.Port; fmt.Sprint(got) != port {
		t.Errorf("port %d, want %s", got, port)
	}
}

// TestHandshakes: handshakes are counted by outcome, and a connection that sends
// nothing is closed.
func TestHandshakes(t *testing.T) {
	w, hasty := start(t, nil), start(t, func(o *Options) { o.Limits.HandshakeTimeout = 50 * time.Millisecond })
	garbage := dialTCP(t, w.addr)
	fmt.Fprint(garbage, "GET / HTTP/1.1\r\n\r\n")
	silent := dialTCP(t, hasty.addr)
	for what, c := range map[string]net.Conn{"garbage": garbage, "silence": silent} {
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("after %s the connection stays: %v", what, err)
		}
	}
	if _, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: w.ca.pool, ServerName: "www.example.com"}); err == nil {
		t.Error("a name without certificate is served")
	}
	for _, r := range []*Relay{w.Relay, hasty.Relay} {
		eventually(t, "none is left", func() bool { h, v, l := r.conns.counts(); return h+v+l == 0 })
	}
	eventually(t, "the failures are counted", func() bool {
		return counts(w.Relay, `handshakes_total{outcome="failed"} 2`) && counts(hasty.Relay, `handshakes_total{outcome="failed"} 1`)
	})
	key := testKey("a")
	w.agent(key, claimOf(key, ""), &recorder{})
	eventually(t, "two lanes", func() bool { _, _, n := w.conns.counts(); return n == 2 })
	w.dial(domain)
	eventually(t, "a visitor", func() bool { _, n, _ := w.conns.counts(); return n == 1 })
	for _, line := range []string{
		`handshakes_total{outcome="agent"} 2`, `handshakes_total{outcome="visitor"} 1`, `lanes 2`, `visitor_connections 1`, `evicted_total 0`,
	} {
		eventually(t, line, func() bool { return counts(w.Relay, line) })
	}
}

// TestLanesOfAnAddress: a lane beyond the limit is closed, and counted.
func TestLanesOfAnAddress(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.LanesPerAddress = 1 })
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), &recorder{})
	metrics := httptest.NewServer(w.Admin())
	defer metrics.Close()
	eventually(t, "the second lane is refused", func() bool {
		_, body, _ := get(t, metrics.Client(), metrics.URL+"/metrics")
		return strings.Contains(body, `devproxy_relay_limited_total{limit="lanes"}`)
	})
	if _, _, n := w.conns.counts(); n != 1 {
		t.Errorf("%d lanes", n)
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+a.grant.Hosts[0]+"/"); status != 200 {
		t.Errorf("the share answers with %d", status)
	}
}

// TestLeafOf: the certificate that a connection has shown.
func TestLeafOf(t *testing.T) {
	ca := newCA(t)
	cert, err := ca.certificate(&tls.ClientHelloInfo{ServerName: domain})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := leafOf(cert)
	if err != nil || parsed.VerifyHostname(domain) != nil {
		t.Errorf("a certificate: %v", err)
	}
	if leaf, err := leafOf(&tls.Certificate{Certificate: [][]byte{{1}}, Leaf: parsed}); leaf != parsed || err != nil {
		t.Errorf("one that is parsed already: %v", err)
	}
	if leaf, err := leafOf(&tls.Certificate{}); leaf != nil || err != nil {
		t.Errorf("none: %v, %v", leaf, err)
	}
	if _, err := leafOf(&tls.Certificate{Certificate: [][]byte{{1}}}); err == nil {
		t.Error("a broken one has a leaf")
	}
	if (&conn{}).covers(domain) {
		t.Error("a connection that has shown nothing covers a name")
	}
}

// TestChanged: changes of the registry by another process, or by the operator.
func TestChanged(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	a, b, c := testKey("a"), testKey("b"), testKey("c")
	first := w.agent(a, claimOf(a, ""), &recorder{})
	second := w.agent(b, tunnel.Claim{Name: "shop", Hosts: []string{""}}, &recorder{})
	third := w.agent(c, claimOf(c, ""), &recorder{})
	w.registryChanged(Change{Key: publicKey(testKey("d")), Standing: Revoked}) // is not here
	w.registryChanged(Change{Key: publicKey(c), Standing: Enrolled})
	w.registryChanged(Change{Name: "other." + domain, Key: publicKey(a), Standing: Revoked}) // is about the name
	w.registryChanged(Change{Name: "shop." + domain, Key: publicKey(b)})
	if _, held, _ := w.shares.find("shop." + domain); held {
		t.Error("a name that has ended still has a share")
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+first.grant.Hosts[0]+"/"); status != 200 {
		t.Errorf("another one answers with %d", status)
	}
	w.registryChanged(Change{Key: publicKey(a), Standing: Revoked})
	within(t, "the revoked session's end", first.Done())
	if codeFrom(first.Err()) != tunnel.CodeRevoked || second.Err() != nil || third.Err() != nil {
		t.Errorf("%v, %v, %v", first.Err(), second.Err(), third.Err())
	}
	if n := strings.Count(log.String(), "key revoked"); n != 1 {
		t.Errorf("%d lines of it in %s", n, log.String())
	}
}

// TestMaintenanceOfNames: a running relay does its periodic work.
func TestMaintenanceOfNames(t *testing.T) {
	var log syncBuffer
	registry := &brokenRegistry{Memory: NewMemory(), sweep: errors.New("the disk is gone")}
	start(t, func(o *Options) { o.Registry, o.Log = registry, slog.New(slog.NewTextHandler(&log, nil)) })
	eventually(t, "unused names are forgotten", func() bool { return strings.Contains(log.String(), "the disk is gone") })
}
