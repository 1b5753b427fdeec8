package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
)

// errProxyfile is a Proxyfile that cannot be served; its diagnostics have been
// printed.
var errProxyfile = errors.New("the Proxyfile has errors")

// instance is one `devproxy up`: everything that runs for a folder, joined.
type instance struct {
	opts   upOptions
	source source
	report upReport

	ca      *localca.CA // nil until the first plan is built
	lock    *control.Instance
	sockets *listen.Set      // nil until the first plan is built
	bound   listen.Config    // what the sockets were asked for
	told    []netip.AddrPort // what the user was last told; the loop's
	served  *hcl.Mask        // of the plan that is served; the loop's
	server  *devproxy.Server
	project devproxy.Project
	sharing *sharing // nil until run
	consent *upConsent
	mask    *atomic.Pointer[hcl.Mask] // of all that is printed
	shown   bool                      // a link has worked; the loop's
	note    func(string)              // has the loop print a line; nil until run

	shares   chan shareEvent
	loopOver chan struct{} // closed when nobody reads shares any more
	tasks    errgroup.Group

	exchanges *inspect.Subscription
	states    chan devproxy.StateChange
	log       *slog.Logger
	started   time.Time
}

// stateBuffer is how many changes of upstreams may wait to be printed.
const stateBuffer = 64

// shareBuffer is how much may happen to the share before the loop begins, or
// while it is busy.
const shareBuffer = 16

// exchangeBuffer is how many exchanges may wait to be printed: a burst of a
// large page's modules.
const exchangeBuffer = 4096

func openInstance(ctx context.Context, s *streams, opts upOptions, src source) (*instance, error) {
	in := &instance{
		opts: opts, source: src, started: time.Now(), states: make(chan devproxy.StateChange, stateBuffer),
		shares: make(chan shareEvent, shareBuffer), loopOver: make(chan struct{}), mask: &atomic.Pointer[hcl.Mask]{},
	}
	s = s.masked(in.mask)
	known := consentsFor(src.folder)
	in.consent = &upConsent{consents: known, ctx: ctx, streams: s, opts: opts}
	in.report = newUpReport(s, opts, src)
	in.log = newLog(s.Err, opts.verbose && !opts.json)
	runtimeDir, err := control.RuntimeDir(os.Getenv)
	if err != nil {
		return nil, err
	}
	lock, err := control.Acquire(runtimeDir, src.folder)
	if err != nil {
		return nil, lockFailure(err)
	}
	in.lock = lock
	recorder := &inspect.Recorder{}
	in.exchanges = recorder.Subscribe(exchangeBuffer)
	in.server = devproxy.New(devproxy.Options{
		Recorder: recorder,
		OnState:  in.stateChanged,
		Folder:   devproxy.Home,
	})
	in.project = devproxy.Project{
		Server:  in.server,
		Folder:  src.folder,
		Load:    in.load,
		Root:    known.project.Root,
		Consent: in.consent.decide,
		Bind:    func(file *hcl.File) (plan.Env, error) { return in.bind(ctx, file) },
	}
	return in, nil
}

// newLog makes the logger of everything that runs, and of the standard library:
// net/http's client transport has no other one than package log's. Without verbose
// it discards all.
func newLog(w io.Writer, verbose bool) *slog.Logger {
	log := slog.New(slog.DiscardHandler)
	if verbose {
		log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	slog.SetLogLoggerLevel(slog.LevelWarn)
	slog.SetDefault(log)
	return log
}

// load reads the Proxyfile. A change of what the user has allowed is looked at
// like a save of it.
func (in *instance) load() (*hcl.File, hcl.Diagnostics, error) {
	file, diags, err := in.source.load(in.httpsPort())
	if err == nil && in.source.name != "" {
		if path, content := in.consent.file(); path != "" {
			file.Watch = append(file.Watch, path)
			file.Read[path] = content
		}
	}
	return file, diags, err
}

// concealed keeps what the environment says in the file of a save out of all
// that is printed; that of the plan that is served stays kept out too.
func (in *instance) concealed(save devproxy.Save) {
	if save.File != nil {
		in.mask.Store(hcl.NewMask(in.served, save.File.Mask))
	}
	if save.Plan != nil {
		in.served = save.Plan.Mask()
	}
}

// stateChanged may lose a change that nobody has time to print.
func (in *instance) stateChanged(change devproxy.StateChange) {
	select {
	case in.states <- change:
	default:
	}
}

// forgetStates drops the changes that the first look at every upstream made:
// the banner has told of them.
func (in *instance) forgetStates() {
	for {
		select {
		case <-in.states:
		default:
			return
		}
	}
}

// close releases what openInstance took.
func (in *instance) close() {
	in.server.Close()
	if in.sockets != nil {
		_ = in.sockets.Close() // sockets have nothing to lose
	}
	_ = in.lock.Close() // the kernel does it too
}

func lockFailure(err error) error {
	var held *control.HeldError
	if errors.As(err, &held) {
		return failf("devproxy status shows it, devproxy down stops it", "%w", err)
	}
	return err
}

// openCA is the CA of this user, made if need be.
func openCA() (*localca.CA, error) {
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return nil, err
	}
	ca, err := localca.Open(home)
	var store *localca.StoreError
	if errors.As(err, &store) {
		return nil, failf(store.Fix, "cannot %s %s: %w", store.Op, store.Path, store.Err)
	}
	return ca, err
}

// openCA opens the CA, once there is something to serve with it.
func (in *instance) openCA() error {
	if in.ca != nil {
		return nil
	}
	ca, err := openCA()
	if err != nil {
		return err
	}
	in.ca = ca
	if made, reason := ca.Fresh(); made {
		text := "created a local CA in " + devproxy.Home(filepath.Dir(ca.RootFile()))
		if reason != localca.FirstCA {
			text += ": " + reason
		}
		in.report.note(text)
	}
	return nil
}

