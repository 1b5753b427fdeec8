package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// quickTunnel is one cloudflared that runs.
type quickTunnel struct {
	*cloudflared
	way      *way
	process  *child
	out      *cloudflaredOutput
	visitors *tunnelListener
	program  string

	public link // zero until it has one
	// mu keeps the way from being called down while a visitor is handed over.
	mu   sync.Mutex
	isUp bool
}

// errEnded is a process that has ended by itself.
var errEnded = errors.New("cloudflared has ended")

// run stays with the tunnel until ctx ends, the process has ended (errEnded), or
// the tunnel is of no more use.
func (t *quickTunnel) run(ctx context.Context, protocol string, isPrivate bool) error {
	metrics, err := t.start(ctx)
	if err != nil {
		return err
	}
	switch t.public, err = metrics.link(ctx); {
	case errors.Is(err, errBadName):
		return &agent.Error{Reason: ReasonNoURL, Op: "use", Addr: "cloudflared's tunnel", Err: err, Fix: updateFix}
	case err != nil:
		return t.orEnded(t.lost("it does not answer: "+err.Error(), retryFix))
	}
	limit := t.times.quic
	if protocol == overHTTP2 {
		limit = t.times.http2
	}
	if err := t.connect(ctx, metrics, limit); err != nil {
		return err
	}
	t.out.settle()
	if protocol == overHTTP2 {
		t.needsHTTP2.Store(true)
	}
	t.way.tellAddr(isPrivate)
	if !isPrivate {
		t.noteAddr()
	}
	t.up()
	var accepting sync.WaitGroup
	defer accepting.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer t.visitors.close()
	accepting.Go(func() { t.accept(ctx) })
	return t.watch(ctx, metrics)
}

// start waits until cloudflared has a name, and with it metrics: it serves them
// after Cloudflare has given the tunnel (cmd/cloudflared/tunnel/cmd.go,
// StartServer). The port is one that cloudflared has chosen and logs.
func (t *quickTunnel) start(ctx context.Context) (*cloudflaredMetrics, error) {
	select {
	case addr := <-t.out.metrics:
		return newCloudflaredMetrics(addr), nil
	case <-t.process.ended:
		return nil, errEnded
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-t.out.flooded:
	case <-time.After(t.times.start):
	}
	if f, detail := t.out.cause(); f != nil {
		return nil, t.explain(f, detail)
	}
	return nil, t.lost("it gets no tunnel from Cloudflare", retryFix)
}

// connect waits until cloudflared has a connection to Cloudflare. The name is not
// looked up here or later: it may not be published yet, and resolvers remember for
// half an hour that it was not.
func (t *quickTunnel) connect(ctx context.Context, metrics *cloudflaredMetrics, limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		if metrics.isReady(ctx) {
			return nil
		}
		select {
		case <-time.After(t.times.startPoll):
			continue
		case <-t.process.ended:
			return errEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.out.flooded:
		case <-timeout.C:
		}
		return t.notConnected()
	}
}

// notConnected is the error of a process that has a name and tries on. So it has
// found Cloudflare, whatever it said of DNS before.
func (t *quickTunnel) notConnected() *agent.Error {
	if f, detail := t.out.cause(); f != nil && f.reason == agent.ReasonInspected {
		return t.explain(f, detail)
	}
	return t.explain(&portBlocked, "")
}

// watch follows the connection to Cloudflare, which cloudflared renews itself.
func (t *quickTunnel) watch(ctx context.Context, metrics *cloudflaredMetrics) error {
	tick := time.NewTicker(t.times.watchPoll)
	defer tick.Stop()
	missed, lastReady := 0, time.Now()
	for {
		select {
		case <-tick.C:
		case <-t.process.ended:
			return errEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if metrics.isReady(ctx) {
			missed, lastReady = 0, time.Now()
			t.up()
			continue
		}
		// Once may be a moment between two connections.
		if missed++; missed >= 2 && ctx.Err() == nil {
			t.down()
		}
		if time.Since(lastReady) > t.times.lost {
			return t.lost("it has not been connected to Cloudflare for "+t.times.lost.String(), retryFix)
		}
	}
}

// up says that visitors get through. While one is being handed over, that is known.
func (t *quickTunnel) up() {
	if t.mu.TryLock() {
		defer t.mu.Unlock()
		t.upLocked()
	}
}

func (t *quickTunnel) upLocked() {
	if !t.isUp {
		t.isUp = true
		t.way.up(t.public.name, t.public.port)
	}
}

// down says that they do not for now, unless one is being handed over.
func (t *quickTunnel) down() {
	if !t.mu.TryLock() {
		return
	}
	defer t.mu.Unlock()
	if t.isUp {
		t.isUp = false
		t.way.down(t.lost("it has lost its connection to Cloudflare", "it connects again by itself and keeps the link"))
	}
}

func (t *quickTunnel) lost(text, fix string) *agent.Error {
	return &agent.Error{Reason: agent.ReasonBroken, Op: "share through", Addr: "cloudflare", Err: errors.New("cloudflared: " + text), Fix: fix}
}

// accept hands visitors over until the listener is closed.
func (t *quickTunnel) accept(ctx context.Context) {
	for {
		conn, err := t.visitors.accept(ctx)
		switch {
		case err == nil:
			t.hand(ctx, conn)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, for example
			t.log.Info("a visitor's connection cannot be accepted", "error", err)
			select {
			case <-time.After(t.times.startPoll):
			case <-ctx.Done():
			}
		}
	}
}

// hand gives a visitor to the carrier. That it came is a sign of a connection,
// should the watch not have seen it yet.
func (t *quickTunnel) hand(ctx context.Context, conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.upLocked()
	t.way.accept(ctx, conn)
}

// orEnded is err, or errEnded when it has that cause.
func (t *quickTunnel) orEnded(err *agent.Error) error {
	select {
	case <-t.process.ended:
		return errEnded
	default:
		return err
	}
}

// whyEnded is why a process has ended by itself, now that all its words are read.
func (t *quickTunnel) whyEnded(ctx context.Context, protocol string) *agent.Error {
	switch f, detail := t.out.cause(); {
	case f != nil && f.reason == ReasonProgram:
		return &agent.Error{Reason: ReasonProgram, Op: "run", Addr: t.program,
			Err: fmt.Errorf("%s is too old: %s", t.version(ctx), detail), Fix: updateFix}
	case f != nil && !t.isUp:
		return t.explain(f, detail)
	case t.public != link{} && !t.isUp && protocol == overQUIC:
		return t.explain(&portBlocked, "")
	}
	text := "it has ended (" + t.process.cmd.ProcessState.String() + ")"
	if last := t.out.lastWords(); last != "" {
		text += ": " + last
	}
	return t.lost(text, retryFix)
}

// versionLine is what cloudflared --version prints (cmd/cloudflared/main.go).
var versionLine = regexp.MustCompile(`^cloudflared version ([0-9A-Za-z.+-]{1,40})`)

// versionTimeout is how long it may take for that.
const versionTimeout = 5 * time.Second

// version is what the program says of itself.
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
