//go:build unix

package front

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/devproxy/devproxy/devproxy/runtimedir"
)

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
// Where systemd has the front's socket, it accepts connections even while no process
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
				return nil, runtimedir.WriteError("lock the shared ports", filepath.Dir(s.lock.Path()), err)
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
// another project has got in the meantime.
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
