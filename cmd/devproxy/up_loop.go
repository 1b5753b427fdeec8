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
	"github.com/devproxy/devproxy/hcl"
)

// loop prints what happens, in one goroutine, until ctx ends. The error is a
// share's that was asked for and cannot be.
func (in *instance) loop(ctx context.Context, stop func(), saves <-chan devproxy.Save, notes <-chan string, state *status) error {
	keys, restore := in.report.keys()
	defer restore()
	fold := time.NewTicker(foldEvery)
	defer fold.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case save := <-saves:
			in.saved(ctx, save, state)
		case text := <-notes:
			in.report.note(text)
		case change := <-in.states:
			in.report.state(change)
		case x := <-in.exchanges.C:
			in.report.exchange(x)
		case <-fold.C:
			in.report.idle()
		case key, ok := <-keys:
			if !ok {
				keys = nil
				continue
			}
			in.pressed(ctx, key, stop, state)
		case event := <-in.shares:
			if err := in.shareChanged(event); err != nil {
				return err
			}
		}
	}
}

// saved tells of a save. One that changed nothing, or only moved lines, is
// nothing to tell.
func (in *instance) saved(ctx context.Context, save devproxy.Save, state *status) {
	in.concealed(save)
	state.saved(save)
	if save.Plan != nil {
		in.sharing.follow(save.Plan)
	}
	var needed *consentError
	switch {
	case errors.As(save.Err, &needed):
		in.report.consent(needed.effects, consentStill)
	case save.Rejected():
		in.report.rejected(save, true)
	case !save.Applied.Changes.Empty() || state.recovered:
		in.report.applied(save)
	}
	if save.Plan != nil && len(save.Withheld) > 0 {
		in.report.consent(save.Withheld, consentPartial)
	}
	if !save.Rejected() && !slices.Equal(in.told, in.addrs()) {
		in.ready(ctx, save, state) // other ports, other addresses
	}
}

// pressed acts on a key of the last line of the banner.
func (in *instance) pressed(ctx context.Context, key byte, stop func(), state *status) {
	if request, ok := shareRequestOf(key); ok {
		if request.Op == control.OpStart {
			request = in.request()
		}
		in.askShare(ctx, request)
		return
	}
	switch key {
	case 'q', 'Q', 4: // Ctrl-D ends the input
		stop()
	case 'o', 'O':
		if urls := state.now().URLs; len(urls) > 0 {
			in.tasks.Go(func() error {
				if err := openBrowser(ctx, urls[0]); err != nil {
					in.note(err.Error() + ". To open it yourself:\n" + urls[0])
				}
				return nil
			})
		}
	}
}

// drain lets the requests in flight finish; a second Ctrl-C cuts them off. Where
// nobody can press it, they have unattendedPatience.
func (in *instance) drain(ctx context.Context, stopServing func(), served <-chan error) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)
	streams, requests := in.server.Streams(), in.server.InFlight()
	in.report.stopping(requests - streams)
	stopServing()
	ended := make(chan error, 1)
	go func() {
		err := <-served
		<-in.sharing.done // its visitors' requests too
		ended <- err
	}()
	late := time.NewTimer(unattendedPatience)
	defer late.Stop()
	if !errors.Is(context.Cause(ctx), errUnattended) {
		late.Stop()
	}
	for {
		select {
		case err := <-ended:
			in.stopped(requests-streams, streams)
			return err
		case sig := <-signals:
			if sig == syscall.SIGHUP { // one close of a terminal may send several
				late.Reset(unattendedPatience)
				continue
			}
		case <-late.C:
		}
		in.server.Close()
		err := <-ended
		in.stopped(0, streams)
		return err
	}
}

// stopped tells how it ended, for the link too.
func (in *instance) stopped(requests, sockets int) {
	in.report.stopped(requests, sockets, in.sharing.now())
}

// status is what the running instance says of itself.
type status struct {
	instance *instance

	mu        sync.Mutex
	rejected  *control.Rejected
	recovered bool // the last save was applied and the one before was not
}

// saved notes the outcome of a save.
func (st *status) saved(save devproxy.Save) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.recovered = st.rejected != nil && !save.Rejected()
	st.rejected = nil
	if !save.Rejected() {
		return
	}
	st.rejected = &control.Rejected{At: save.At, Diagnostics: diagnosticsJSON(save.Diagnostics)}
	if save.Err != nil {
		st.rejected.Error = save.Err.Error()
	}
}

// diagnosticsJSON is ds as an array of the objects that check --json prints.
func diagnosticsJSON(ds hcl.Diagnostics) json.RawMessage {
	text, err := json.Marshal(ds)
	if err != nil || ds == nil { // our own types
		return json.RawMessage("[]")
	}
	return text
}

// now asks every upstream; it is called by the control socket too.
func (st *status) now() control.Status {
	in := st.instance
	answer := control.Status{
		Folder: in.source.folder, PID: os.Getpid(), Version: version(), Started: in.started,
		Generation: in.server.Generation(), Streams: in.server.Streams(),
		Hosts: in.server.Hosts(context.Background()),
		URLs:  []string{},
	}
	answer.HTTPS = in.sockets.HTTPS()[0].String()
	if http := in.sockets.HTTP(); len(http) > 0 {
		addr := http[0].String()
		answer.HTTP = &addr
	}
	for _, host := range answer.Hosts {
		answer.URLs = append(answer.URLs, host.URL)
	}
	if share := in.sharing.now(); share.State != control.ShareNone {
		answer.Share = &share
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	answer.Rejected = st.rejected
	return answer
}
