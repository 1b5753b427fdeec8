package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
	"github.com/devproxy/devproxy/devproxy/inspect"
	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/machine"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/runtimedir"
	"github.com/devproxy/devproxy/hcl"
	"github.com/devproxy/devproxy/localca"
)

const (
	// stateBuffer is how many changes of upstreams may wait to be printed.
	stateBuffer = 64
	// queueBuffer is how many events may wait before the loop starts, or while it is
	// busy.
	queueBuffer = 32
	// exchangeBuffer is how many exchanges may wait to be printed: a burst of a large
	// page's modules.
	exchangeBuffer = 4096
	// probeEvery is between probes of upstreams that do not answer.
	probeEvery = time.Second
)

// instance is one `devproxy up`: everything that runs for a folder.
type instance struct {
	opts   upOptions
	source source
	report *console

	runtimeDir string
	passed     *listen.Passed // sockets of systemd; nil without any

	ca *localca.CA // nil until the first plan is built
	// authorities are ca and those of the domains that the user trusts.
	authorities *localca.Authorities
	lock        *control.Instance
	sockets     *listen.Set   // nil until the first plan is built
	bound       listen.Config // the configuration that the sockets were opened for
	server      *devproxy.Server
	project     devproxy.Project
	sharer      *devproxy.Sharer // nil until run
	published   *plan.Share      // of the current plan; nil until run
	dev         *innerRelay      // nil until a share goes through it
	consent     *upConsent
	services    *services
	containers  *containers
	mask        *atomic.Pointer[hcl.Mask] // of everything printed

	queue    chan func() error // the tasks of the loop, in order
	loopOver chan struct{}     // closed when the queue is not read any more
	tasks    errgroup.Group

	exchanges inspect.Recorder
	states    chan devproxy.StateChange
	ports     chan control.Port // whose state has changed
	log       *slog.Logger
	status    status

	// The fields below belong to the loop.
	printed []netip.AddrPort // the addresses in the last banner
	domain  string           // where the hosts of the worktree were then; empty for no worktree
	served  *hcl.Mask        // of the plan that is served
	shown   bool             // a link has worked
}

func openInstance(ctx context.Context, s *streams, opts upOptions, src source) (*instance, error) {
	in := &instance{
		opts: opts, source: src, states: make(chan devproxy.StateChange, stateBuffer), ports: make(chan control.Port, stateBuffer),
		queue: make(chan func() error, queueBuffer), loopOver: make(chan struct{}), mask: &atomic.Pointer[hcl.Mask]{},
	}
	in.status = status{instance: in, started: time.Now()}
	known := consentsFor(src.folder)
	runtimeDir, err := runtimedir.Path(os.Getenv)
	if err != nil {
		return nil, err
	}
	in.runtimeDir = runtimeDir
	in.lock, err = control.Acquire(runtimeDir, src.folder)
	if _, held := errors.AsType[*control.HeldError](err); held {
		return nil, heldError(err)
	}
	if err != nil {
		return nil, err
	}
	if err := in.lock.WritePublicURLs(control.Share{}, nil); err != nil {
		return nil, errors.Join(err, in.lock.Close())
	}
	if in.report, err = openConsole(s, opts, src, in.mask); err != nil {
		return nil, errors.Join(err, in.lock.Close())
	}
	in.consent = &upConsent{consents: known, ctx: ctx, streams: s.masked(in.mask), opts: opts}
	in.log = newLog(in.report.errors(), opts.verbose && !opts.json)
	in.exchanges = make(inspect.Recorder, exchangeBuffer)
	in.services = newServices(in)
	in.containers = newContainers(src.folder)
	in.server = devproxy.New(devproxy.Options{
		Recorder: in.exchanges,
		OnState:  in.stateChanged,
		OnPort:   in.portChanged,
		Service:  in.services.at,
		Version:  thisBuild().Version,
		Machine:  machine.New(machine.Options{Dir: runtimeDir, Version: thisBuild().Version, Short: devproxy.Home}),
	})
	in.project = devproxy.Project{
		Server:   in.server,
		Load:     in.load,
		Root:     known.project.Root,
		Consent:  in.consent.decide,
		Bind:     func(file *hcl.File) (plan.Env, error) { return in.bind(ctx, file) },
		Register: func(next *plan.Plan) error { return in.register(ctx, next) },
		Again:    in.services.again,

		Containers: in.containers.of,
		Moved:      in.containers.moved,
	}
	return in, nil
}

// close releases what openInstance took.
func (in *instance) close() {
	in.containers.close()
	in.server.Close()
	if in.sockets != nil {
		_ = in.sockets.Close() // sockets have nothing to lose
	}
	_ = in.lock.Close() // the kernel does it too
	in.report.close()
}

