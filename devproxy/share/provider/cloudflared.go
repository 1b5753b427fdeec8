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
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/devproxy/devproxy/tunnel/agent"
)

// busyPause is how long no tunnel is requested from Cloudflare after it has refused
// one because there were too many.
const busyPause = 30 * time.Second

// The values of cloudflared's --protocol.
const (
	overQUIC  = "quic"
	overHTTP2 = "http2"
)

// cloudflare returns the provider of Cloudflare's quick tunnels. Its limits are
// documented at
// https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/do-more-with-tunnels/trycloudflare/
// and, for the sizes and times of all free sites, at
// https://developers.cloudflare.com/workers/platform/limits/ and
// https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-524/.
// That CF-Connecting-IP is the visitor's address is documented at
// https://developers.cloudflare.com/fundamentals/reference/http-headers/.
//
// A user of cloudflared trusts Cloudflare with more than the traffic: Cloudflare
// can have it connect to any address that this machine reaches, and change its
// configuration (connection/http2.go, TypeTCP and handleConfigurationUpdate);
// cloudflared 2026.8.2 has no flag against it. Every user of this machine can read
// the link (cloudflaredMetrics).
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
	getenv func(string) string
	note   func(string)
	log    *slog.Logger
	times  cloudflaredTimes

	// needsHTTP2 is set once HTTP/2 worked where QUIC did not.
	needsHTTP2 atomic.Bool

	noting sync.Once

	busyUntil atomic.Value // a time.Time; see noteBusy
}

// cloudflaredTimes are the times of a tunnel; tests have shorter ones.
type cloudflaredTimes struct {
	// start is how long cloudflared may take to get a name from Cloudflare.
	// It gives up itself after 15 s (cmd/cloudflared/tunnel/quick_tunnel.go,
	// httpTimeout).
	start time.Duration
	// quic is how long it may take to connect over QUIC after that. One of
	// its attempts lasts 5 s (quic/constants.go, HandshakeIdleTimeout). Then the
	// tunnel is started again with HTTP/2, which needs no UDP: with an explicit
	// protocol cloudflared does not change it (connection/protocol.go,
	// staticProtocolSelector).
	quic time.Duration
	// http2 is the same for HTTP/2. One attempt lasts at most 15 s
	// (supervisor/tunnel.go, dialTimeout).
	http2 time.Duration
	// lost is how long a tunnel may be without a connection to Cloudflare
	// before it is given up, and with it its name. cloudflared reconnects
	// itself and keeps the name, so this is longer than most outages of a network.
	lost time.Duration
	// startPoll and watchPoll are between two looks at whether cloudflared is
	// connected: before it is, and after.
	startPoll, watchPoll time.Duration
}

func newCloudflared(opts Options) *cloudflared {
	return &cloudflared{getenv: opts.Getenv, note: opts.Note, log: opts.Log, times: cloudflaredTimes{
		start: 30 * time.Second, quic: 12 * time.Second, http2: 30 * time.Second, lost: 5 * time.Minute,
		startPoll: 200 * time.Millisecond, watchPoll: 5 * time.Second,
	}}
}

// errBlocked is the error of a tunnel that has a name but no connection to Cloudflare,
// which it may get with another protocol.
var errBlocked = errors.New(portBlocked.text)

// open implements opener.
func (c *cloudflared) open(ctx context.Context, w *way) error {
	program := findProgram(c.getenv, "cloudflared")
	if program == "" {
		return noCloudflared()
	}
	if err := c.awaitPause(ctx); err != nil {
		return err
	}
	if !c.needsHTTP2.Load() {
		err := c.tunnel(ctx, w, program, overQUIC)
		if !errors.Is(err, errBlocked) || ctx.Err() != nil {
			return c.noteBusy(err)
		}
		c.log.Info("cloudflared did not connect over QUIC and is started again with HTTP/2", "host", w.host, "error", err)
	}
	return c.noteBusy(c.tunnel(ctx, w, program, overHTTP2))
}

// noteBusy begins a pause when Cloudflare has refused a tunnel. It returns err.
func (c *cloudflared) noteBusy(err error) error {
	if known, ok := errors.AsType[*agent.Error](err); ok && known.Reason == agent.ReasonBusy {
		c.busyUntil.Store(time.Now().Add(busyPause))
	}
	return err
}

// awaitPause waits for the end of that pause.
func (c *cloudflared) awaitPause(ctx context.Context) error {
	until, _ := c.busyUntil.Load().(time.Time)
	return sleep(ctx, time.Until(until))
}

const installFix = `install it: brew install cloudflared (macOS), winget install --id Cloudflare.cloudflared (Windows), https://pkg.cloudflare.com (Linux)
or ` + relayFix

// updateFix is the fix for a cloudflared that does not know a flag: --output
// came with 2025.6.1.
const updateFix = "update it (2025.6.1 or newer is needed), or " + relayFix

