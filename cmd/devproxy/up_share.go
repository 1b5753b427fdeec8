package main

import (
	"context"
	"crypto/x509"
	"os"
	"path/filepath"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/localca"
)

// openSharing makes the share that can begin from now on.
func (in *instance) openSharing(p *plan.Plan) error {
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return err
	}
	folder, err := filepath.EvalSymlinks(in.source.folder)
	if err != nil {
		return err
	}
	in.sharing = newSharing(shareEnv{
		server: in.server, folder: folder, home: home, log: in.log, congestion: in.opts.congestion,
		roots: func(relay string) *x509.CertPool { return relayRoots(relay, in.ca) },
		port:  in.httpsPort,
		tell:  in.tellShare,

		mayShare: in.consent.mayShare,
	}, p)
	return nil
}

// tellShare hands an event to the loop; after it, drain tells the last.
func (in *instance) tellShare(e shareEvent) {
	select {
	case in.shares <- e:
	case <-in.loopOver:
	}
}

// shareFirst begins what --share asks for. It does not wait for the relay.
func (in *instance) shareFirst(ctx context.Context) error {
	if !in.opts.share {
		return nil
	}
	_, err := in.sharing.do(ctx, in.request())
	if err != nil && !in.opts.shareOnly {
		in.shareTrouble(err)
		return nil
	}
	return shareFailure(err)
}

// request is what this `up` asks for when it shares. It serves on whatever becomes
// of the share, and tries again.
func (in *instance) request() control.ShareRequest {
	request := in.opts.request(in.opts.shareHosts)
	request.Keep = !in.opts.shareOnly
	return request
}

func (in *instance) shareTrouble(err error) {
	text, fix := describeError(err)
	in.tellShare(shareEvent{kind: shareTrouble, share: control.Share{Error: text, Fix: fix}})
}

// shareChanged tells of the share. The error ends a `share` whose link never came
// to be; `up --share` goes on serving.
func (in *instance) shareChanged(e shareEvent) error {
	if e.kind == shareShown {
		in.shown = true
	}
	if in.opts.shareOnly && !in.shown && e.share.State == control.ShareFailed {
		return failf(e.share.Fix, "%s", e.share.Error)
	}
	in.report.share(e)
	return nil
}

// askShare does what a key asks for, beside the loop.
func (in *instance) askShare(ctx context.Context, request control.ShareRequest) {
	in.tasks.Go(func() error {
		if _, err := in.sharing.do(ctx, request); err != nil && ctx.Err() == nil {
			in.shareTrouble(err)
		}
		return nil
	})
}
