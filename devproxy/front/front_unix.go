//go:build unix

package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

// The files of the front in the runtime directory.
const (
	lockFile   = "front.lock"
	socketFile = "front.sock"
)

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

// Options configure Join.
type Options struct {
	// Dir is the user's runtime directory.
	Dir string
	// Bind opens the listening sockets. It is called when no other process has some
	// to share.
	Bind func(context.Context) (Sockets, error)
	// Lost is called when the names of this process are not granted again after a
	// change of the front. Nil ignores it.
	Lost func(error)
	// Log receives errors that are not returned. Nil discards them.
	Log *slog.Logger
}

// Shared is this process's part in the sockets that all projects share. Close
// leaves them.
type Shared struct {
	opts    Options
	lock    *flock.Flock
	sockets sockets // nil until the first stage
	own     *self

	ctx      context.Context // done when Close was called
	leave    context.CancelFunc
	ended    chan struct{} // closed when run has returned
	stepDown chan chan struct{}

	registering sync.Mutex // held by Register

	mu      sync.Mutex
	stage   stage         // nil between two
	changed chan struct{} // closed when the stage changes
	names   []Name        // as granted last
}

// stage is the front, or a lease from it.
type stage interface {
	// run returns when the stage is over, with connections that are still to be
	// peeked at.
	run(ctx context.Context, stepDown <-chan chan struct{}) []connection
	// register replaces this process's names. The error is errStageOver when it
	// should be tried with the next stage.
	register(given names) error
	// classify has the front find out where connections go. It returns those that it
	// does not take.
	classify(unread []connection) []connection
}

// errStageOver is the error of a front that ends.
var errStageOver = errors.New("the front has changed")

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
		opts: opts, own: newSelf(), ended: make(chan struct{}), stepDown: make(chan chan struct{}), changed: make(chan struct{}),
		lock: flock.New(filepath.Join(opts.Dir, lockFile), flock.SetPermissions(0o600)),
	}
	s.ctx, s.leave = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	first, err := s.next(ctx, false)
	if err != nil {
		s.leave()
		return nil, err
	}
	s.own.listen(s.sockets)
	go s.run(first)
	return s, nil
}

// Listeners accept the connections for this process's names, and as the front those
// for names that no process has. Their addresses are those of the shared sockets.
func (s *Shared) Listeners() (https, http []net.Listener) { return s.own.https, s.own.http }

// Register replaces this process's names. The error is a *TakenError, which changes
// nothing, if another process has one of them.
func (s *Shared) Register(ctx context.Context, granted []Name) error {
	s.registering.Lock()
	defer s.registering.Unlock()
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	for {
		stage, changed := s.current()
		err := errStageOver
		if stage != nil {
			err = stage.register(names{Names: granted})
		}
		if !errors.Is(err, errStageOver) {
			if err == nil {
				s.grant(granted)
			}
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
// connections of all projects waiting.
func (s *Shared) StepDown() {
	done := make(chan struct{})
	select {
	case s.stepDown <- done:
		<-done
	case <-s.ended:
	}
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

func (s *Shared) grant(granted []Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = granted
}

// enter makes next the stage; nil while there is none.
func (s *Shared) enter(next stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stage = next
	close(s.changed)
	s.changed = make(chan struct{})
}

// run goes from stage to stage until Close.
func (s *Shared) run(now stage) {
	defer close(s.ended)
	defer s.sockets.close()
	defer s.own.close()
	for {
		s.enter(now)
		unread := now.run(s.ctx, s.stepDown)
		s.enter(nil)
		last, wasFront := now.(*role)
		now = s.retry(wasFront)
		if now != nil {
			s.again(now)
			unread = now.classify(unread)
		}
		if wasFront && last.steppedDown != nil {
			close(last.steppedDown)
		}
		for _, c := range unread {
			c.Close()
		}
		if now == nil {
			return
		}
	}
}

// retry returns the next stage; nil after Close. What keeps it from being found may
// pass: another process removed the runtime directory, for example.
func (s *Shared) retry(steppedDown bool) stage {
	for {
		next, err := s.next(s.ctx, steppedDown)
		if err == nil {
			return next
		}
		select {
		case <-s.ctx.Done():
			return nil
		case <-time.After(retryPause):
		}
		s.opts.Lost(errors.Join(err, runtimedir.Ensure(s.opts.Dir)))
	}
}

// next becomes the front, or gets a lease from it, whichever works first.
// A process that has stepped down leaves the role to others at first.
func (s *Shared) next(ctx context.Context, steppedDown bool) (stage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	mayLead := time.Now()
	if steppedDown {
		mayLead = mayLead.Add(stepDownPause)
	}
	for {
		if !time.Now().Before(mayLead) {
			locked, err := s.lock.TryLock()
			if err != nil {
				return nil, fmt.Errorf("cannot lock %s: %w; set XDG_RUNTIME_DIR to a folder that you can write to", s.lock.Path(), err)
			}
			if locked {
				return s.lead(ctx)
			}
		}
		lease, err := s.connect()
		if err == nil {
			return lease, nil
		}
		select {
		case <-ctx.Done():
			return nil, s.unreachable(err)
		case <-time.After(joinPoll):
		}
	}
}

// unreachable is the error of a front that has the lock and does not answer.
func (s *Shared) unreachable(err error) error {
	return fmt.Errorf("the devproxy that accepts connections for all projects does not answer on %s: %w; another terminal may have stopped it with Ctrl-Z: fg continues it",
		s.socket(), err)
}

func (s *Shared) socket() string { return filepath.Join(s.opts.Dir, socketFile) }

// again registers the names that an earlier front had granted.
func (s *Shared) again(now stage) {
	s.mu.Lock()
	granted := names{Names: s.names, Again: true}
	s.mu.Unlock()
	if err := now.register(granted); err != nil && !errors.Is(err, errStageOver) {
		s.opts.Lost(err)
	}
}
