package main

import (
	"context"
	"errors"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
)

const (
	// lookOften is between looks at a share that connects, lookRarely at one
	// that stands.
	lookOften  = 50 * time.Millisecond
	lookRarely = 500 * time.Millisecond
	// maxSilent is how many looks in a row may fail.
	maxSilent = 3
	// sleepPatience bounds putting the link to sleep when we are stopped.
	sleepPatience = 10 * time.Second
)

// shareReport tells of a share, to a person or a program.
type shareReport interface{ tell(shareEvent) }

// attached is a `devproxy share` beside the `up` that does it.
type attached struct {
	client *control.Client
	report shareReport
	last   control.Share
}

// attach has the running instance share, and tells of it until the link is
// over. When ctx ends, the link goes to sleep.
func attach(ctx context.Context, s *streams, client *control.Client, request control.ShareRequest, asJSON bool) error {
	a := &attached{client: client, last: control.Share{State: control.ShareNone}}
	a.report = shareJSON{s}
	var keys <-chan byte
	if !asJSON {
		interactive := s.InTTY && s.OutTTY
		a.report = &shareText{streams: s, keys: interactive}
		if interactive {
			typed, restore := readKeys(s.In)
			defer restore()
			keys = typed
		}
	}
	if err := a.ask(ctx, request); err != nil {
		return err
	}
	return a.follow(ctx, keys)
}

// ask asks for something and tells what came of it.
func (a *attached) ask(ctx context.Context, request control.ShareRequest) error {
	now, err := a.client.Share(ctx, request)
	var refused *control.ShareError
	if errors.As(err, &refused) {
		return failf(refused.Fix, "%w", err)
	}
	if err != nil {
		return err
	}
	event, changed := shareChange(a.last, now)
	a.last = now
	if changed && now.State == control.ShareFailed {
		return failf(now.Fix, "%s", now.Error)
	}
	if changed {
		a.report.tell(event)
	}
	return nil
}

// follow looks now and then until the link is over.
func (a *attached) follow(ctx context.Context, keys <-chan byte) error {
	for silent := 0; !isOver(a.last.State); {
		request, asked := a.next(ctx, keys)
		if ctx.Err() != nil {
			return a.sleep()
		}
		err := a.ask(ctx, request)
		var verb *exitError
		switch {
		case err == nil:
			silent = 0
		case errors.Is(err, control.ErrNotRunning):
			return a.left()
		case errors.As(err, &verb) && !asked:
			return err
		case errors.As(err, &verb):
			a.trouble(err)
		case ctx.Err() == nil:
			// An instance that ends breaks off its last answers.
			if silent++; silent > maxSilent {
				return err
			}
		}
	}
	return nil
}

// next is what to ask: what a key says, else how it stands.
func (a *attached) next(ctx context.Context, keys <-chan byte) (request control.ShareRequest, asked bool) {
	pause := lookRarely
	if a.last.State == control.ShareConnecting {
		pause = lookOften
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

// trouble tells of a key whose wish was refused.
func (a *attached) trouble(err error) {
	now := a.last
	now.Error, now.Fix = describeError(err)
	a.report.tell(shareEvent{kind: shareTrouble, share: now})
}

// left is the end of the `up` that shared: its link sleeps.
func (a *attached) left() error {
	now := a.last
	now.State, now.Error, now.Fix = control.ShareAsleep, "", ""
	a.report.tell(shareEvent{kind: shareOver, before: a.last, share: now})
	return nil
}

// sleep puts the link to sleep: whoever shared it is told to stop.
func (a *attached) sleep() error {
	ctx, cancel := context.WithTimeout(context.Background(), sleepPatience)
	defer cancel()
	return a.ask(ctx, control.ShareRequest{Op: control.OpSleep})
}
