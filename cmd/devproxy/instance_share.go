package main

import (
	"context"
	"crypto/x509"
	"path/filepath"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// openSharer makes the Sharer, which shares nothing yet.
func (in *instance) openSharer(p *plan.Plan) error {
	folder, err := filepath.EvalSymlinks(in.source.folder)
	if err != nil {
		return err
	}
	in.sharer = devproxy.NewSharer(devproxy.SharerOptions{
		Server: in.server, Folder: folder, Store: in.consent.logins, Log: in.log, Congestion: in.opts.congestion,
		Roots:     func(relay string) *x509.CertPool { return relayRoots(relay, in.ca) },
		HTTPSPort: in.httpsPort,
		HTTPPort:  in.httpPort,
		Relays:    in.relays,
		Consent:   in.consent.mayShare,
		Notify:    func(e devproxy.ShareEvent) { in.post(func() error { return in.shareChanged(e) }) },
	}, p)
	in.published = p.Share()
	in.writePublicURLs()
	return nil
}

// follow makes p the plan that is shared.
func (in *instance) follow(p *plan.Plan) {
	in.sharer.Follow(p)
	in.published = p.Share()
	in.writePublicURLs()
}

// shareFirst starts the share of --share. It does not wait for the relay.
func (in *instance) shareFirst(ctx context.Context) error {
	if !in.opts.share {
		return nil
	}
	_, err := in.sharer.Do(ctx, in.shareRequest())
	if err != nil && !in.opts.shareOnly {
		in.shareTrouble(err)
		return nil
	}
	return err
}

// shareRequest is the request for the share of this `up`. If that fails, `up`
// keeps serving and tries again.
func (in *instance) shareRequest() control.ShareRequest {
	request := in.opts.request(in.opts.shareHosts)
	request.Keep = !in.opts.shareOnly
	return request
}

// shareForOther handles the request of another process. Its errors keep their fix on
// the way there.
func (in *instance) shareForOther(ctx context.Context, request control.ShareRequest) (control.Share, error) {
	state, err := in.sharer.Do(ctx, request)
	if text, fix := devproxy.Explain(err); err != nil {
		return state, &control.ShareError{Text: text, Fix: fix}
	}
	return state, nil
}

func (in *instance) shareTrouble(err error) {
	text, fix := devproxy.Explain(err)
	e := devproxy.ShareEvent{Kind: devproxy.ShareTrouble, Share: control.Share{Error: text, Fix: fix}}
	in.post(func() error { return in.shareChanged(e) })
}

// callbacks returns the URLs of the project's callback host.
func (in *instance) callbacks() []string {
	return devproxy.Callbacks(in.consent.logins, in.published)
}

// writePublicURLs writes the addresses of the share to the file that services read, and
// those of the callback host. Without either it is empty.
func (in *instance) writePublicURLs() {
	if err := in.lock.WritePublicURLs(in.sharer.Status(), in.callbacks()); err != nil {
		in.say("the file with the public addresses was not written: " + err.Error())
	}
}
