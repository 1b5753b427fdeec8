//go:build unix

package front

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

// connectTimeout is how long the front may take to send its sockets. It takes
// milliseconds; a process that was stopped does not answer.
const connectTimeout = 2 * time.Second

// leaveTimeout is how long a project that leaves waits until its names are free.
const leaveTimeout = time.Second

// handOverTimeout is how long handing over waits for a process that takes no
// connection. One that was stopped takes some hundred.
const handOverTimeout = 250 * time.Millisecond

// lease is a project's end of its connection to the front.
type lease struct {
	*wire
	shared  *Shared
	grows   bool          // the front takes more sockets
	gave    bool          // the first result is for sockets that open gave; of the receiver
	results chan result   // one for each names, and each kindSockets
	ended   chan struct{} // closed when receiving has ended
	unread  []connection  // handed over by a front at its end; of the receiver until ended
}

// errNoFront is the error of connect when no process has the front's socket.
var errNoFront = errors.New("no process accepts connections there")

// connect gets a lease from the front, and the sockets that this process lacks. It
// gives the front those that it lacks.
func (s *Shared) connect() (*lease, error) {
	conn, err := net.DialTimeout("unix", s.socket(), connectTimeout)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoFront, err)
	}
	l := &lease{wire: &wire{conn: conn.(*net.UnixConn)}, shared: s, results: make(chan result, 1), ended: make(chan struct{})}
	if err := l.open(); err != nil {
		conn.Close()
		return nil, err
	}
	go l.receiveAll()
	return l, nil
}

func (l *lease) open() error {
	if !runtimedir.TrustedPeer(l.conn) { // of root: systemd
		return errors.New("its process belongs to another user")
	}
	_ = l.conn.SetReadDeadline(time.Now().Add(connectTimeout))
	if err := l.sendJSON(kindHello, hello{Version: version, PID: os.Getpid()}); err != nil {
		return err
	}
	for {
		m, err := l.receive()
		if err != nil {
			return err
		}
		if m.kind == kindSockets {
			return errors.Join(l.took(m), l.conn.SetReadDeadline(time.Time{}))
		}
		m.close() // a kind of the future
	}
}

// took takes the sockets of a message that this process lacks, and gives the front those
// that it lacks.
func (l *lease) took(m message) error {
	defer m.close()
	var sent shared
	if err := json.Unmarshal(m.content, &sent); err != nil {
		return fmt.Errorf("it sent %q instead of its sockets", m.content)
	}
	ours := l.shared.all()
	l.grows = sent.Grows
	theirs, err := sent.received(m.files)
	switch {
	case err != nil && ours == nil:
		return err
	case ours == nil && len(sent.HTTPS) == 0:
		theirs.close()
		return errors.New("it sent no sockets of HTTPS")
	case err != nil:
		return nil // this process has sockets, and may have no descriptors for more
	}
	l.shared.merge(theirs)
	if missing := ours.without(theirs); l.grows && len(missing) > 0 {
		l.gave = true
		return l.sendSockets(missing)
	}
	return nil
}

// run takes this process's connections until the lease breaks. It returns those that
// a front at its end has handed over.
func (l *lease) run(ctx context.Context, stepDown <-chan chan struct{}) []connection {
	defer l.conn.Close()
	for {
		select {
		case <-l.ended:
			return l.unread
		case <-ctx.Done():
			// The front closes its end when the names are free.
			_ = l.conn.CloseWrite()
			select {
			case <-l.ended:
			case <-time.After(leaveTimeout):
				l.conn.Close()
				<-l.ended
			}
			return l.unread
		case done := <-stepDown:
			close(done)
		}
	}
}

// receiveAll receives until the lease breaks.
func (l *lease) receiveAll() {
	defer close(l.ended)
	for {
		m, err := l.receive()
		if err != nil {
			return
		}
		switch m.kind {
		case kindPassed, kindUnread:
			c, err := m.connection()
			switch {
			case errors.Is(err, errLeft):
			case err != nil:
				l.shared.opts.Log.Warn("a connection was lost", "error", err)
			case m.kind == kindPassed:
				l.shared.own.take(l.shared.ctx, c)
			default:
				l.unread = append(l.unread, c)
			}
		case kindResult:
			if l.gave {
				l.gave = false
				break
			}
			var r result
			if json.Unmarshal(m.content, &r) == nil {
				select {
				case l.results <- r:
				default: // no one waits for it
				}
			}
		case kindSockets:
			if more, err := m.sockets(); err == nil {
				l.shared.merge(more)
			}
		case kindFront:
			if len(m.files) == 1 {
				l.shared.inherit(m.files[0])
				m.files = nil
			}
		}
		m.close()
	}
}