// bind opens the sockets that flags and file ask for. Those that stay wanted
// stay open.
func (in *instance) bind(ctx context.Context, file *hcl.File) (plan.Env, error) {
	if err := in.openCA(); err != nil {
		return plan.Env{}, err
	}
	wanted := listen.Config{
		HTTPS: firstOf(in.opts.https, file.Listen.HTTPS),
		HTTP:  firstOf(in.opts.http, file.Listen.HTTP),
		TLS:   &tls.Config{GetCertificate: in.ca.GetCertificate, MinVersion: tls.VersionTLS12},
		Log:   in.log,
	}
	var err error
	switch {
	case in.sockets == nil:
		in.sockets, err = listen.Open(ctx, wanted)
	case !in.bound.Equal(wanted):
		err = in.sockets.Apply(ctx, wanted)
	}
	if err != nil {
		return plan.Env{}, in.bindFailure(err)
	}
	in.bound = wanted
	in.server.SetListening(devproxy.Listening{HTTPSPort: in.httpsPort(), ServePlain: file.Listen.ServePlain})
	return plan.Env{Bound: in.addrs()}, nil
}

// addrs are the addresses that are listened on.
func (in *instance) addrs() []netip.AddrPort {
	return slices.Concat(in.sockets.HTTPS(), in.sockets.HTTP())
}

// httpsPort is the port that HTTPS is bound to; 0 before it is.
func (in *instance) httpsPort() uint16 {
	if in.sockets == nil {
		return 0
	}
	return in.sockets.HTTPS()[0].Port()
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// bindFailure is exit code 4 with what helps. An address that is no loopback
// address, or no address, is a wrong use.
func (in *instance) bindFailure(err error) error {
	var bind *listen.BindError
	if !errors.As(err, &bind) {
		return &exitError{code: exitUsage, err: err, fix: "an address is a port or a loopback address: 8443, :8443, 127.0.0.1:8443, [::1]:8443, :0"}
	}
	fix := bind.Fix
	switch {
	case fix != "" && bind.Reason == listen.Taken && bind.Holder.PID != 0:
		fix = "stop it with: " + fix
	case fix != "" && bind.Reason == listen.Taken:
		fix = "see who with: " + fix
	case fix != "":
		fix = "allow it permanently: " + fix
	}
	if flag := in.flagOf(bind.Addr); flag != "" {
		fix += ", or leave out " + flag
	}
	return &exitError{code: exitPort, err: err, fix: fix}
}

// flagOf is the flag that asked for an address; empty when the Proxyfile did.
func (in *instance) flagOf(addr netip.AddrPort) string {
	port := fmt.Sprintf(":%d", addr.Port())
	for flag, value := range map[string]string{"--https": in.opts.https, "--http": in.opts.http} {
		if value != "" && (":"+value == port || len(value) >= len(port) && value[len(value)-len(port):] == port) {
			return flag
		}
	}
	return ""
}

// run serves until ctx ends or somebody asks for the end.
func (in *instance) run(ctx context.Context, first devproxy.Save) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	serving, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	if err := in.openSharing(first.Plan); err != nil {
		return err
	}
	// Before anything is told: whoever reads that it is served may ask for more.
	if err := in.lock.Listen(); err != nil {
		return err
	}

	served := make(chan error, 1)
	go func() {
		defer stop() // a server that ends by itself ends all
		served <- in.server.Run(serving, in.log, in.sockets)
	}()
	saves := make(chan devproxy.Save)
	notes := make(chan string)
	in.tasks.Go(func() error {
		send := sendTo(ctx, saves)
		in.project.Follow(ctx, first, func(save devproxy.Save) {
			in.consent.applied(save)
			send(save)
		}, sendTo(ctx, notes))
		return nil
	})
	state := &status{instance: in}
	in.tasks.Go(func() error {
		defer stop()
		return in.lock.Serve(ctx, control.Handler(control.Verbs{Status: state.now, Down: stop, Share: in.sharing.doForOther}))
	})
	in.tasks.Go(func() error { in.sharing.run(ctx); return nil })
	in.tasks.Go(func() error { in.lookAgain(ctx); return nil })
	in.note = sendTo(ctx, notes)

	failed := in.shareFirst(ctx)
	if failed == nil {
		in.ready(ctx, first, state)
		if len(first.Withheld) > 0 {
			in.report.consent(first.Withheld, consentPartial)
		}
		in.forgetStates()
		failed = in.loop(ctx, stop, saves, notes, state)
	}
	stop()
	close(in.loopOver)
	return errors.Join(failed, in.drain(ctx, stopServing, served), in.tasks.Wait())
}

// lookEvery is between two looks at upstreams that do not answer.
const lookEvery = time.Second

// lookAgain has a dev server that was started after devproxy noticed by itself.
func (in *instance) lookAgain(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			in.server.LookAgain(ctx)
		}
	}
}

// ready tells where everything is served.
func (in *instance) ready(ctx context.Context, save devproxy.Save, state *status) {
	in.told = in.addrs()
	in.report.ready(banner{
		status: state.now(), fallbacks: in.sockets.Fallbacks(), first: save,
		trusted: func() bool { return browsersTrust(ctx, in.ca) },
	})
}

// sendTo is a function that sends to c until ctx ends.
func sendTo[T any](ctx context.Context, c chan<- T) func(T) {
	return func(value T) {
		select {
		case c <- value:
		case <-ctx.Done():
		}
	}
}