// load reads the Proxyfile. A change of the user's consents counts as a save, and so does
// one of the domains that the user has made a CA for.
func (in *instance) load() (*hcl.File, hcl.Diagnostics, error) {
	domains, names := domainsFile() // read first: no change of it is missed
	file, diags, err := in.source.load(in.httpsPort())
	if err != nil || in.source.name == "" {
		return file, diags, err
	}
	consents, content := in.consent.file()
	for path, content := range map[string][]byte{consents: content, domains: names} {
		if path != "" {
			file.Watch = append(file.Watch, path)
			file.Read[path] = content
		}
	}
	return file, diags, nil
}

// conceal replaces values of the environment that a save has in everything printed,
// and those of the plan that is still served.
func (in *instance) conceal(save devproxy.Save) {
	if save.File != nil {
		in.mask.Store(hcl.NewMask(in.served, save.File.Mask))
	}
	if save.Plan != nil {
		in.served = save.Plan.Mask()
	}
}

// stateChanged may drop a change if too many wait to be printed.
func (in *instance) stateChanged(change devproxy.StateChange) {
	if in.services.isService(change.Upstream) {
		return
	}
	select {
	case in.states <- change:
	default:
	}
}

// portChanged may drop a change if too many wait to be printed.
func (in *instance) portChanged(p control.Port) {
	select {
	case in.ports <- p:
	default:
	}
}

// forgetStates drops the changes that the first probe of every upstream made, and those
// of ports that are not available, which the banner has shown.
func (in *instance) forgetStates() {
	for {
		select {
		case <-in.states:
		case <-in.ports:
		default:
			return
		}
	}
}

// openCA opens the CA of this user, or makes it.
func openCA() (*localca.CA, error) {
	store, err := openStore()
	if err != nil {
		return nil, err
	}
	ca, err := localca.Open(store.Home)
	return ca, caError(err)
}

// caError separates the fix from an error of a CA's folder.
func caError(err error) error {
	if failed, ok := errors.AsType[*localca.StoreError](err); ok {
		return failf(failed.Fix, "cannot %s %s: %w", failed.Op, failed.Path, failed.Err)
	}
	return err
}

// openCA opens the CA once there is something to serve with it.
func (in *instance) openCA() (err error) {
	if in.ca != nil {
		return nil
	}
	if in.ca, err = openCA(); err != nil {
		return err
	}
	in.authorities = localca.NewAuthorities(filepath.Dir(in.ca.RootFile()), in.ca)
	if made, reason := in.ca.Fresh(); made {
		text := "created a local CA in " + devproxy.Home(filepath.Dir(in.ca.RootFile()))
		if reason != localca.FirstCA {
			text += ": " + reason
		}
		in.report.say(text)
	}
	return nil
}

// bind opens the sockets that flags and file require. Sockets that are still
// required stay open.
func (in *instance) bind(ctx context.Context, file *hcl.File) (plan.Env, error) {
	if err := in.openCA(); err != nil {
		return plan.Env{}, err
	}
	in.authorities.Use(trustedDomains())
	wanted := in.listening(file)
	var err error
	switch {
	case in.sockets == nil:
		if in.sockets, err = listen.Open(ctx, wanted); err == nil {
			err = in.allow443(ctx, wanted)
		}
	case !in.bound.Equal(wanted):
		err = in.sockets.Apply(ctx, wanted)
	}
	if err != nil {
		return plan.Env{}, in.bindError(err, wanted)
	}
	in.bound = wanted
	in.server.SetListening(devproxy.Listening{HTTPSPort: in.httpsPort(), ServePlain: file.Listen.ServePlain})
	return plan.Env{Bound: in.addrs()}, nil
}

// addrs returns the addresses that are listened on.
func (in *instance) addrs() []netip.AddrPort {
	return slices.Concat(in.sockets.HTTPS(), in.sockets.HTTP())
}

// httpsPort returns the port that HTTPS is bound to; 0 before it is.
func (in *instance) httpsPort() uint16 {
	if in.sockets == nil {
		return 0
	}
	return in.sockets.HTTPS()[0].Port()
}

// httpPort is the port of plain HTTP; 0 for none.
func (in *instance) httpPort() uint16 {
	if in.sockets == nil || len(in.sockets.HTTP()) == 0 {
		return 0
	}
	return in.sockets.HTTP()[0].Port()
}

