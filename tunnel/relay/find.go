package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/budget"
)

// resumePoll is how often a session without lanes is looked at while a request
// waits for it: sessions tell of their end, not of their lanes.
const resumePoll = 25 * time.Millisecond

// Why a name has no share. An *EndedError is a third reason.
var (
	errUnknown = errors.New("nobody has this name")
	errAsleep  = errors.New("nobody shares this name now")
	errAway    = errors.New("the share's agent is not connected at the moment")
	errBusy    = errors.New("too many requests of this share are under way")
)

// find is the share of name, ready for a stream. It waits for one that is in
// resume or just gone, unless another process has taken over. A person who waits
// for a page waits for less long, and not at all for an agent that has said
// goodbye.
func (r *Relay) find(ctx context.Context, name string, person bool) (live, error) {
	patience, grace := r.opts.Limits.Wait, restartGrace
	if person {
		patience, grace = min(patience, pageAfter), 0
	}
	visitor := ctx
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		l, held, news := r.shares.find(name)
		now := time.Now()
		switch {
		case held && l.claimed.expired(now):
			return live{}, &EndedError{name, l.claimed.until}
		case held && l.ready():
			return l, nil
		case !l.lost.IsZero() && now.Sub(l.lost) > recentlyGone:
			return live{}, errAsleep
		case !l.lost.IsZero() && l.goodbye && now.Sub(l.lost) >= grace:
			return live{}, errAsleep
		case !held:
			if err := r.absent(ctx, name, now); err != nil {
				return live{}, err
			}
		}
		if r.dialSuccessor() != nil {
			return live{}, errAsleep // it will not come back to this process
		}
		if !wait(ctx, news) {
			if person && visitor.Err() == nil {
				return live{}, errAway
			}
			return live{}, errAsleep
		}
	}
}

// absent says why no session holds name; nil when one is to be expected: the
// relay has just started, and agents are on their way.
func (r *Relay) absent(ctx context.Context, name string, now time.Time) error {
	record, known, err := r.recall(ctx, name)
	switch {
	case errors.Is(err, ErrSuspended):
		return errAsleep
	case err != nil:
		return err
	case !known:
		return errUnknown
	}
	if at, ended := record.EndedAt(now); ended {
		return &EndedError{name, at}
	}
	if now.Sub(r.created) > recentlyGone {
		return errAsleep
	}
	return nil
}

// recall is what the registry knows of the share that name belongs to.
func (r *Relay) recall(ctx context.Context, name string) (Record, bool, error) {
	root, ok := tunnel.Root(name, r.opts.Domain)
	if !ok || r.shares.isHeld(root) {
		return Record{}, false, nil // its agent is here, and does not share name
	}
	record, known, err := r.opts.Registry.Lookup(ctx, root)
	if err != nil {
		return Record{}, false, fmt.Errorf("cannot look %s up: %w", root, err)
	}
	return record, known, nil
}

// wait returns when there are news, or lanes may have come back; false when
// ctx has ended.
func wait(ctx context.Context, news <-chan struct{}) bool {
	timer := time.NewTimer(resumePoll)
	defer timer.Stop()
	select {
	case <-news:
		return true
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// opened is a stream for one request.
type opened struct {
	agentConn
	claimed *claimed // what the share was granted
	share   *share   // nil for a stream by way of a successor
	slot    *slot    // nil with share
}

// close ends the stream, and the request with it. One that the visitor gave up
// keeps its slot until the agent has heard of it.
func (o opened) close(gaveUp bool) {
	o.Close() // never fails
	switch {
	case o.share == nil:
	case gaveUp:
		time.AfterFunc(max(cancelledFor, 2*o.share.session.Stats().RTT), o.slot.release)
	default:
		o.slot.release()
	}
}

// lost reports whether the whole session has ended, and not the stream alone.
func (o opened) lost() bool { return o.share != nil && o.share.session.Err() != nil }

// gaveWay reports whether another visitor needed the slot.
func (o opened) gaveWay() bool { return o.slot != nil && o.slot.evicted.Load() }

// open opens a stream for a request to name that a visitor has sent. person says
// that somebody waits for a page.
func (r *Relay) open(ctx context.Context, name string, visitor netip.Addr, head []byte, person bool) (opened, error) {
	for {
		if dial := r.dialSuccessor(); dial != nil {
			return r.openLate(ctx, dial, head)
		}
		l, err := r.find(ctx, name, person)
		if err != nil {
			if r.dialSuccessor() != nil {
				continue // it was handed over meanwhile
			}
			return opened{}, err
		}
		st, slot, err := r.openOn(ctx, l, budget.NetworkOf(visitor), head)
		if err == nil {
			return opened{st, l.claimed, l.share, slot}, nil
		}
		if errors.Is(err, errBusy) {
			r.metrics.limited.WithLabelValues("share").Inc()
			return opened{}, err
		}
		if ctx.Err() != nil {
			return opened{}, ctx.Err()
		}
		// The session has just ended or begun to drain; find knows by now.
	}
}

// openOn opens a stream on a session, as soon as the share has room for it.
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
		if !errors.Is(err, tunnel.ErrTooManyStreams) {
			slot.release()
			return nil, nil, err
		}
		// Streams of requests that are over are still to be acknowledged.
		if !wait(ctx, nil) {
			slot.release()
			return nil, nil, cmp.Or(visitor.Err(), errBusy)
		}
	}
}
