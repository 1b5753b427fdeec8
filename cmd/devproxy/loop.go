package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

// loop prints what happens, in one goroutine, until ctx ends. The error is that of a
// share that was requested and failed.
func (in *instance) loop(ctx context.Context, stop func()) error {
	keys, restore := in.report.readKeys(in.sockets.StepDown)
	defer restore()
	fold := time.NewTicker(foldEvery)
	defer fold.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case do := <-in.queue:
			if err := do(); err != nil {
				return err
			}
		case change := <-in.states:
			in.report.emit(newState(change))
		case p := <-in.ports:
			in.report.emit(portEvent{"port", p})
		case x := <-in.exchanges:
			in.report.exchange(x)
		case e := <-in.services.printed:
			in.report.emit(e)
		case <-fold.C:
			in.report.flushQuiet(time.Now())
		case key, ok := <-keys:
			if !ok {
				keys = nil
				continue
			}
			in.pressed(ctx, key, stop)
		}
	}
}

// post queues something for the loop. After the loop it does nothing; drain reports the
// end of the share.
func (in *instance) post(do func() error) {
	select {
	case in.queue <- do:
	case <-in.loopOver:
	}
}

// say has the loop print a line.
func (in *instance) say(text string) {
	in.post(func() error { in.report.say(text); return nil })
}

// saved prints the outcome of a save, unless it changed nothing or only moved lines.
func (in *instance) saved(ctx context.Context, save devproxy.Save) {
	if save.Containers {
		in.containersMoved(save)
		return
	}
	in.conceal(save)
	recovered := in.status.saved(save)
	if save.Plan != nil {
		in.follow(save.Plan)
		in.services.apply(save.Plan)
	}
	needed, needsConsent := errors.AsType[*consentError](save.Err)
	switch {
	case needsConsent:
		in.report.emit(newConsentEvent(needed.effects, servingPrevious))
	case save.Rejected():
		in.report.emit(newRejected(save, true))
	case !save.Applied.Changes.Empty() || recovered:
		e := newApplied(save)
		e.moved = in.domain != in.movedTo()
		in.report.emit(e)
	default:
		in.report.unchanged(save.At)
	}
	if save.Plan != nil {
		in.tellContainers(save.Plan)
	}
	if save.Plan != nil && len(save.Withheld) > 0 {
		in.report.emit(newConsentEvent(save.Withheld, servingPartial))
	}
	if !save.Rejected() && (!slices.Equal(in.printed, in.addrs()) || in.domain != in.movedTo()) {
		in.ready(ctx, save) // the ports have changed, or the branch of the worktree
	}
}

// containersMoved prints what a change of containers has changed.
func (in *instance) containersMoved(save devproxy.Save) {
	if save.Rejected() {
		if save.Err != nil {
			in.report.say("a change of containers is not served: " + printable(save.Err.Error()))
		}
		return
	}
	in.follow(save.Plan)
	in.services.apply(save.Plan)
	if in.opts.json && !save.Applied.Changes.Empty() {
		in.report.emit(newApplied(save))
	}
	in.tellContainers(save.Plan)
}

func (in *instance) tellContainers(p *plan.Plan) {
	for _, e := range in.containers.changed(p) {
		in.report.emit(e)
	}
}

// shareChanged prints an event of the share. The error ends a `share` whose
// link never worked; `up --share` keeps serving.
func (in *instance) shareChanged(e devproxy.ShareEvent) error {
	if e.Kind == devproxy.ShareShown {
		in.shown = true
	}
	if in.opts.shareOnly && !in.shown && e.Share.State == control.ShareFailed {
		return failf(e.Share.Fix, "%s", e.Share.Error)
	}
	in.writePublicURLs()
	in.report.share(e)
	if e.Kind != devproxy.ShareBegun {
		in.report.detach()
	}
	return nil
}

