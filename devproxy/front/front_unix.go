//go:build unix

package front

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

// lockFile is the front's lock in the runtime directory.
const lockFile = "front.lock"

const (
	// joinTimeout bounds the search for the front. It ends within milliseconds, unless
	// the process that has the lock was stopped.
	joinTimeout = 10 * time.Second
	// joinPoll is the pause between two attempts, while the front changes.
	joinPoll = 10 * time.Millisecond
	// retryPause follows a failed attempt to take part again.
	retryPause = time.Second
	// passTimeout is how long a process may take to receive a message.
	passTimeout = 10 * time.Second
	// backlog is how many connections wait for the Accept of this process.
	backlog = 128
)

// Shared is this process's part in the sockets that all projects share. Close
// leaves them.
type Shared struct {
	opts Options
	lock *flock.Flock
	own  *self

	ctx      context.Context // done when Close was called
	leave    context.CancelFunc
	ended    chan struct{} // closed when run has returned
	stepDown chan chan struct{}

	registering sync.Mutex // held by Register and Add

	mu      sync.Mutex
	stage   stage         // nil between two
	changed chan struct{} // closed when the stage changes
	names   []Name        // as granted last
	sockets sockets       // nil until the first stage; replaced, never changed
	front   *os.File      // the front's socket if systemd has it; else nil
}

// Join takes part in the shared sockets: those of the front, or those of Bind, with
// this process as the front. The error is that of Bind, or says why the front
// cannot be reached.
func Join(ctx context.Context, opts Options) (*Shared, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Lost == nil {
		opts.Lost = func(error) {}
	}
	if err := runtimedir.Ensure(opts.Dir); err != nil {
		return nil, err
	}
	s := &Shared{
		opts: opts, own: newSelf(), front: opts.Socket, ended: make(chan struct{}), stepDown: make(chan chan struct{}), changed: make(chan struct{}),
		lock: flock.New(filepath.Join(opts.Dir, lockFile), flock.SetPermissions(0o600)),
	}
	s.ctx, s.leave = context.WithCancel(context.Background())
	limited, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	first, err := s.next(limited, false)
	if err != nil {
		s.leave()
		s.closeSockets()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	s.own.listen(s.all())
	go s.run(first)
	return s, nil
}

// Listeners accept the connections for this process's names, and as the front those
// for names that no process has. Their addresses are those of the shared sockets with
// the newest ports; connections of older ports come there too.
func (s *Shared) Listeners() (https, http []net.Listener) { return s.own.https, s.own.http }

// Register replaces this process's names. The error is a *TakenError, which changes
// nothing, if another process has one of them.
func (s *Shared) Register(ctx context.Context, granted []Name) error {
	return s.withStage(ctx, func(now stage) error {
		err := now.register(names{Names: granted})
		if err == nil && !s.grant(now, granted) {
			return errStageOver
		}
		return err
	})
}

// Add shares more sockets with all projects, those that run already included. From
// then on, Listeners returns listeners of their ports; those that it returned before
// go on. It takes the sockets over, unless it fails: with ErrOlder, for example.
func (s *Shared) Add(ctx context.Context, opened Sockets) error {
	more := bound(opened)
	err := s.withStage(ctx, func(now stage) error { return now.add(more) })
	if err == nil {
		s.own.listen(s.all())
	}
	return err
}

// withStage calls do with the current stage, and again with the next one when that is
// over.
func (s *Shared) withStage(ctx context.Context, do func(stage) error) error {
	s.registering.Lock()
	defer s.registering.Unlock()
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	for {
		stage, changed := s.current()
		err := errStageOver
		if stage != nil {
			err = do(stage)
		}
		if !errors.Is(err, errStageOver) {
			return err
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return net.ErrClosed
		case <-ctx.Done():
			return s.unreachable(ctx.Err())
		}
	}
}

// StepDown hands the role of the front to another process, if this one has it and
// another one runs. A process that is about to be stopped would keep the
// connections of all projects waiting. It takes joinTimeout at most.
func (s *Shared) StepDown() {
	timeout := time.After(joinTimeout)
	done := make(chan struct{})
	select {
	case s.stepDown <- done:
	case <-s.ended:
		return
	case <-timeout: // no front is found, so this process is not it
		return
	}
	select {
	case <-done:
	case <-timeout:
	}
}

// Alone reports whether this process is the front, and no other shares its sockets.
func (s *Shared) Alone() bool {
	stage, _ := s.current()
	r, ok := stage.(*role)
	return ok && r.alone()
}

// Close gives the names up, and passes on the connections that were not passed on
// yet. It does not end connections that the listeners have returned.
func (s *Shared) Close() error {
	s.leave()
	<-s.ended
	return nil
}

func (s *Shared) current() (stage, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stage, s.changed
}

// grant keeps the names that a stage has granted. It reports false if that is over:
// again may have missed them.
func (s *Shared) grant(by stage, granted []Name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage != by {
		return false
	}
	s.names = granted
	return true
}

// all are the sockets.
func (s *Shared) all() sockets {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sockets
}

// merge adds the sockets of more that s lacks, and returns them. It closes those that s
// has a duplicate of.
func (s *Shared) merge(more sockets) (added sockets) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range more {
		switch same := s.sockets.find(one); {
		case same == nil:
			added = append(added, one)
		case same != one:
			one.close()
		}
	}
	s.sockets = added.before(s.sockets)
	return added
}

// inherited returns the front's socket that systemd has; nil without one.
func (s *Shared) inherited() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.front
}

// inherit takes over a duplicate of the front's socket, unless this process has one.
func (s *Shared) inherit(socket *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.front != nil {
		socket.Close()
		return
	}
	s.front = socket
}

// closeSockets closes this process's duplicates.
func (s *Shared) closeSockets() {
	s.all().close()
	if socket := s.inherited(); socket != nil && socket != s.opts.Socket {
		socket.Close()
	}
}
