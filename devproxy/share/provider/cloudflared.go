package provider

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/devproxy/devproxy/tunnel/agent"
)

const (
	// startTimeout is how long cloudflared may take to get a name from Cloudflare.
	// It gives up itself after 15 s (cmd/cloudflared/tunnel/quick_tunnel.go,
	// httpTimeout).
	startTimeout = 30 * time.Second
	// quicTimeout is how long it may take to connect over QUIC after that. One of
	// its attempts lasts 5 s (quic/constants.go, HandshakeIdleTimeout). Then the
	// tunnel is started again with HTTP/2, which needs no UDP: with an explicit
	// protocol cloudflared does not change it (connection/protocol.go,
	// staticProtocolSelector).
	quicTimeout = 12 * time.Second
	// http2Timeout is the same for HTTP/2. One attempt lasts 15 s at most
	// (supervisor/tunnel.go, dialTimeout).
	http2Timeout = 30 * time.Second
	// lostTimeout is how long a tunnel may be without a connection to Cloudflare
	// before it is given up, and with it its name. cloudflared connects again by
	// itself and keeps the name, so this is longer than most naps of a network.
	lostTimeout = 5 * time.Minute

	// startPoll and watchPoll are between two questions whether cloudflared is
	// connected: before it is, and after.
	startPoll = 200 * time.Millisecond
	watchPoll = 5 * time.Second
)

// The values of cloudflared's --protocol.
const (
	overQUIC  = "quic"
	overHTTP2 = "http2"
)

// cloudflare is the provider of Cloudflare's quick tunnels. What they cannot carry
// is of
// https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/do-more-with-tunnels/trycloudflare/
// and, for the sizes and times of all free sites, of
// https://developers.cloudflare.com/workers/platform/limits/ and
// https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-524/.
// That CF-Connecting-IP is the visitor's address is of
// https://developers.cloudflare.com/fundamentals/reference/http-headers/.
func cloudflare() Provider {
	return Provider{
		Name:     "cloudflare",
		Operator: "Cloudflare",
		Cannot: []string{
			"event streams (SSE)",
			"more than 200 requests at once",
			"request bodies of more than 100 MB",
			"responses that begin later than 100 seconds after the request",
			"the same link again after a restart",
			"networks that block outgoing port 7844, or that need an HTTP proxy",
		},
		AddrField: "CF-Connecting-IP",
		probe: func(_ context.Context, opts Options) error {
			if findProgram(opts.Getenv, "cloudflared") == "" {
				return noCloudflared()
			}
			return nil
		},
		opener: func(opts Options) (opener, error) { return newCloudflared(opts), nil },
	}
}

func noCloudflared() *agent.Error {
	return &agent.Error{Reason: ReasonProgram, Op: "start", Addr: "cloudflared", Err: errors.New("it is not on PATH"), Fix: installFix}
}

// cloudflared opens quick tunnels with the program of that name. There is one
// process for each shared host.
type cloudflared struct {
	getenv   func(string) string
	log      *slog.Logger
	patience cloudflaredTimes
	// needsHTTP2 is set once HTTP/2 worked where QUIC did not.
	needsHTTP2 atomic.Bool
}

// cloudflaredTimes are the times of a tunnel; tests have shorter ones.
type cloudflaredTimes struct{ start, quic, http2, lost, startPoll, watchPoll time.Duration }

func newCloudflared(opts Options) *cloudflared {
	return &cloudflared{getenv: opts.Getenv, log: opts.Log, patience: cloudflaredTimes{
		start: startTimeout, quic: quicTimeout, http2: http2Timeout, lost: lostTimeout, startPoll: startPoll, watchPoll: watchPoll,
	}}
}

// errNotConnected is the end of a tunnel that has a name but got no connection to
// Cloudflare.
var errNotConnected = errors.New("not connected to Cloudflare")

// open is opener's.
func (c *cloudflared) open(ctx context.Context, w *way) error {
	program := findProgram(c.getenv, "cloudflared")
	if program == "" {
		return noCloudflared()
	}
	if !c.needsHTTP2.Load() {
		err := c.tunnel(ctx, w, program, overQUIC)
		if !errors.Is(err, errNotConnected) || ctx.Err() != nil {
			return err
		}
		c.log.Info("cloudflared did not connect over QUIC and is started again with HTTP/2", "host", w.host, "error", err)
	}
	return c.tunnel(ctx, w, program, overHTTP2)
}