// pressed handles a key that the last line of the banner names.
func (in *instance) pressed(ctx context.Context, key byte, stop func()) {
	if request, ok := shareRequestOf(key); ok {
		if request.Op == control.OpStart {
			request = in.shareRequest()
		}
		in.start(func() {
			if _, err := in.sharer.Do(ctx, request); err != nil && ctx.Err() == nil {
				in.shareTrouble(err)
			}
		})
		return
	}
	switch key {
	case 'q', 'Q', 4: // Ctrl-D ends the input
		stop()
	case 'o', 'O':
		if urls := in.status.now().URLs; len(urls) > 0 {
			in.start(func() {
				if err := openBrowser(ctx, urls[0]); err != nil {
					in.say(err.Error() + ". To open it yourself:\n" + urls[0])
				}
			})
		}
	}
}

// drain lets the requests in flight finish; a second Ctrl-C cuts them off. If no one
// can press it, they have unattendedGrace.
func (in *instance) drain(ctx context.Context, stopServing func(), served <-chan error) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)
	streams, requests := in.server.Streams(), in.server.InFlight()
	in.report.stopping(requests - streams)
	stopServing()
	patience, hurry := context.WithCancel(context.Background())
	defer hurry()
	ended := make(chan error, 1)
	go func() {
		err := <-served
		<-in.sharer.Done() // the requests of its visitors too
		in.services.close(patience)
		ended <- err
	}()
	grace := time.NewTimer(unattendedGrace)
	defer grace.Stop()
	if !errors.Is(context.Cause(ctx), errUnattended) {
		grace.Stop()
	}
	for finished := requests - streams; ; {
		select {
		case err := <-ended:
			share := in.sharer.Status()
			in.report.stopped(finished, streams, share, in.dev != nil && share.Relay == in.dev.name)
			return err
		case e := <-in.services.printed:
			in.report.emit(e)
			continue
		case sig := <-signals:
			if sig == syscall.SIGHUP { // closing a terminal once may send several
				grace.Reset(unattendedGrace)
				continue
			}
		case <-grace.C:
		}
		in.server.Close()
		hurry()
		finished = 0
	}
}

// status is the running instance's status.
type status struct {
	instance *instance
	started  time.Time

	mu       sync.Mutex
	rejected *control.Rejected
}

// saved records the outcome of a save, and reports whether it was applied after one
// that was not.
func (st *status) saved(save devproxy.Save) (recovered bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	recovered = st.rejected != nil && !save.Rejected()
	st.rejected = nil
	if save.Rejected() {
		st.rejected = &control.Rejected{At: save.At, Diagnostics: diagnosticsJSON(save.Diagnostics)}
		if save.Err != nil {
			st.rejected.Error = save.Err.Error()
		}
	}
	return recovered
}

// diagnosticsJSON is ds as an array of the objects that check --json prints.
func diagnosticsJSON(ds hcl.Diagnostics) json.RawMessage {
	text, err := json.Marshal(ds)
	if err != nil || ds == nil { // our own types
		return json.RawMessage("[]")
	}
	return text
}

// now probes every upstream. The control socket calls it too.
func (st *status) now() control.Status {
	in := st.instance
	current := control.Status{
		Folder: in.source.folder, Proxyfile: in.source.name, PID: os.Getpid(), Version: thisBuild().Version, Started: st.started,
		Generation: in.server.Generation(), Streams: in.server.Streams(),
		Hosts: in.server.Hosts(context.Background()),
		URLs:  []string{},
		HTTPS: in.sockets.HTTPS()[0].String(), Shared: in.sockets.Shares(),
	}
	if http := in.sockets.HTTP(); len(http) > 0 {
		current.HTTP = new(http[0].String())
	}
	for _, host := range current.Hosts {
		current.URLs = append(current.URLs, host.URL)
	}
	current.Worktree = in.server.Worktree()
	if share := in.sharer.Status(); share.State != control.ShareNone {
		current.Share = &share
	}
	current.Services = in.services.status()
	current.Ports = in.server.Ports()
	current.Engine = in.containers.status()
	current.Log = in.report.logPath()
	st.mu.Lock()
	defer st.mu.Unlock()
	current.Rejected = st.rejected
	return current
}
