package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// visitorModes are the protocols a visitor speaks.
var visitorModes = []string{"h1", "h1tls", "h2"}

// upstreamModes are the protocols an upstream speaks.
var upstreamModes = []string{"http", "h2c", "https", "unix"}

// matrix runs one behaviour over every pair of protocols.
func matrix(t *testing.T, run func(t *testing.T, visitor, upstream string)) {
	for _, visitor := range visitorModes {
		for _, upstream := range upstreamModes {
			t.Run(visitor+" to "+upstream, func(t *testing.T) { run(t, visitor, upstream) })
		}
	}
}

// proxy is an Upstream behind a server, as the product runs it.
type proxy struct {
	*httptest.Server
	upstream *Upstream
	route    *plan.Route
	report   chan Report
	errs     chan error
	visit    func(*Exchange) // makes it a visitor's of a share; nil does not
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var report Report
	path, _, _ := cut(r.RequestURI)
	x := Exchange{Match: plan.Match{Route: p.route}, Target: path, Scheme: "https", Client: r.RemoteAddr, Report: &report}
	if p.visit != nil {
		p.visit(&x)
	}
	err := p.upstream.Forward(w, r, x)
	select {
	case p.report <- report:
	default:
	}
	if err == nil {
		return
	}
	select {
	case p.errs <- err:
	default:
	}
	if errors.Is(err, ErrAborted) {
		panic(http.ErrAbortHandler)
	}
	http.Error(w, fmt.Sprintf("%T: %v", err, err), statusOf(err))
}

func statusOf(err error) int {
	var waiting *WaitingError
	var unavailable *UnavailableError
	var timeout *TimeoutError
	var loop *LoopError
	var target *TargetError
	switch {
	case errors.As(err, &waiting), errors.As(err, &unavailable):
		return http.StatusServiceUnavailable
	case errors.As(err, &timeout):
		return http.StatusGatewayTimeout
	case errors.As(err, &loop):
		return http.StatusLoopDetected
	case errors.As(err, &target):
		return http.StatusBadRequest
	}
	return http.StatusBadGateway
}

func cut(target string) (path, query string, found bool) {
	for i := range len(target) {
		if target[i] == '?' {
			return target[:i], target[i+1:], true
		}
	}
	return target, "", false
}

// newProxy serves route's upstream to visitors of a mode.
func newProxy(t *testing.T, visitor string, opts Options, members ...plan.Member) *proxy {
	t.Helper()
	if opts.Instance == "" {
		opts.Instance = "this-instance"
	}
	spec := &plan.Upstream{Members: members}
	p := &proxy{
		upstream: New(spec, opts),
		route:    &plan.Route{ID: "shop.localhost /", Path: "/", Answer: spec, Hold: 5 * time.Second},
		report:   make(chan Report, 1),
		errs:     make(chan error, 1),
	}
	p.Server = httptest.NewUnstartedServer(p)
	switch visitor {
	case "h1":
		p.Start()
	case "h1tls":
		p.StartTLS()
	case "h2":
		p.EnableHTTP2 = true
		p.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
		p.StartTLS()
	}
	p.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() {
		p.Close()
		p.upstream.Retire()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		p.upstream.Wait(ctx)
		if !p.upstream.Idle() {
			t.Error("the upstream still has exchanges in flight")
		}
	})
	return p
}

// startUpstream serves handler in a mode and returns the member that reaches it.
func startUpstream(t *testing.T, mode string, handler http.Handler) plan.Member {
	t.Helper()
	return startUpstreamWith(t, mode, handler, func(*http.Server) {})
}

// startUpstreamWith is startUpstream with a server that set has changed.
func startUpstreamWith(t *testing.T, mode string, handler http.Handler, set func(*http.Server)) plan.Member {
	t.Helper()
	srv := httptest.NewUnstartedServer(handler)
	set(srv.Config)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // some are spoken to wrongly
	member := plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Text: ":upstream"}
	switch mode {
	case "http":
		srv.Start()
	case "https":
		srv.EnableHTTP2 = true
		srv.StartTLS()
		member.Scheme, member.SkipVerify, member.ServerName = plan.SchemeHTTPS, true, "localhost"
	case "h2c":
		srv.Config.Protocols = new(http.Protocols)
		srv.Config.Protocols.SetUnencryptedHTTP2(true)
		srv.Start()
		member.Scheme = plan.SchemeH2C
	case "unix":
		path := t.TempDir() + "/s"
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		srv.Listener.Close()
		srv.Listener = ln
		srv.Start()
		member.Network, member.Addrs = "unix", []string{path}
	}
	t.Cleanup(srv.Close)
	if member.Addrs == nil {
		member.Addrs = []string{srv.Listener.Addr().String()}
	}
	return member
}

// client speaks to p as its visitors do. It follows no redirect.
func (p *proxy) client() *http.Client {
	return p.Client()
}

// dial is a raw connection to p.
func (p *proxy) dial(t *testing.T) net.Conn {
	t.Helper()
	addr := p.Listener.Addr().String()
	if p.TLS == nil {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// testTLS is the certificate of httptest's servers.
func testTLS(t *testing.T) *tls.Config {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	return &tls.Config{Certificates: srv.TLS.Certificates}
}