const installFix = `install it: brew install cloudflared (macOS), winget install --id Cloudflare.cloudflared (Windows), https://pkg.cloudflare.com (Linux)
or ` + relayFix

// updateFix is for a cloudflared that does not know a flag: --output is of 2025.6.1.
const updateFix = "update it (2025.6.1 or newer is needed), or " + relayFix

// tunnel has one cloudflared from its start to its end. Its error is an
// *agent.Error.
func (c *cloudflared) tunnel(ctx context.Context, w *way, program, protocol string) error {
	folder, err := c.folder()
	if err != nil {
		return c.ownFault("make a folder for", err)
	}
	defer os.RemoveAll(folder)
	listener, service, err := listenForCloudflared(folder, protocol)
	if err != nil {
		return c.ownFault("listen for", err)
	}
	visitors := newTunnelListener(listener)
	defer visitors.close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	cmd, err := c.command(running, program, folder, service, protocol)
	if err != nil {
		return c.ownFault("configure", err)
	}
	out := newCloudflaredOutput(c.log)
	cmd.Stdout, cmd.Stderr = out, out
	process, err := startChild(cmd)
	if err != nil {
		return notStarted(program, err)
	}
	t := &quickTunnel{cloudflared: c, way: w, process: process, out: out, visitors: visitors, program: program}
	err = t.run(running, protocol, service.isPrivate)
	// Without visitors there is nothing that cloudflared would wait for.
	visitors.close()
	stop()
	<-process.ended
	if errors.Is(err, errEnded) {
		return t.whyEnded(ctx, protocol)
	}
	return err
}

// folder makes a folder that only this user can look into.
func (c *cloudflared) folder() (string, error) {
	temp, err := filepath.Abs(cmp.Or(c.getenv("TMPDIR"), os.TempDir()))
	if err != nil {
		return "", err
	}
	return os.MkdirTemp(temp, "devproxy-")
}

// notStarted is a program that cannot be run. It is the program's fault, which only
// the user can change, or one of the moment.
func notStarted(program string, err error) *agent.Error {
	fault := &agent.Error{Reason: agent.ReasonFailed, Op: "start", Addr: program, Err: err, Fix: retryFix}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOEXEC) {
		fault.Reason, fault.Fix = ReasonProgram, installFix
	}
	return fault
}

// originService is where cloudflared takes visitors, in the words of its
// configuration.
type originService struct {
	url string
	// isPrivate is set when no other user of this machine can connect there, so
	// that what a request says of its visitor is Cloudflare's word.
	isPrivate bool
}

// listenForCloudflared listens where one cloudflared takes its visitors. That is a
// Unix socket in a folder of this user, but for two cases that need TCP:
//   - With HTTP/2, cloudflared cannot open a WebSocket to a Unix socket ("http: no
//     Host in request URL": connection/http2.go, handleMissingRequestParts;
//     https://github.com/cloudflare/cloudflared/issues/560 and 1208).
//   - On Windows nobody has tried who can connect to such a socket.
func listenForCloudflared(folder, protocol string) (net.Listener, originService, error) {
	if protocol == overHTTP2 || runtime.GOOS == "windows" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, originService{}, err
		}
		return listener, originService{url: "http://" + listener.Addr().String()}, nil
	}
	path := filepath.Join(folder, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, originService{}, err
	}
	return listener, originService{url: "unix:" + path, isPrivate: true}, nil
}

// command is cloudflared with a configuration of its own: not the user's, with
// which a quick tunnel does something else or does not start (config/configuration.go,
// FindDefaultConfigPath).
//
// The service is in the configuration and not in --url, since --unix-socket does not
// start a quick tunnel (cmd/cloudflared/tunnel/cmd.go, TunnelCommand), and the
// rules of a configuration count before --url (ingress/ingress.go,
// ParseIngressFromConfigAndCLI; since 2023.3.1). Port 0 cannot be connected to, if
// that ever changes.
//
// A negative keepAliveConnections makes cloudflared use a connection for one
// request (net/http, Transport.MaxIdleConnsPerHost), so that two visitors do not
// share one.
func (c *cloudflared) command(ctx context.Context, program, folder string, service originService, protocol string) (*exec.Cmd, error) {
	type rule struct {
		Service string `json:"service"`
	}
	config, err := json.Marshal(map[string]any{ // JSON is YAML
		"ingress":       []rule{{service.url}},
		"originRequest": map[string]any{"keepAliveConnections": -1},
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "config.yml")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "tunnel", "--config", path, "--no-autoupdate",
		"--metrics", "127.0.0.1:0", "--output", "json", "--loglevel", "info", "--grace-period", "1s",
		"--protocol", protocol, "--url", "http://127.0.0.1:0")
	cmd.Dir = folder
	// Without proxies: cloudflared would use them for nothing but its requests to
	// us, which would then have the form of a proxy's (ingress/origin_service.go,
	// newHTTPTransport). Without TUNNEL_ variables, each of which is a flag.
	cmd.Env = childEnvironment(c.getenv)
	return cmd, nil
}

