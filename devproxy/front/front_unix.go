//go:build unix

package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
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

// Options configure Join.
type Options struct {
	// Dir is the user's runtime directory.
	Dir string
	// Bind opens the listening sockets. It is called when no other process has some
	// to share.
	Bind func(context.Context) (Sockets, error)
	// Socket is the front's socket in Dir, if systemd has passed one that listens. It
	// stays the caller's, and must stay open until Close. Nil has the front make one.
	Socket *os.File
	// Lost is called after a change of the front: with a *TakenError for each name that
	// another project has got meanwhile, and with what keeps this process from the next
	// front, once for each reason. Nil as the error means that this is over. Nil as the
	// function ignores it.
	Lost func(error)
	// Log receives errors that are not returned. Nil discards them.
	Log *slog.Logger
}

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

// stage is the front, or a lease from it.
type stage interface {
	// run returns when the stage is over, with connections that are still to be
	// peeked at.
	run(ctx context.Context, stepDown <-chan chan struct{}) []connection
	// register replaces this process's names. The error is errStageOver when it
	// should be tried with the next stage.
	register(given names) error
	// add shares more sockets. The error is as that of register.
	add(more sockets) error
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
	defer s.closeSockets()
	defer s.own.close()
	for {
		s.enter(now)
		unread := now.run(s.ctx, s.stepDown)
		s.enter(nil)
		last, wasFront := now.(*role)
		steppedDown := wasFront && last.steppedDown != nil
		now = s.retry(steppedDown)
		if now != nil {
			s.again(now)
			unread = now.classify(unread)
		}
		if steppedDown {
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
	var told string
	for {
		next, err := s.search(steppedDown)
		if err == nil && told != "" {
			s.opts.Lost(nil)
		}
		if err == nil {
			return next
		}
		if s.ctx.Err() == nil && err.Error() != told {
			told = err.Error()
			s.opts.Lost(err)
		}
		select {
		case <-s.ctx.Done():
			return nil
		case <-time.After(retryPause):
		}
	}
}

func (s *Shared) search(steppedDown bool) (stage, error) {
	ctx, cancel := context.WithTimeout(s.ctx, joinTimeout)
	defer cancel()
	if err := runtimedir.Ensure(s.opts.Dir); err != nil {
		return nil, err
	}
	return s.next(ctx, steppedDown)
}

// next gets a lease from the front, or becomes it. A front that can be reached is one
// even if someone removed its lock file. A process that has stepped down leaves the
// role to others at first.
//
// Where systemd has the front's socket, it accepts connections also while no process
// answers them. A process that knows becomes the front if it can before it connects. A
// process without sockets does not become the front as long as the socket accepts:
// systemd starts the process that gets the sockets.
func (s *Shared) next(ctx context.Context, steppedDown bool) (stage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	mayLead := time.Now()
	if steppedDown {
		mayLead = mayLead.Add(stepDownPause)
	}
	ofSystemd, newcomer := s.inherited() != nil, s.all() == nil
	for first := true; ; first = false {
		var lease *lease
		err := errNoFront
		if !ofSystemd || !first {
			if lease, err = s.connect(); err == nil {
				return lease, nil
			}
		}
		if !time.Now().Before(mayLead) && (ofSystemd || !newcomer || errors.Is(err, errNoFront)) {
			locked, err := s.lock.TryLock()
			if err != nil {
				return nil, fmt.Errorf("cannot lock %s: %w; set XDG_RUNTIME_DIR to a folder that you can write to", s.lock.Path(), err)
			}
			if locked {
				return s.lead(ctx)
			}
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
	return fmt.Errorf("the devproxy that accepts connections for all projects does not answer on %s: %w; another terminal may have stopped it with Ctrl-Z (fg continues it), or its systemd service failed to start",
		s.socket(), err)
}

func (s *Shared) socket() string { return SocketPath(s.opts.Dir) }

// again registers the names that an earlier front had granted, without those that
// another project has got meanwhile.
func (s *Shared) again(now stage) {
	s.mu.Lock()
	granted := slices.Clone(s.names)
	s.mu.Unlock()
	for {
		err := now.register(names{Names: granted, Again: true})
		if err == nil || errors.Is(err, errStageOver) {
			return
		}
		s.opts.Lost(err)
		taken, ok := errors.AsType[*TakenError](err)
		isTaken := func(n Name) bool { return n.Name == taken.First.Name }
		if !ok || !slices.ContainsFunc(granted, isTaken) {
			return
		}
		granted = slices.DeleteFunc(granted, isTaken)
	}
}
