//go:build unix

package front

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

const (
	// gracePeriod is how long a front that took over waits for the processes that
	// have registered with the last one: connections for unknown names wait, and so
	// do new names.
	gracePeriod = 2 * time.Second
	// stepDownPause is how long a process that stepped down leaves the role to
	// others.
	stepDownPause = time.Second
	// acceptPause follows an accept that failed. Without free descriptors it works
	// again once some are closed.
	acceptPause = 50 * time.Millisecond
)

// role is the front, while this process has the lock.
type role struct {
	shared *Shared
	socket *runtimedir.Listener
	grace  time.Time     // the end of the grace period; zero for none
	over   chan struct{} // closed when the role ends
	tasks  sync.WaitGroup
	// steppedDown is closed when this process has a lease; nil if it ends.
	steppedDown chan struct{}

	pending pending

	mu     sync.Mutex
	names  table
	leases map[*granted]struct{}
}

// lead makes this process, which has the lock, the front.
func (s *Shared) lead(ctx context.Context) (stage, error) {
	r := &role{shared: s, over: make(chan struct{}), names: table{}, leases: map[*granted]struct{}{}}
	var err error
	if s.sockets == nil {
		var opened Sockets
		opened, err = s.opts.Bind(ctx)
		s.sockets = bound(opened)
	} else {
		r.grace = time.Now().Add(gracePeriod)
		err = s.sockets.open()
	}
	if err == nil {
		r.socket, err = runtimedir.Listen(s.socket())
	}
	if err != nil {
		return nil, errors.Join(err, s.lock.Unlock())
	}
	return r, nil
}

// run accepts until ctx ends or the role is handed to another process.
func (r *role) run(ctx context.Context, stepDown <-chan chan struct{}) []connection {
	for _, s := range r.shared.sockets {
		r.tasks.Go(func() { r.accept(s) })
	}
	r.tasks.Go(r.acceptLeases)
	for {
		select {
		case <-ctx.Done():
			return r.end()
		case done := <-stepDown:
			if r.alone() {
				close(done)
				continue
			}
			r.steppedDown = done
			return r.end()
		}
	}
}

func (r *role) alone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.leases) == 0
}

// end stops accepting, hands over what was accepted and frees the lock, all before
// the leases break: the processes that notice can take the role at once.
func (r *role) end() (unread []connection) {
	close(r.over)
	r.shared.sockets.interrupt()
	r.socket.Close() // and removes it
	r.pending.interrupt()
	r.tasks.Wait()
	r.shared.sockets.resume()
	r.mu.Lock()
	leases := slices.Collect(maps.Keys(r.leases))
	r.mu.Unlock()
	unread = r.pending.take()
	for _, l := range leases {
		unread = l.handOver(unread)
	}
	if err := r.shared.lock.Unlock(); err != nil {
		r.shared.opts.Log.Warn("the lock of the front was not released", "error", err)
	}
	for _, l := range leases {
		l.end()
	}
	return unread
}

// accept accepts on one of the shared sockets until the role ends.
func (r *role) accept(s *socket) {
	for {
		c, err := s.listener.AcceptTCP()
		switch {
		case err == nil:
			r.admit(connection{c, s.secure})
			continue
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		}
		r.shared.opts.Log.Warn("accepting a connection failed; retrying", "listener", s.addr.String(), "error", err)
		select {
		case <-time.After(acceptPause):
		case <-r.over:
			return
		}
	}
}

// admit passes c on at once if its first bytes are there and its owner is ready; else
// a goroutine waits for both.
func (r *role) admit(c connection) {
	name, known, err := peek(c)
	if err != nil {
		c.Close()
		return
	}
	if known && r.pass(name, c) == nil {
		return
	}
	r.pending.add(c, func() {
		r.tasks.Go(func() {
			if r.wait(c, name, known) {
				r.pending.remove(c)
			}
		})
	})
}

// wait passes c on when its name is known and its owner takes it, or closes it after
// some time. It reports false if the role ends before: c is for the next front.
func (r *role) wait(c connection, name string, known bool) bool {
	if !known {
		var err error
		name, err = readName(c, r.over)
		if errors.Is(err, errOver) {
			return false
		}
		if err != nil {
			c.Close()
			return true
		}
	}
	deadline := time.Now().Add(passTimeout)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := r.pass(name, c)
		if err == nil {
			return true
		}
		if time.Now().After(deadline) {
			c.Close()
			return true
		}
		select {
		case <-r.over:
			return false
		case <-time.After(pause):
		}
	}
}

// errUnknown is the error of a name that may be registered soon.
var errUnknown = errors.New("the name is not registered yet")

// pass passes c to the owner of a name, or to this process if it has none. The error
// says why it is too early.
func (r *role) pass(name string, c connection) error {
	r.mu.Lock()
	owner := r.names.lookup(name)
	r.mu.Unlock()
	switch {
	case owner != nil:
	case time.Now().Before(r.grace):
		return errUnknown
	default:
		owner = r.shared.own
	}
	return owner.pass(c)
}

// register replaces the names of this process.
func (r *role) register(given names) error { return r.registerFor(r.shared.own, given) }

// registerFor replaces the names of o. New ones wait for those that an earlier front
// had granted. The error is a *TakenError, or errStageOver.
func (r *role) registerFor(o owner, given names) error {
	if wait := time.Until(r.grace); wait > 0 && !given.Again {
		select {
		case <-time.After(wait):
		case <-r.over:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if isClosed(r.over) {
		return errStageOver
	}
	if taken := r.names.replace(o, given.Names); taken != nil {
		return taken
	}
	return nil
}

// classify admits connections that another front has accepted.
func (r *role) classify(unread []connection) []connection {
	for _, c := range unread {
		r.admit(c)
	}
	return nil
}