// ownFault is something of this machine that failed before cloudflared was started.
func (c *cloudflared) ownFault(op string, err error) *agent.Error {
	return &agent.Error{Reason: agent.ReasonFailed, Op: op, Addr: "cloudflared", Err: err,
		Fix: "set TMPDIR to a folder of yours that has a short path and space; it is tried again"}
}

// explain is a fault as an error.
func (c *cloudflared) explain(f fault, detail string) *agent.Error {
	err := &agent.Error{Reason: f.reason, Op: "share through", Addr: "cloudflare", Err: errors.New(f.text), Fix: f.fix}
	if f.isVague {
		err.Err = fmt.Errorf("%s (%s)", f.text, detail)
	}
	if f.isNetwork && c.hasProxy() {
		err.Fix = proxyFix
	}
	return err
}

// hasProxy reports whether this network has an HTTP proxy, as far as known.
func (c *cloudflared) hasProxy() bool {
	return cmp.Or(c.getenv("HTTPS_PROXY"), c.getenv("https_proxy"), c.getenv("HTTP_PROXY"), c.getenv("http_proxy")) != ""
}

// quickTunnel is one cloudflared that runs.
type quickTunnel struct {
	*cloudflared
	way      *way
	process  *child
	out      *cloudflaredOutput
	visitors *tunnelListener
	program  string

	name string
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
	switch t.name, err = metrics.hostname(ctx); {
	case errors.Is(err, errBadName):
		return &agent.Error{Reason: ReasonNoURL, Op: "use", Addr: "cloudflared's tunnel", Err: err, Fix: updateFix}
	case err != nil:
		return t.orEnded(t.lost("it does not answer: "+err.Error(), retryFix))
	}
	limit := t.patience.quic
	if protocol == overHTTP2 {
		limit = t.patience.http2
	}
	if err := t.connect(ctx, metrics, limit); err != nil {
		return err
	}
	t.out.settle()
	if protocol == overHTTP2 {
		t.needsHTTP2.Store(true)
	}
	t.way.tellAddr(isPrivate)
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
	case <-time.After(t.patience.start):
	}
	return nil, &agent.Error{Reason: agent.ReasonBlocked, Op: "share through", Addr: "cloudflare",
		Err: fmt.Errorf("cloudflared has no tunnel after %v", t.patience.start), Fix: retryFix}
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
		case <-time.After(t.patience.startPoll):
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

// notConnected is the error of a tunnel that has a name and no connection.
func (t *quickTunnel) notConnected() *agent.Error {
	f, detail := t.out.cause()
	if f == nil {
		f = &portBlocked
	}
	err := t.explain(*f, detail)
	err.Err = notConnected{err.Err}
	return err
}

// notConnected makes an error be errNotConnected without changing its text.
type notConnected struct{ error }

func (notConnected) Is(target error) bool { return target == errNotConnected }

// watch follows the connection to Cloudflare, which cloudflared renews itself.
func (t *quickTunnel) watch(ctx context.Context, metrics *cloudflaredMetrics) error {
	tick := time.NewTicker(t.patience.watchPoll)
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
		if time.Since(lastReady) > t.patience.lost {
			return t.lost("it has not been connected to Cloudflare for "+t.patience.lost.String(), retryFix)
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
		t.way.up(t.name, 443)
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
			case <-time.After(t.patience.startPoll):
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
	f, detail := t.out.cause()
	switch {
	case f != nil && f.reason == ReasonProgram:
		return &agent.Error{Reason: ReasonProgram, Op: "run", Addr: t.program,
			Err: fmt.Errorf("%s is too old: %s", t.version(ctx), detail), Fix: updateFix}
	case t.name == "" && f != nil:
		return t.explain(*f, detail)
	case t.name != "" && !t.isUp && (f != nil || protocol == overQUIC):
		return t.notConnected()
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
