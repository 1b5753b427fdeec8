package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// quickTunnel is one running cloudflared.
type quickTunnel struct {
	*cloudflared
	way      *way
	process  *child
	out      *cloudflaredOutput
	visitors *tunnelListener
	program  string
	protocol string

	public link // zero until it has one

	// mu keeps the way from going down while a visitor is handed over.
	mu   sync.Mutex
	isUp bool
}

// errEnded is the error of a process that has ended without being asked to.
var errEnded = errors.New("cloudflared has ended")

// run stays with the tunnel until ctx ends, which it does with the process (errEnded),
// or the tunnel is no longer useful.
func (t *quickTunnel) run(ctx context.Context, isPrivate bool) error {
	metrics, err := t.start(ctx)
	if err != nil {
		return err
	}
	switch t.public, err = metrics.link(ctx); {
	case errors.Is(err, errBadName):
		return &agent.Error{Reason: ReasonNoURL, Op: "use", Addr: "cloudflared's tunnel", Err: err, Fix: updateFix}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return t.lost("it does not answer: "+err.Error(), retryFix)
	}
	if err := t.connect(ctx, metrics); err != nil {
		return err
	}
	t.out.started()
	if t.protocol == overHTTP2 {
		t.needsHTTP2.Store(true)
	}
	t.way.trustAddr(isPrivate)
	if !isPrivate {
		t.noting.Do(func() {
			t.note("visitors' addresses are not known through cloudflare here, so allow rules refuse every visitor")
		})
	}
	t.setUp(true)
	var accepting sync.WaitGroup
	defer accepting.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer t.visitors.close()
	accepting.Go(func() { t.accept(ctx) })
	return t.watch(ctx, metrics)
}

// start waits until cloudflared has a name, and with it metrics: it serves them
// once it has got the tunnel from Cloudflare (cmd/cloudflared/tunnel/cmd.go,
// StartServer). cloudflared chooses the port and logs it.
func (t *quickTunnel) start(ctx context.Context) (cloudflaredMetrics, error) {
	select {
	case addr := <-t.out.metrics:
		return cloudflaredMetrics("http://" + addr.String()), nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-t.out.flooded:
	case <-time.After(t.times.start):
	}
	if f, detail := t.out.cause(); f != nil {
		return "", t.explain(f, detail)
	}
	return "", t.lost("it gets no tunnel from Cloudflare", retryFix)
}

// connect waits until cloudflared has a connection to Cloudflare. The name is never
// looked up: it may not be published yet, and resolvers would remember for
// half an hour that it was not.
func (t *quickTunnel) connect(ctx context.Context, metrics cloudflaredMetrics) error {
	limit := t.times.quic
	if t.protocol == overHTTP2 {
		limit = t.times.http2
	}
	timeout := time.After(limit)
	for {
		if metrics.isReady(ctx) {
			return nil
		}
		select {
		case <-time.After(t.times.startPoll):
			continue
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.out.flooded:
		case <-timeout:
		}
		// The process has a name, so it has found Cloudflare, even if it reported
		// DNS errors before.
		if f, detail := t.out.cause(); f != nil && f.reason == agent.ReasonInspected {
			return t.explain(f, detail)
		}
		return t.explain(&portBlocked, "")
	}
}

// watch follows the connection to Cloudflare, which cloudflared renews itself.
func (t *quickTunnel) watch(ctx context.Context, metrics cloudflaredMetrics) error {
	missed, lastReady := 0, time.Now()
	for {
		if err := sleep(ctx, t.times.watchPoll); err != nil {
			return err
		}
		if metrics.isReady(ctx) {
			missed, lastReady = 0, time.Now()
			t.setUp(true)
			continue
		}
		// Once may be between two connections.
		if missed++; missed >= 2 && ctx.Err() == nil {
			t.setUp(false)
		}
		if time.Since(lastReady) > t.times.lost {
			return t.lost("it has not been connected to Cloudflare for "+t.times.lost.String(), retryFix)
		}
	}
}

// setUp notes whether visitors get through. While one is being handed over, they do.
func (t *quickTunnel) setUp(isUp bool) {
	if t.mu.TryLock() {
		defer t.mu.Unlock()
		t.setUpLocked(isUp)
	}
}

func (t *quickTunnel) setUpLocked(isUp bool) {
	switch {
	case isUp == t.isUp:
	case isUp:
		t.way.up(t.public)
	default:
		t.way.down(t.lost("it has lost its connection to Cloudflare", "it reconnects automatically and keeps the link"))
	}
	t.isUp = isUp
}

func (t *quickTunnel) lost(text, fix string) *agent.Error {
	return shareError(agent.ReasonBroken, "cloudflare", errors.New("cloudflared: "+text), fix)
}

// accept hands visitors over until the listener is closed. Each is a sign of a
// connection to Cloudflare, should watch not have seen it yet.
func (t *quickTunnel) accept(ctx context.Context) {
	for {
		conn, err := t.visitors.accept(ctx)
		switch {
		case err == nil:
			t.mu.Lock()
			t.setUpLocked(true)
			t.way.accept(ctx, conn)
			t.mu.Unlock()
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, for example
			t.log.Info("a visitor's connection cannot be accepted", "error", err)
			_ = sleep(ctx, t.times.startPoll) // then accept fails
		}
	}
}

