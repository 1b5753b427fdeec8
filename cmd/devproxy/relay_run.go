package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/tunnel/agent"
	"github.com/devproxy/devproxy/tunnel/neterror"
	"github.com/devproxy/devproxy/tunnel/relay"
	"github.com/devproxy/devproxy/tunnel/relay/handover"
)

const (
	// relayDrain is how long requests have after SIGTERM.
	relayDrain = 30 * time.Second
	// relayRetire is how long they have in a process that was replaced.
	relayRetire = time.Hour
	// adminTimeout bounds a request on the admin address.
	adminTimeout = 10 * time.Second
	// ownMemory is the program's memory, in bytes, in addition to the memory that
	// strangers make it hold, and a relay's memory for names.
	ownMemory = 192 << 20
)

// relayRun is one `devproxy relay`.
type relayRun struct {
	*streams // for its events; nil inside of `up`
	cfg      relayOptions
	log      *slog.Logger
	state    *relay.File
	sockets  handover.Sockets
	certs    *certFiles // of --cert; nil without
	zone     *relayZone // nil with --cert and --dev
	relay    *relay.Relay
	admin    *http.Server
	serving  sync.WaitGroup
	failed   chan error // of a listener
}

// runRelay serves until a signal ends it.
func runRelay(ctx context.Context, s *streams, cfg relayOptions) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	unread := func() {} // a server continues without its log
	if cfg.dev {
		unread = end // its terminal was closed
	}
	s, release := s.watched(unread)
	defer release()
	from, err := handover.Inherit()
	if err != nil {
		return err
	}
	run := newRelayRun(cfg, slog.New(slog.NewJSONHandler(s.Err, &slog.HandlerOptions{Level: cfg.level})))
	run.streams = s
	signals := make(chan os.Signal, 1)
	defer signal.Stop(signals)
	stopped := false
	if err = run.start(ctx, from); err == nil {
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM, hangup) // before the ready event, after which signals may come
		stopped, err = run.awaitCertificates(ctx, signals)
	}
	if stopped {
		_ = from.Started(cmp.Or(err, errStopped)) // what it returns is known
		run.close()
		if err == nil {
			run.printStopped()
		}
		return err
	}
	if err == nil {
		run.serveVisitors(ctx)
		run.printReady() // before the predecessor prints its event
	}
	if err = from.Started(err); err != nil {
		run.close()
		return err
	}
	err = run.wait(ctx, signals)
	if err == nil {
		run.printStopped()
	}
	return err
}

// errStopped is reported to a predecessor, which continues.
var errStopped = errors.New("it was stopped while it waited for a certificate")

func newRelayRun(cfg relayOptions, log *slog.Logger) *relayRun {
	return &relayRun{cfg: cfg, log: log, failed: make(chan error, 5)}
}

// start opens everything, in the order in which it may fail. The resources that
// the predecessor must give up come last.
func (run *relayRun) start(ctx context.Context, from *handover.Predecessor) error {
	options, err := run.options()
	if err != nil {
		return err
	}
	run.sockets = from.Sockets()
	if run.sockets.Listeners == nil {
		if err := run.listen(ctx); err != nil {
			return err
		}
	}
	options.Port = run.publicPort() // the redirect may be asked before visitors are served
	if err := from.TakeState(); err != nil {
		return err
	}
	if run.state, err = relay.OpenFile(run.cfg.state); err != nil {
		return failf("use another file: --state FILE", "%w", err)
	}
	options.Registry = run.state
	if !run.cfg.dev && run.certs == nil {
		if err := run.openZone(&options); err != nil {
			return err
		}
	}
	limitMemory(options.Limits.Memory)
	if run.relay, err = relay.New(options); err != nil {
		return err
	}
	run.serve(ctx)
	return nil
}

func (run *relayRun) options() (relay.Options, error) {
	o := relay.Options{
		Domain: run.cfg.domain, AuthorizedKeys: run.cfg.authorizedKeys, Open: run.cfg.open,
		Congestion: run.cfg.congestion, Log: run.log, Access: run.log,
		Names:    run.cfg.allowNames,
		TCPPorts: run.cfg.tcpPorts, UDPPorts: run.cfg.udpPorts,
		ProxyProtocol: run.cfg.proxyProtocol, TrustedProxies: run.cfg.trustedProxies, Cloudflare: run.cfg.cloudflare,
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
	if run.cfg.customDomains {
		o.Domains = newProver(run.cfg.domain)
	}
	if len(run.cfg.certs) == 0 {
		return o, nil // openZone adds what is missing
	}
	certs, err := openCerts(run.cfg.certs, run.cfg.keys, run.cfg.domain)
	if err != nil {
		return o, err
	}
	run.certs, o.Certificates = certs, certs.inUse
	o.Certificate, o.Covers = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return certs.GetCertificate(h) }, certs.Covers
	return o, nil
}

