package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/page"
)

const (
	// resumePoll is how often a waiting request looks at a session without lanes:
	// sessions report their end, not their lanes.
	resumePoll = 25 * time.Millisecond
	// watchEvery is how often watchAgent looks at a session.
	watchEvery = 500 * time.Millisecond
)

// Why a request gets no stream. An *EndedError is another reason.
var (
	errUnknownName = &pageError{"no key has this name", page.Page{Status: http.StatusNotFound, Title: "This link does not exist.",
		Lead: "Nothing is shared under this name. Is the address complete? Ask the person who sent it."}}
	errAsleep = &pageError{"the share is asleep: its agent is not connected", page.Page{Status: http.StatusServiceUnavailable, Title: "This share is asleep.",
		Lead:  "The computer that shares it is not connected now. This page opens by itself when it is back.",
		Hints: []string{"Yours? Run `devproxy share` in the project; the link stays the same."}, RetryAfter: 10}}
	errAway = &pageError{"the share's agent does not answer at the moment", page.Page{Status: http.StatusServiceUnavailable, Title: "This share is not connected at the moment.",
		Lead:  "The computer that shares it may be asleep, or between two networks. This page opens by itself when it is back.",
		Hints: []string{"Yours? Run `devproxy share` in the project if it is not running; the link stays the same."}, RetryAfter: 1}}
	errBusy = &pageError{"too many requests of this share are in progress", page.Page{Status: http.StatusServiceUnavailable, Title: "This share has too many visitors right now.",
		Lead: "Try again in a moment.", RetryAfter: 1}}
)

// agentConn is the connection to an agent that carries an exchange: a
// *tunnel.Stream, or a connection to a successor.
type agentConn interface {
	net.Conn
	CloseWrite() error
	Reset()
}

// requestStream is a stream for one request.
type requestStream struct {
	agentConn
	claimed *claimed // the names that the share was granted
	share   *share   // nil for a stream through a successor
	slot    *slot    // uncounted without share
}

// close ends the stream, and the request with it. The slot of a request that the
// visitor has cancelled stays taken until the agent has been told.
func (s requestStream) close(cancelled bool) {
	s.Close() // never fails
	if cancelled && s.share != nil {
		time.AfterFunc(max(cancelledFor, 2*s.share.session.Stats().RTT), s.slot.release)
	} else {
		s.slot.release()
	}
}

// lost reports whether the whole session has ended, not only the stream.
func (s requestStream) lost() bool { return s.share != nil && s.share.session.Err() != nil }

// lostSlot reports whether another visitor needed the slot.
func (s requestStream) lostSlot() bool { return s.slot.evicted.Load() }

// openStream opens a stream for a visitor's request to name. person reports that a
// person waits for a page.
func (r *Relay) openStream(ctx context.Context, name string, visitor netip.Addr, head []byte, person bool) (requestStream, error) {
	for {
		if dial := r.successor.Load(); dial != nil {
			return r.openAtSuccessor(ctx, *dial, head)
		}
		l, err := r.find(ctx, name, person)
		if err != nil {
			if r.successor.Load() != nil {
				continue // the relay was handed over meanwhile
			}
			return requestStream{}, err
		}
		st, slot, err := r.openOn(ctx, l, budget.NetworkOf(visitor), head)
		switch {
		case err == nil:
			return requestStream{st, l.claimed, l.share, slot}, nil
		case errors.Is(err, errBusy):
			r.metrics.limited.WithLabelValues("share").Inc()
			return requestStream{}, err
		case ctx.Err() != nil:
			return requestStream{}, ctx.Err()
		}
		// The session has just ended or begun to drain, which find sees.
	}
}