// bindError adds the exit code and the fix. An address that is not a loopback address
// is a usage error; without one, the shared ports could not be reached.
func (in *instance) bindError(err error, wanted listen.Config) error {
	if taken := takenError(err); taken != err { //nolint:errorlint // whether it is unchanged
		return taken
	}
	if errors.Is(err, listen.ErrPassed) {
		return failf("leave out --https, --http and listen, or start it without the socket unit", "%w", err)
	}
	if _, ok := errors.AsType[*failure.Error](err); ok {
		return err // it has its own fix
	}
	bind, ok := errors.AsType[*listen.BindError](err)
	if !ok && wanted.Equal(listen.Config{}) {
		return failf("devproxy up --standalone uses ports of its own", "%w", err)
	}
	if !ok {
		return usagef("use a port or a loopback address: 8443, :8443, 127.0.0.1:8443, [::1]:8443, :0", "%w", err)
	}
	fix := bind.Fix
	switch {
	case fix != "" && bind.Reason == listen.Taken && bind.Holder.Stops:
		fix = "stop it with: " + fix
	case fix != "" && bind.Reason == listen.Taken:
		fix = "to see what uses it: " + fix
	case fix != "":
		fix = "allow it permanently: " + fix
	}
	if flag := in.flagOf(bind.Addr); flag != "" {
		fix += ", or leave out " + flag
	}
	return &exitError{code: exitPort, err: failf(fix, "%w", err)}
}

// flagOf returns the flag that has an address; empty if the Proxyfile has it.
func (in *instance) flagOf(addr netip.AddrPort) string {
	port := fmt.Sprintf(":%d", addr.Port())
	for flag, value := range map[string]string{"--https": in.opts.https, "--http": in.opts.http} {
		if value != "" && strings.HasSuffix(":"+value, port) {
			return flag
		}
	}
	return ""
}

// run serves until ctx ends, or `devproxy down` or a key stops it.
func (in *instance) run(ctx context.Context, first devproxy.Save) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	serving, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	if err := in.openSharer(first.Plan); err != nil {
		return err
	}
	// Before anything is printed: the reader may send a request at once.
	if err := in.lock.Listen(); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		defer stop() // a server that ends on its own ends everything
		served <- in.server.Run(serving, in.log, in.sockets)
	}()
	in.start(func() {
		in.project.Follow(ctx, first, func(save devproxy.Save) {
			in.consent.applied(save)
			in.post(func() error { in.saved(ctx, save); return nil })
		}, in.say)
	})
	in.tasks.Go(func() error {
		defer stop()
		return in.lock.Serve(ctx, control.Handler(control.Verbs{
			Status: in.status.now, Down: stop, Share: in.shareForOther, Restart: in.services.restart,
			Output: in.report.journal,
		}), in.report.journal.Done())
	})
	in.start(func() {
		in.sharer.Run(ctx)
		in.dev.close()
	})
	in.start(func() { in.probe(ctx) })
	in.start(in.services.run)

	failed := in.shareFirst(ctx)
	if failed == nil {
		in.services.apply(first.Plan) // nothing of it is printed before the loop
		in.ready(ctx, first)
		if len(first.Withheld) > 0 {
			in.report.emit(newConsentEvent(first.Withheld, servingPartial))
		}
		for _, e := range in.containers.begin(first.Plan) {
			in.report.emit(e)
		}
		in.forgetStates()
		if !in.opts.share {
			in.report.detach()
		}
		failed = in.loop(ctx, stop)
	}
	stop()
	close(in.loopOver)
	err := errors.Join(failed, in.drain(ctx, stopServing, served))
	in.report.end(err) // its readers leave, and the control socket can end
	return errors.Join(err, in.tasks.Wait())
}

// start runs a task that run waits for at its end.
func (in *instance) start(task func()) {
	in.tasks.Go(func() error {
		task()
		return nil
	})
}

// probe notices a dev server that starts after devproxy.
func (in *instance) probe(ctx context.Context) {
	ticker := time.NewTicker(probeEvery)
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

// ready prints where everything is served.
func (in *instance) ready(ctx context.Context, save devproxy.Save) {
	in.printed, in.domain = in.addrs(), in.movedTo()
	now := in.status.now()
	in.report.emit(readyEvent{
		"ready", now.URLs, now.HTTPS, now.HTTP, now.Hosts, now.Ports, now.Worktree, save.Diagnostics,
		save, in.sockets.Fallbacks(), in.sockets.Older(), sync.OnceValue(func() bool { return in.opts.json || browsersTrust(ctx, in.ca) }),
	})
}

// movedTo is the domain of a worktree whose hosts have moved; empty for none.
func (in *instance) movedTo() string {
	if w := in.server.Worktree(); w != nil {
		return w.Domain
	}
	return ""
}