// limitMemory makes the garbage collector keep the program near the memory that
// it can be made to hold, plus a quarter of that for garbage that is not
// collected yet. GOMEMLIMIT in the environment has precedence.
func limitMemory(held int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(held + held/4 + ownMemory)
	}
}

// listen opens the sockets of the configuration.
func (run *relayRun) listen(ctx context.Context) error {
	run.sockets = handover.Sockets{Listeners: map[string]net.Listener{}}
	for _, one := range []struct{ name, flag, address string }{
		{"https", "--listen", run.cfg.listen}, {"http", "--http", run.cfg.http}, {"admin", "--admin", run.cfg.admin},
	} {
		if one.address == "" {
			continue
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", one.address)
		if err != nil {
			return relayBindError(one.flag, one.address, err)
		}
		run.sockets.Listeners[one.name] = ln
	}
	return run.listenDNS(ctx)
}

// relayBindError adds the exit code and the fix.
func relayBindError(flag, address string, err error) error {
	_, port, _ := net.SplitHostPort(address)
	if system, ok := errors.AsType[*os.SyscallError](err); ok {
		err = system.Err
	}
	fix := "use an address of this machine: " + flag + " :" + port
	switch {
	case neterror.Taken(err):
		fix = "to see what uses it: sudo ss -ltnp 'sport = :" + port + "'; or use another address: " + flag + " :8443"
	case neterror.Forbidden(err):
		fix = "allow it: sudo setcap cap_net_bind_service=+ep $(command -v devproxy); or use another address: " + flag + " :8443"
	}
	if flag == "--http" {
		fix += "; or leave the redirect out: --http none"
	}
	return &exitError{code: exitPort, err: failf(fix, "cannot listen on %s: %w", address, err)}
}

// serve starts the servers that need no certificate. They end when the relay is closed.
func (run *relayRun) serve(ctx context.Context) {
	life := context.WithoutCancel(ctx)
	if run.zone != nil {
		run.zone.start()
	}
	run.admin = &http.Server{Handler: run.relay.Admin(), ReadTimeout: adminTimeout, WriteTimeout: adminTimeout,
		ErrorLog: slog.NewLogLogger(run.log.Handler(), slog.LevelDebug)}
	run.serveOn("http", func(ln net.Listener) error { return run.relay.ServeRedirect(life, ln) })
	run.serveOn(handover.Forwarded, func(ln net.Listener) error { return run.relay.ServeHandover(life, ln) })
	run.serveOn("admin", run.admin.Serve)
}

// serveVisitors starts the server that needs a certificate, which is there now.
func (run *relayRun) serveVisitors(ctx context.Context) {
	life := context.WithoutCancel(ctx)
	if run.zone != nil {
		run.zone.serving.Store(true)
	}
	run.serveOn("https", func(ln net.Listener) error { return run.relay.Serve(life, ln) })
}

// serveOn starts a server on a listener, if there is one.
func (run *relayRun) serveOn(name string, serve func(net.Listener) error) {
	ln := run.sockets.Listeners[name]
	if ln == nil {
		return
	}
	run.serving.Go(func() {
		if err := serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			run.failed <- err
		}
	})
}

// address returns a listener's address; empty if no listener has that name.
func (run *relayRun) address(name string) string {
	if ln := run.sockets.Listeners[name]; ln != nil {
		return ln.Addr().String()
	}
	return ""
}

// publicPort returns the port in links.
func (run *relayRun) publicPort() uint16 {
	_, text, _ := net.SplitHostPort(run.address("https"))
	port, _ := strconv.ParseUint(text, 10, 16)
	return cmp.Or(uint16(run.cfg.publicPort), uint16(port))
}

// wait serves until a signal stops or replaces the relay.
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
			run.shutDown(signals)
			return nil
		case sig := <-signals:
			if sig != hangup || isHangup(run.streams) {
				run.shutDown(signals)
				return nil
			}
			if run.replace(ctx, signals) {
				return nil
			}
		}
	}
}

// shutDown finishes the requests in progress. A second signal cuts them off.
func (run *relayRun) shutDown(again <-chan os.Signal) {
	run.printStopping()
	run.notify("STOPPING=1")
	run.drain(relayDrain, again, run.relay.Shutdown)
}

