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

	"golang.org/x/sys/unix"

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
	// lookPeriod is how often the front looks whether others can still find it.
	lookPeriod = 2 * time.Second
)

// role is the front, while this process has the lock.
type role struct {
	shared *Shared
	socket *runtimedir.Listener
	file   os.FileInfo   // of the socket
	grace  time.Time     // the end of the grace period; zero for none
	over   chan struct{} // closed when the role ends
	// tasks accept connections and wait for them; serving are the leases.
	tasks, serving sync.WaitGroup
	// steppedDown is closed when this process has a lease; nil if it ends.
	steppedDown chan struct{}

	pending pending

	mu        sync.Mutex
	accepting bool // on the sockets that were there at the start
	names     table
	leases    map[*granted]struct{}
}

// lead makes this process, which has the lock, the front.
func (s *Shared) lead(ctx context.Context) (stage, error) {
	r := &role{shared: s, over: make(chan struct{}), names: table{}, leases: map[*granted]struct{}{}}
	var err error
	if s.all() == nil {
		var opened Sockets
		opened, err = s.opts.Bind(ctx)
		s.merge(bound(opened))
	} else {
		r.grace = time.Now().Add(gracePeriod)
		err = s.all().open()
	}
	if err == nil {
		r.socket, err = s.listen()
	}
	if err != nil {
		return nil, errors.Join(err, s.lock.Unlock())
	}
	if r.file, err = os.Lstat(s.socket()); err != nil {
		return nil, errors.Join(err, r.socket.Close(), s.lock.Unlock())
	}
	r.socket.SetUnlinkOnClose(false) // see unlink
	return r, nil
}

// listen opens the front's socket.
func (s *Shared) listen() (*runtimedir.Listener, error) {
	if socket := s.inherited(); socket != nil {
		return runtimedir.Inherit(socket)
	}
	return runtimedir.Listen(s.socket())
}

// removed reports whether the socket was removed, as a cleaner of temporary directories
// does, and can be made again. Another one in its place is that of another front.
func (r *role) removed() bool {
	if r.shared.inherited() != nil {
		return false // only systemd can make it again
	}
	_, err := os.Lstat(r.shared.socket())
	return errors.Is(err, os.ErrNotExist) && runtimedir.Ensure(r.shared.opts.Dir) == nil
}

// unlink removes the socket, unless it is that of another front or of systemd.
func (r *role) unlink() {
	if r.shared.inherited() != nil {
		return
	}
	if there, err := os.Lstat(r.shared.socket()); err == nil && os.SameFile(there, r.file) {
		_ = os.Remove(r.shared.socket()) // the next front replaces it
	}
}

// run accepts until ctx ends, the role is handed to another process, or others cannot
// find it: it then begins again.
func (r *role) run(ctx context.Context, stepDown <-chan chan struct{}) []connection {
	r.mu.Lock()
	r.accepting = true
	for _, s := range r.shared.all() {
		r.tasks.Go(func() { r.accept(s) })
	}
	r.mu.Unlock()
	r.tasks.Go(r.acceptLeases)
	look := time.NewTicker(lookPeriod)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.end()
		case <-look.C:
			if r.removed() {
				return r.end()
			}
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
	r.mu.Lock()
	close(r.over)
	r.mu.Unlock()
	r.shared.all().interrupt()
	r.unlink()
	r.socket.Close()
	r.pending.interrupt()
	r.tasks.Wait()
	r.mu.Lock()
	leases := slices.Collect(maps.Keys(r.leases))
	r.mu.Unlock()
	unread = r.pending.take()
	for _, l := range leases {
		if l.ready.Load() {
			unread = l.handOver(unread)
		}
	}
	if err := r.shared.lock.Unlock(); err != nil {
		r.shared.opts.Log.Warn("the lock of the front was not released", "error", err)
	}
	for _, l := range leases {
		l.conn.Close()
	}
	r.serving.Wait()
	r.shared.all().rest()
	return unread
}

// accept accepts on one of the shared sockets until the role ends.
func (r *role) accept(s *socket) {
	listener := s.accepting()
	for {
		s.setNonblock()
		c, err := listener.AcceptTCP()
		switch {
		case err == nil && !Local(s.addr, c.RemoteAddr()):
			c.Close()
			continue
		case err == nil:
			r.admit(connection{c, s.secure})
			continue
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		}
		r.makeRoom(err, s.addr.String())
	}
}

// makeRoom follows an accept that failed. Without free descriptors, it closes the
// connection that waits longest: clients that send nothing must not keep others out.
func (r *role) makeRoom(err error, listener string) {
	if (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) && r.pending.free() {
		return
	}
	r.shared.opts.Log.Warn("accepting a connection failed; retrying", "listener", listener, "error", err)
	select {
	case <-time.After(acceptPause):
	case <-r.over:
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
		r.tasks.Go(func() { r.wait(c, name, known) })
	})
}

// wait passes c on when its name is known and its owner takes it, or closes it after
// some time. If the role ends before, c stays in pending: it is for the next front.
func (r *role) wait(c connection, name string, known bool) {
	if !known {
		var err error
		name, err = readName(c, r.over)
		if errors.Is(err, errOver) {
			return
		}
		if err != nil {
			r.pending.drop(c)
			return
		}
	}
	deadline := time.Now().Add(passTimeout)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := r.pending.pass(c, func() error { return r.pass(name, c) })
		if err == nil || errors.Is(err, errGone) || errors.Is(err, errOver) {
			return
		}
		if time.Now().After(deadline) {
			r.pending.drop(c)
			return
		}
		select {
		case <-r.over:
			return
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

// add accepts on more sockets, and gives them to all leases.
func (r *role) add(more sockets) error {
	if err := more.open(); err != nil {
		return err
	}
	leases, err := r.acceptMore(more)
	if err != nil {
		return err
	}
	for _, l := range leases {
		if err := l.share(); err != nil {
			r.shared.opts.Log.Warn("a project did not get the new ports", "error", err)
		}
	}
	return nil
}

func (r *role) acceptMore(more sockets) ([]*granted, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isClosed(r.over) {
		return nil, errStageOver
	}
	for _, s := range r.shared.merge(more) {
		if r.accepting {
			r.tasks.Go(func() { r.accept(s) })
		}
	}
	return slices.Collect(maps.Keys(r.leases)), nil
}

// classify admits connections that another front has accepted.
func (r *role) classify(unread []connection) []connection {
	for _, c := range unread {
		r.admit(c)
	}
	return nil
}