// register replaces the names of this process. It is not called while another register
// or add waits.
func (l *lease) register(given names) error {
	if err := l.sendJSON(kindNames, given); err != nil {
		return errStageOver
	}
	return l.result()
}

// add gives the front more sockets. This process has them first: if the front ends
// meanwhile, the next one gets them from here.
func (l *lease) add(more sockets) error {
	if !l.grows {
		return ErrOlder
	}
	l.shared.merge(more)
	if err := l.sendSockets(more); err != nil {
		return errStageOver
	}
	err := l.result()
	if err == nil {
		more.rest() // only the front has listeners
	}
	return err
}

// result waits for the front's answer.
func (l *lease) result() error {
	select {
	case r := <-l.results:
		return r.err()
	case <-l.ended:
		return errStageOver
	case <-time.After(joinTimeout):
		l.conn.Close() // a result that comes later is not for the next question
		return errStageOver
	}
}

// classify sends connections back to the front.
func (l *lease) classify(unread []connection) []connection { return l.handOver(unread) }

// granted is the front's end of a lease.
type granted struct {
	*wire
	role  *role
	ready atomic.Bool // it has the sockets
}

// acceptLeases grants leases until the role ends.
func (r *role) acceptLeases() {
	for {
		conn, err := r.socket.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			r.makeRoom(err, socketFile)
			continue
		}
		l := &granted{wire: &wire{conn: conn}, role: r}
		r.mu.Lock()
		r.leases[l] = struct{}{}
		r.mu.Unlock()
		r.serving.Go(l.run)
	}
}

// run serves a project until its lease breaks.
func (l *granted) run() {
	defer l.conn.Close()
	defer l.forget()
	for {
		m, err := l.receive()
		if err != nil {
			return
		}
		err = l.answer(m)
		m.close()
		if err != nil {
			l.role.shared.opts.Log.Debug("a project was not answered", "error", err)
			return
		}
	}
}

// forget removes the lease with its names.
func (l *granted) forget() {
	l.role.mu.Lock()
	defer l.role.mu.Unlock()
	l.role.names.remove(l)
	delete(l.role.leases, l)
}

func (l *granted) answer(m message) error {
	switch m.kind {
	case kindHello:
		return l.share()
	case kindNames:
		var given names
		if err := json.Unmarshal(m.content, &given); err != nil {
			return err
		}
		err := l.role.registerFor(l, given)
		if taken, ok := errors.AsType[*TakenError](err); ok {
			return l.sendJSON(kindResult, result{Taken: &taken.First})
		}
		if err != nil {
			return err
		}
		return l.sendJSON(kindResult, result{})
	case kindUnread:
		c, err := m.connection()
		if err != nil {
			l.role.shared.opts.Log.Warn("a connection was lost", "error", err)
			return nil
		}
		l.role.admit(c)
	case kindSockets:
		more, err := m.sockets()
		if err != nil {
			return err
		}
		if err := l.role.add(more); err != nil {
			return err
		}
		return l.sendJSON(kindResult, result{})
	}
	return nil
}

// share sends the listening sockets, and the front's own if systemd has it.
func (l *granted) share() error {
	if err := l.sendSockets(l.role.shared.all()); err != nil {
		return err
	}
	l.ready.Store(true)
	socket := l.role.shared.inherited()
	if socket == nil {
		return nil
	}
	return withDescriptor(socket, func(fd int) error { return l.send(frame(kindFront, nil), fd) })
}

// pass passes a connection to the project. If that has ended, its names are gone, and
// the next attempt finds none.
func (l *granted) pass(c connection) error {
	err := l.trySend(kindPassed, c)
	if err == nil {
		c.Close()
	} else if !errors.Is(err, errBusy) {
		l.conn.Close() // ends run
		l.forget()
	}
	return err
}

// handOver sends connections to a process that will be the front or gets a lease from
// it. It returns those that are left.
func (w *wire) handOver(unread []connection) []connection {
	deadline := time.Now().Add(handOverTimeout)
	for len(unread) > 0 {
		switch err := w.trySend(kindUnread, unread[0]); {
		case err == nil:
			unread[0].Close()
			unread = unread[1:]
			deadline = time.Now().Add(handOverTimeout)
		case errors.Is(err, errBusy) && time.Now().Before(deadline):
			time.Sleep(minPause)
		default:
			return unread
		}
	}
	return nil
}