// replace starts a successor and retires; false if this process continues.
func (run *relayRun) replace(ctx context.Context, again <-chan os.Signal) bool {
	successor, err := handover.Start(ctx, run.sockets, singleState{run})
	if err != nil {
		run.printNotHandedOver(err)
		return false
	}
	defer successor.Close()
	run.printHandedOver(successor.PID)
	run.notify("MAINPID=" + strconv.Itoa(successor.PID))
	run.admin.Close() // the successor responds there
	run.drain(relayRetire, again, func(retiring context.Context) { run.relay.Retire(retiring, successor.Dial) })
	run.drain(relayDrain, again, run.relay.Shutdown)
	return true
}

// notify informs systemd about a change (sd_notify(3)) if it has asked for that.
// Otherwise the end of the first process would be the end of the service.
func (run *relayRun) notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.Dial("unixgram", path)
	if err == nil {
		_, err = c.Write([]byte(state))
		c.Close()
	}
	if err != nil {
		run.log.Warn("systemd not notified", "state", state, "error", err)
	}
}

// drain lets requests in progress end: down has this much time, and a signal cuts it
// short.
func (run *relayRun) drain(limit time.Duration, again <-chan os.Signal, down func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		down(ctx)
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

// close releases what start took, which may be little.
func (run *relayRun) close() {
	if run.admin != nil {
		run.admin.Close() // its responses may be cut off
	}
	if run.relay != nil {
		run.relay.Close()
	}
	run.zone.end()
	for _, ln := range run.sockets.Listeners {
		ln.Close() // nothing was accepted that could be lost
	}
	for _, conn := range run.sockets.Packets {
		conn.Close()
	}
	run.serving.Wait()
	if run.state != nil {
		if err := run.state.Close(); err != nil {
			run.log.Error("registry not closed", "error", err)
		}
	}
}

// devWord is the --relay that is part of `up` itself. Its links work on this
// machine only, to try a share as a visitor sees it.
const devWord = "dev"

// devPorts are the ports that the relay inside of up has for tcp and udp blocks: above those
// that devproxy chooses on this machine, and below those of outgoing connections (Linux).
const devPorts = "30000-30999"

// innerRelay is a relay like `devproxy relay --dev`, inside of `up`. It keeps nothing.
type innerRelay struct {
	run    *relayRun
	folder string // with its state
	name   string // "share.localhost:41234"
}

// openInnerRelay starts one on a free port.
func openInnerRelay(ctx context.Context) (*innerRelay, error) {
	folder, err := os.MkdirTemp("", "devproxy-relay-") // mode 0700
	if err != nil {
		return nil, failf("make sure that there is space for temporary files", "cannot make a folder for a relay: %w", err)
	}
	d := &innerRelay{folder: folder}
	cfg := relayOptions{dev: true, tcp: devPorts, udp: devPorts, state: filepath.Join(folder, "relay.db"), congestion: "system", namesPerKey: 10, memory: relay.DefaultMemory >> 20}
	if err = cfg.check(false); err == nil {
		d.run = newRelayRun(cfg, slog.New(slog.DiscardHandler))
		if err = d.run.start(ctx, nil); err == nil {
			d.run.serveVisitors(ctx)
		}
		limitMemory(devproxy.BodyMemory + agent.Memory + relay.DefaultMemory) // of the two together
	}
	if err != nil {
		d.close()
		return nil, err
	}
	d.name = net.JoinHostPort(devDomain, fmt.Sprint(d.run.publicPort()))
	return d, nil
}

// close ends it. It does nothing if d is nil.
func (d *innerRelay) close() {
	if d == nil {
		return
	}
	if d.run != nil {
		d.run.close()
	}
	_ = os.RemoveAll(d.folder) // a temporary folder
}

// relays returns the relays that may carry a share. Its own relay takes the place of
// "dev".
func (in *instance) relays(request string, file []string) ([]credentials.Login, error) {
	relays, err := in.consent.logins.Relays(request, file)
	if err != nil {
		return nil, err
	}
	for i, relay := range relays {
		if relay.Relay != devWord {
			continue
		}
		if in.dev == nil {
			if in.dev, err = openInnerRelay(context.Background()); err != nil {
				return nil, err
			}
		}
		relays[i] = credentials.Login{Relay: in.dev.name, Token: in.dev.run.cfg.token}
	}
	return relays, nil
}