// find returns the share of name, ready for a stream. It waits for one that is
// resuming or was just lost, unless another process has taken over. A person does
// not wait as long, and not at all for an agent that has said goodbye.
func (r *Relay) find(ctx context.Context, name string, person bool) (live, error) {
	patience, grace := r.opts.Limits.Wait, restartGrace
	if person {
		patience, grace = min(patience, pageAfter), 0
	}
	visitor := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		l, held, changed := r.shares.find(name)
		now := time.Now()
		switch {
		case held && l.claimed.expired(now):
			return live{}, &EndedError{name, l.claimed.until}
		case held && l.ready():
			return l, nil
		case !l.lost.IsZero() && (now.Sub(l.lost) > recentlyGone || l.goodbye && now.Sub(l.lost) >= grace):
			return live{}, errAsleep
		case !held:
			if err := r.whyAbsent(ctx, name, now); err != nil {
				return live{}, err
			}
		}
		if r.successor.Load() != nil {
			return live{}, errAsleep // it will not reconnect to this process
		}
		if !wait(ctx, resumePoll, changed) {
			if person && visitor.Err() == nil {
				return live{}, errAway
			}
			return live{}, errAsleep
		}
	}
}

// whyAbsent returns why no session has name. It returns nil when one may come: the
// relay has just started, and agents are about to connect.
func (r *Relay) whyAbsent(ctx context.Context, name string, now time.Time) error {
	if !r.isOwn(name) && r.mayHave(name) {
		return nil
	}
	root, ok := tunnel.Root(name, r.opts.Domain)
	if !ok || r.shares.isHeld(root) {
		return errUnknownName // its agent is connected, and does not share name
	}
	record, known, err := r.opts.Registry.Lookup(ctx, root)
	switch {
	case errors.Is(err, ErrSuspended):
		return errAsleep
	case err != nil:
		return fmt.Errorf("cannot look up %s: %w", root, err)
	case !known:
		return errUnknownName
	}
	if at, ended := record.EndedAt(now); ended {
		return &EndedError{name, at}
	}
	if now.Sub(r.created) > recentlyGone {
		return errAsleep
	}
	return nil
}

// wait returns after d, or when changed is closed. It reports false when ctx has ended.
func wait(ctx context.Context, d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
		return true
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// openOn opens a stream on a session, as soon as the share has a free slot.
func (r *Relay) openOn(ctx context.Context, l live, network netip.Prefix, head []byte) (*tunnel.Stream, *slot, error) {
	visitor := ctx
	ctx, cancel := context.WithTimeout(ctx, r.opts.Limits.Wait)
	defer cancel()
	slot, err := l.slots.take(ctx, network)
	if err != nil {
		return nil, nil, cmp.Or(visitor.Err(), err)
	}
	for {
		st, err := l.session.Open(head)
		if err == nil {
			return st, slot, nil
		}
		// Streams of requests that have ended may still have to be acknowledged.
		if !errors.Is(err, tunnel.ErrTooManyStreams) {
			slot.release()
			return nil, nil, err
		}
		if !wait(ctx, resumePoll, nil) {
			slot.release()
			return nil, nil, cmp.Or(visitor.Err(), error(errBusy))
		}
	}
}

// watchAgent resets the stream when its agent is away, while a person waits for a page.
// A laptop that has fallen asleep keeps its connections, and a session without lanes
// may be resumed much later. It begins after the request was sent. stop ends it, and
// reports whether the agent was away; it may be called again.
func (s requestStream) watchAgent() (stop func() (away bool)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	isAway := func() bool { return errors.Is(context.Cause(ctx), errAway) }
	sent, session := time.Now(), s.share.session
	patience := max(pageAfter, 4*session.Stats().RTT)
	go func() {
		var lost time.Time // since when the session has no lanes; zero while it has some
		for next := patience; wait(ctx, next, nil); next = watchEvery {
			stats, now := session.Stats(), time.Now()
			switch {
			case stats.Lanes > 0:
				lost = time.Time{}
			case lost.IsZero():
				lost = now
			}
			if stats.Heard.Before(sent) || !lost.IsZero() && now.Sub(lost) >= patience {
				cancel(errAway)
			}
		}
		if isAway() {
			s.Reset()
		}
	}()
	return func() bool {
		cancel(nil)
		return isAway()
	}
}