// tunnel runs one cloudflared from its start to its end. Its error is an
// *agent.Error.
func (c *cloudflared) tunnel(ctx context.Context, w *way, program, protocol string) error {
	folder, err := c.folder()
	if err != nil {
		return notPrepared("make a folder for", err)
	}
	defer os.RemoveAll(folder)
	listener, err := listenForCloudflared(folder, protocol)
	if err != nil {
		return notPrepared("listen for", err)
	}
	visitors := newTunnelListener(listener)
	defer visitors.close()
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd, err := c.command(running, program, folder, listener.Addr(), protocol)
	if err != nil {
		return notPrepared("configure", err)
	}
	out := newCloudflaredOutput(c.log)
	cmd.Stdout, cmd.Stderr = out, out
	process, err := startChild(cmd)
	if err != nil {
		return notStarted(program, err)
	}
	go func() {
		<-process.ended
		stop(errEnded)
	}()
	t := &quickTunnel{cloudflared: c, way: w, process: process, out: out, visitors: visitors, program: program, protocol: protocol}
	err = t.run(running, isUnix(listener.Addr()))
	// Without visitors, cloudflared ends at once.
	visitors.close()
	stop(nil)
	<-process.ended
	if errors.Is(err, errEnded) {
		return t.whyEnded(ctx)
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

// notPrepared returns the error of this machine before cloudflared was started.
func notPrepared(op string, err error) *agent.Error {
	return &agent.Error{
		Reason: agent.ReasonFailed, Op: op, Addr: "cloudflared", Err: err,
		Fix: "set TMPDIR to a folder of yours that has a short path and space; devproxy tries again",
	}
}

// notStarted returns the error of a program that cannot be run: because of the
// program, which only the user can change, or for now.
func notStarted(program string, err error) *agent.Error {
	fault := &agent.Error{Reason: agent.ReasonFailed, Op: "start", Addr: program, Err: err, Fix: retryFix}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOEXEC) {
		fault.Reason, fault.Fix = ReasonProgram, installFix
	}
	return fault
}

// listenForCloudflared listens where one cloudflared takes its visitors. That is a
// Unix socket in a folder of this user, except in two cases that need TCP:
//   - With HTTP/2, cloudflared cannot open a WebSocket to a Unix socket ("http: no
//     Host in request URL": connection/http2.go, handleMissingRequestParts;
//     https://github.com/cloudflare/cloudflared/issues/560 and 1208).
//   - On Windows it was never tested who can connect to such a socket.
func listenForCloudflared(folder, protocol string) (net.Listener, error) {
	if protocol == overHTTP2 || runtime.GOOS == "windows" {
		return net.Listen("tcp", "127.0.0.1:0")
	}
	return net.Listen("unix", filepath.Join(folder, "s"))
}

// isUnix reports whether cloudflared takes visitors to a Unix socket. No other user of
// this machine can connect there, so Cloudflare wrote a request's fields about its
// visitor.
func isUnix(service net.Addr) bool { return service.Network() == "unix" }

// command returns the command of cloudflared, with its own configuration. With the
// user's, a quick tunnel does something else or does not start
// (config/configuration.go, FindDefaultConfigPath).
//
// The service is in the configuration and not in --url, since --unix-socket does not
// start a quick tunnel (cmd/cloudflared/tunnel/cmd.go, TunnelCommand), and the
// rules of a configuration take precedence over --url (ingress/ingress.go,
// ParseIngressFromConfigAndCLI; since 2023.3.1). Port 0 cannot be connected to, if
// that ever changes.
//
// A negative keepAliveConnections makes cloudflared use a connection for one
// request (net/http, Transport.MaxIdleConnsPerHost), so that two visitors do not
// share one.
func (c *cloudflared) command(ctx context.Context, program, folder string, service net.Addr, protocol string) (*exec.Cmd, error) {
	origin := "http://"
	if isUnix(service) {
		origin = "unix:"
	}
	config, err := json.Marshal(map[string]any{ // JSON is YAML
		"ingress":       []map[string]string{{"service": origin + service.String()}},
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
	// devproxy, which would then have the form of a proxy's (ingress/origin_service.go,
	// newHTTPTransport). Without TUNNEL_ variables, each of which is a flag.
	cmd.Env = childEnvironment(c.getenv)
	return cmd, nil
}

// explain returns a fault as an error.
func (c *cloudflared) explain(f *fault, detail string) *agent.Error {
	err := shareError(f.reason, "cloudflare", errors.New(f.text), f.fix)
	switch {
	case f == &portBlocked:
		err.Err = errBlocked
	case f.isVague:
		err.Err = fmt.Errorf("%s (%s)", f.text, detail)
	}
	hasProxy := cmp.Or(c.getenv("HTTPS_PROXY"), c.getenv("https_proxy"), c.getenv("HTTP_PROXY"), c.getenv("http_proxy")) != ""
	if f.isNetwork && hasProxy {
		err.Fix = proxyFix
	}
	return err
}
