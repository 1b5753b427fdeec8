package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/relay"
)

const (
	// relayDrain is how long requests have after SIGTERM.
	relayDrain = 30 * time.Second
	// relayRetire is how long they have in a process that was replaced.
	relayRetire = time.Hour
	// adminTimeout bounds a request on the admin address.
	adminTimeout = 10 * time.Second
)

// relayRun is one `devproxy relay`: everything that runs, joined.
type relayRun struct {
	cfg     relayConfig
	print   relayPrinter
	log     *slog.Logger
	state   *relay.File
	sockets *relaySockets
	certs   *certFiles // nil with --dev
	relay   *relay.Relay
	admin   *http.Server
	serving sync.WaitGroup
	failed  chan error // what a socket of ours failed with
}

// runRelay serves until a signal ends it.
func runRelay(ctx context.Context, s *streams, cfg relayConfig) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	unread := func() {} // a server goes on without its log
	if cfg.dev {
		unread = end // somebody tried it in a terminal that is gone
	}
	s, release := s.watched(unread)
	defer release()
	from, err := inherit()
	if err != nil {
		return err
	}
	run := &relayRun{cfg: cfg, print: relayPrinter{s, cfg}, failed: make(chan error, 4)}
	run.log = slog.New(slog.NewJSONHandler(s.Err, &slog.HandlerOptions{Level: cfg.level}))
	signals := make(chan os.Signal, 1)
	defer signal.Stop(signals)
	if err = run.start(ctx, from); err == nil {
		signal.Notify(signals, relaySignals()...) // before anybody knows that it can be signalled
		run.print.ready(run)                      // before the predecessor tells who took over
	}
	if err = from.started(err); err != nil {
		run.close()
		return err
	}
	err = run.wait(ctx, signals)
	if err == nil {
		run.print.stopped()
	}
	return err
}

// publicPort is the port in links.
func (run *relayRun) publicPort() uint16 {
	if port := run.cfg.publicPort; port != 0 {
		return uint16(port)
	}
	return portOf(run.sockets.https)
}

// start opens everything, in the order in which it may fail: what another
// process must give up comes last.
func (run *relayRun) start(ctx context.Context, from *handover) error {
	options, err := run.options()
	if err != nil {
		return err
	}
	run.sockets = from.sockets()
	if run.sockets == nil {
		if run.sockets, err = bindRelay(ctx, run.cfg); err != nil {
			return err
		}
	}
	if err := from.takeState(); err != nil {
		return err
	}
	if run.state, err = relay.OpenFile(run.cfg.state); err != nil {
		return failf("--state FILE names another file", "%w", err)
	}
	options.Registry = run.state
	limitMemory(options.Limits.Memory)
	if run.relay, err = relay.New(options); err != nil {
		return err
	}
	run.serve(ctx)
	return nil
}

// ownMemory is what the program needs besides what strangers make it hold, and a
// relay for its names, in bytes.
const ownMemory = 192 << 20

// limitMemory has the garbage collector keep the program near what it can be made
// to hold, and a quarter of that for what is not collected yet; GOMEMLIMIT in the
// environment counts instead.
func limitMemory(held int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(held + held/4 + ownMemory)
	}
}

func (run *relayRun) options() (relay.Options, error) {
	o := relay.Options{
		Domain: run.cfg.domain, Port: uint16(run.cfg.publicPort), AuthorizedKeys: run.cfg.authorizedKeys, Open: run.cfg.open,
		Congestion: run.cfg.congestion, Log: run.log, Access: run.log,
		Names:         run.cfg.allowNames,
		ProxyProtocol: run.cfg.proxyProtocol, TrustedProxies: run.cfg.trustedProxies,
		Limits: relay.Limits{Names: relay.Quota{PlainPerKey: run.cfg.namesPerKey}, Memory: int64(run.cfg.memory) << 20},
	}
	if run.cfg.token != "" {
		o.Tokens = []string{run.cfg.token}
	}
	if run.cfg.dev {
		ca, err := openCA()
		if err != nil {
			return o, err
		}
		o.Certificate, o.Covers = ca.GetCertificate, ca.Permits
		return o, nil
	}
	certs, err := openCerts(run.cfg.certs, run.cfg.keys, run.cfg.domain)
	if err != nil {
		return o, err
	}
	run.certs, o.Certificates = certs, certs.inUse
	o.Certificate, o.Covers = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return certs.GetCertificate(h) }, certs.Covers
	return o, nil
}

// serve starts what serves; the relay's end is the end of all of it.
func (run *relayRun) serve(ctx context.Context) {
	life := context.WithoutCancel(ctx)
	run.serveOn(run.sockets.https, func(ln net.Listener) error { return run.relay.Serve(life, ln) })
	run.serveOn(run.sockets.http, func(ln net.Listener) error { return run.relay.ServeRedirect(life, ln) })
	run.serveOn(run.sockets.late, func(ln net.Listener) error { return run.relay.ServeHandover(life, ln) })
	run.admin = &http.Server{Handler: run.relay.Admin(), ReadTimeout: adminTimeout, WriteTimeout: adminTimeout,
		ErrorLog: slog.NewLogLogger(run.log.Handler(), slog.LevelDebug)}
	run.serveOn(run.sockets.admin, run.admin.Serve)
}

// serveOn serves ln, which may be nil, until it is closed.
func (run *relayRun) serveOn(ln net.Listener, serve func(net.Listener) error) {
	if ln == nil {
		return
	}
	run.serving.Go(func() {
		if err := serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			run.failed <- err
		}
	})
}

// wait serves until a signal says what else to do.
func (run *relayRun) wait(ctx context.Context, signals <-chan os.Signal) error {
	watching, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		run.close()
	}()
	if run.certs != nil {
		run.serving.Go(func() { run.certs.watch(watching, run.log) })
	}
	for {
		select {
		case err := <-run.failed:
			return err
		case <-ctx.Done():
			return run.shutDown(signals)
		case sig := <-signals:
			if sig != hangup || run.hungUp() {
				return run.shutDown(signals)
			}
			if done, err := run.replace(ctx, signals); done {
				return err
			}
		}
	}
}

// shutDown finishes what is under way; a second signal cuts it off.
func (run *relayRun) shutDown(again <-chan os.Signal) error {
	run.print.stopping()
	run.notify("STOPPING=1")
	run.finish(again)
	return nil
}

// finish lets what is under way end, for a while.
func (run *relayRun) finish(again <-chan os.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), relayDrain)
	defer cancel()
	run.drain(cancel, again, func() { run.relay.Shutdown(ctx) })
}

// drain runs down, which cancel cuts short, as does a signal.
func (run *relayRun) drain(cancel func(), again <-chan os.Signal, down func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		down()
	}()
	for {
		select {
		case <-done:
			return
		case sig := <-again:
			if sig != hangup { // this process has a successor, or stops already
				cancel()
			}
		}
	}
}

// close releases what start took; it may have taken little.
func (run *relayRun) close() {
	if run.admin != nil {
		run.admin.Close() // nobody waits for its answers
	}
	if run.relay != nil {
		run.relay.Close()
	}
	if run.sockets != nil {
		run.sockets.close()
	}
	run.serving.Wait()
	if run.state != nil {
		if err := run.state.Close(); err != nil {
			run.log.Error("registry not closed", "error", err)
		}
	}
}
