package main

import (
	"context"
	"errors"
	"time"

	"github.com/devproxy/devproxy/devproxy"
	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/failure"
)

const (
	// pollConnecting is between queries of a share that connects, pollShared between
	// those of one that works.
	pollConnecting = 50 * time.Millisecond
	pollShared     = 500 * time.Millisecond
	// maxUnanswered is how many queries in a row may fail.
	maxUnanswered = 3
	// sleepTimeout bounds putting the link to sleep at the end.
	sleepTimeout = 10 * time.Second
	// oneMore is what the key e adds.
	oneMore = time.Hour
)

// attached is a `devproxy share` next to the `up` that shares.
type attached struct {
	client *control.Client
	report *reporter
	last   control.Share
}

// attach has the running instance share, and tells what happens until the link is
// over. When ctx ends, the link goes to sleep.
func attach(ctx context.Context, s *streams, client *control.Client, opts upOptions, hosts []string) error {
	a := &attached{client: client, last: control.Share{State: control.ShareNone}, report: newReporter(s, opts, source{})}
	a.report.serving = false
	keys, restore := a.report.readKeys()
	defer restore()
	if err := a.send(ctx, opts.request(hosts)); err != nil {
		return err
	}
	return a.follow(ctx, keys)
}

// send sends a request and tells what has changed.
func (a *attached) send(ctx context.Context, request control.ShareRequest) error {
	now, err := a.client.Share(ctx, request)
	if refused, ok := errors.AsType[*control.ShareError](err); ok {
		return failf(refused.Fix, "%w", err)
	}
	if err != nil {
		return err
	}
	event, changed := devproxy.CompareShare(a.last, now)
	a.last = now
	if changed && now.State == control.ShareFailed {
		return failf(now.Fix, "%s", now.Error)
	}
	if changed {
		a.report.share(event)
	}
	return nil
}

// follow queries the share until the link is over.
func (a *attached) follow(ctx context.Context, keys <-chan byte) error {
	for unanswered := 0; !devproxy.IsShareOver(a.last.State); {
		request, pressed := a.next(ctx, keys)
		if ctx.Err() != nil {
			return a.sleep()
		}
		err := a.send(ctx, request)
		_, refused := errors.AsType[*failure.Error](err)
		switch {
		case err == nil:
			unanswered = 0
		case errors.Is(err, control.ErrNotRunning):
			a.stopped()
			return nil
		case refused && !pressed:
			return err
		case refused:
			now := a.last
			now.Error, now.Fix = devproxy.Explain(err)
			a.report.share(devproxy.ShareEvent{Kind: devproxy.ShareTrouble, Share: now})
		case ctx.Err() == nil:
			// An instance that ends breaks off its last responses.
			if unanswered++; unanswered > maxUnanswered {
				return err
			}
		}
	}
	return nil
}

// next returns the next request: that of a key that is pressed, else a query.
func (a *attached) next(ctx context.Context, keys <-chan byte) (request control.ShareRequest, pressed bool) {
	pause := pollShared
	if a.last.State == control.ShareConnecting {
		pause = pollConnecting
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		case key := <-keys:
			if request, ok := shareRequestOf(key); ok {
				return request, true
			}
			continue
		}
		return control.ShareRequest{Op: control.OpLook}, false
	}
}

// shareRequestOf returns the request of a key; false for any other key.
func shareRequestOf(key byte) (control.ShareRequest, bool) {
	switch key {
	case 's', 'S':
		return control.ShareRequest{Op: control.OpStart}, true
	case 'e', 'E':
		return control.ShareRequest{Op: control.OpExtend, For: oneMore}, true
	case 'n', 'N':
		return control.ShareRequest{Op: control.OpNew}, true
	case 'x', 'X':
		return control.ShareRequest{Op: control.OpEnd}, true
	}
	return control.ShareRequest{}, false
}

// stopped tells that the `up` that shared has ended. Its link sleeps.
func (a *attached) stopped() {
	now := a.last
	now.State, now.Error, now.Fix = control.ShareAsleep, "", ""
	a.report.share(devproxy.ShareEvent{Kind: devproxy.ShareOver, Before: a.last, Share: now})
}

// sleep puts the link to sleep, since this command started it.
func (a *attached) sleep() error {
	ctx, cancel := context.WithTimeout(context.Background(), sleepTimeout)
	defer cancel()
	return a.send(ctx, control.ShareRequest{Op: control.OpSleep})
}