// whyEnded explains why a process has ended, now that all its output is read.
func (t *quickTunnel) whyEnded(ctx context.Context) *agent.Error {
	switch f, detail := t.out.cause(); {
	case f != nil && f.reason == ReasonProgram:
		return &agent.Error{
			Reason: ReasonProgram, Op: "run", Addr: t.program,
			Err: fmt.Errorf("%s is too old: %s", t.version(ctx), detail), Fix: updateFix,
		}
	case f != nil && !t.isUp:
		return t.explain(f, detail)
	case t.public != link{} && !t.isUp && t.protocol == overQUIC:
		return t.explain(&portBlocked, "")
	}
	text := "it has ended (" + t.process.cmd.ProcessState.String() + ")"
	if last := t.out.lastError(); last != "" {
		text += ": " + last
	}
	return t.lost(text, retryFix)
}

// versionLine is the output of cloudflared --version (cmd/cloudflared/main.go).
var versionLine = regexp.MustCompile(`^cloudflared version ([0-9A-Za-z.+-]{1,40})`)

// versionTimeout bounds the run of cloudflared --version.
const versionTimeout = 5 * time.Second

// version returns the program's version, as the subject of a sentence.
func (t *quickTunnel) version(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.program, "--version")
	cmd.Env, cmd.WaitDelay = childEnvironment(t.getenv), versionTimeout
	said, err := cmd.Output()
	if match := versionLine.FindSubmatch(said); err == nil && match != nil {
		return "version " + string(match[1])
	}
	return "its version"
}

const (
	// metricsTimeout is how long cloudflared may take for an answer about itself.
	metricsTimeout = 5 * time.Second
	// maxMetrics is how much of an answer is read, in bytes.
	maxMetrics = 4 << 10
)

// cloudflaredMetrics reads the metrics of a cloudflared (metrics/metrics.go,
// newMetricsHandler). Their server is on loopback and without access control: every
// user of this machine can read the name of the tunnel there.
type cloudflaredMetrics string // their URL

var metricsClient = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxMetrics}, // without a proxy
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       metricsTimeout,
}

// errBadName is the error of a quick tunnel without a name that can be used.
var errBadName = errors.New("it did not get a public name")

// link returns the public address of the quick tunnel.
func (m cloudflaredMetrics) link(ctx context.Context) (link, error) {
	status, body, err := m.get(ctx, "/quicktunnel")
	if err != nil {
		return link{}, err
	}
	var answer struct{ Hostname string }
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil || answer.Hostname == "" || len(answer.Hostname) > maxName {
		return link{}, errBadName
	}
	public, err := parseLink("https://" + strings.TrimPrefix(answer.Hostname, "https://")) // quick_tunnel.go has both forms
	if err != nil {
		return link{}, fmt.Errorf("%w: %w", errBadName, err)
	}
	return public, nil
}

// isReady reports whether the tunnel has a connection to Cloudflare
// (metrics/readiness.go: 200, or 503).
func (m cloudflaredMetrics) isReady(ctx context.Context) bool {
	status, _, err := m.get(ctx, "/ready")
	return err == nil && status == http.StatusOK
}

func (m cloudflaredMetrics) get(ctx context.Context, path string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, string(m)+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := metricsClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxMetrics))
	return resp.StatusCode, body, err
}

// maxOpen is how many connections of visitors one tunnel may have open at once.
// More of them wait in the backlog of the system. Cloudflare lets 200 requests of
// a quick tunnel be in flight
// (https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/do-more-with-tunnels/trycloudflare/).
const maxOpen = 256

// tunnelListener accepts the connections of a tunnel's program on this machine, which
// are its visitors'.
type tunnelListener struct {
	listener net.Listener
	slots    chan struct{} // one for each open connection

	mu   sync.Mutex
	open map[*tunnelConn]struct{} // nil once the listener is closed
}

func newTunnelListener(listener net.Listener) *tunnelListener {
	return &tunnelListener{listener: listener, slots: make(chan struct{}, maxOpen), open: map[*tunnelConn]struct{}{}}
}

// accept waits for a free slot and the next connection. It fails once the listener
// is closed, or when ctx ends while it waits for a slot.
func (l *tunnelListener) accept(ctx context.Context) (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	conn, err := l.listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	c := &tunnelConn{duplex: conn.(duplex), listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		<-l.slots
		_ = conn.Close() // it was not used
		return nil, net.ErrClosed
	}
	l.open[c] = struct{}{}
	return c, nil
}

// close ends the listener and every connection that is open.
func (l *tunnelListener) close() {
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	_ = l.listener.Close()
	for c := range open {
		_ = c.Close()
	}
}

// duplex is a connection of TCP or a Unix socket.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// tunnelConn frees its slot when it is closed.
type tunnelConn struct {
	duplex
	listener *tunnelListener
	closing  sync.Once
}

// Close implements net.Conn.
func (c *tunnelConn) Close() error {
	c.closing.Do(func() {
		c.listener.mu.Lock()
		delete(c.listener.open, c)
		c.listener.mu.Unlock()
		<-c.listener.slots
	})
	return c.duplex.Close()
}
