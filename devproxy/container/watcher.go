package container

import (
	"context"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"time"
)

// Options configure a Watcher.
type Options struct {
	// Folder is the project's folder, as an absolute path. Symbolic links are followed.
	Folder string
	// Getenv reads the environment: DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG and
	// XDG_RUNTIME_DIR. Nil means os.Getenv.
	Getenv func(name string) string
	// Home is the user's home directory, or empty.
	Home string

	times   times          // zero means normalTimes
	network func() network // nil means localNetwork
}

func (o *Options) getenv(name string) string {
	if o.Getenv == nil {
		return os.Getenv(name)
	}
	return o.Getenv(name)
}

// times are the pauses of a Watcher.
type times struct {
	// gather is from an event to the list: events come in groups.
	gather time.Duration
	// between is from the end of a list to the next one, so that an engine with many
	// events is not asked all the time.
	between time.Duration
	// again is from the last event to another list: Podman reports the result of a health
	// check before it has stored it.
	again time.Duration
	// anyway is from one list to the next without an event, in case one is missing.
	anyway time.Duration
	// firstPause is the longest pause before the first attempt to reconnect. It doubles up
	// to longestPause. Half of each pause is random.
	firstPause, longestPause time.Duration
	// keep is how long the containers of an engine that is away are kept. They go at the
	// first attempt to reconnect that fails after it.
	keep time.Duration
}

var normalTimes = times{
	gather: 20 * time.Millisecond, between: 200 * time.Millisecond, again: 700 * time.Millisecond, anyway: time.Minute,
	firstPause: 100 * time.Millisecond, longestPause: 5 * time.Second, keep: 20 * time.Second,
}

// Watcher follows the containers of one project. Make one with [New].
type Watcher struct {
	opts    Options
	project *project
	changes chan struct{} // capacity 1: any number of changes is one

	mu       sync.Mutex
	snapshot Snapshot
}

// New returns a Watcher that knows no containers yet.
func New(opts Options) *Watcher {
	if opts.times == (times{}) {
		opts.times = normalTimes
	}
	return &Watcher{opts: opts, project: newProject(&opts), changes: make(chan struct{}, 1)}
}

// Changes receives after the snapshot has changed. Changes that have not been received
// yet are one. It is never closed.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Snapshot returns the newest snapshot. It does not wait.
func (w *Watcher) Snapshot() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.snapshot
}

// Run watches until ctx ends, and ends all that it has started. It cannot fail: while the
// engine is away, it tries again, after at most 5 seconds. It is called once.
func (w *Watcher) Run(ctx context.Context) {
	var used *place // the engine that has answered last
	var lost time.Time
	for fails := 0; ctx.Err() == nil; fails++ {
		p, err := w.find(ctx, used)
		var worked bool
		if err == nil {
			began := time.Now()
			if worked, err = w.follow(ctx, p); worked {
				used, lost = &p, time.Now()
			}
			if time.Since(began) >= w.opts.times.longestPause {
				fails = 0
			}
		}
		if ctx.Err() != nil {
			return
		}
		if used != nil && time.Since(lost) >= w.opts.times.keep {
			used = nil
		}
		if !worked {
			// An engine that has answered may be back at once, and only the next attempt says
			// why it is not.
			w.fail(err, used != nil)
		}
		select {
		case <-ctx.Done():
		case <-time.After(w.opts.times.pause(fails)):
		}
	}
}

// find returns the place of the engine. While the one that was used last may come back,
// no other takes its place.
func (w *Watcher) find(ctx context.Context, used *place) (place, error) {
	if used == nil {
		return w.opts.connect(ctx)
	}
	conn, err := used.dial(ctx)
	if err != nil {
		return place{}, away(*used, err)
	}
	_ = conn.Close() // it has carried nothing
	return *used, nil
}

// pause returns how long to wait after a number of failures in a row.
func (t times) pause(fails int) time.Duration {
	pause := min(t.firstPause<<min(fails, 10), t.longestPause)
	return pause/2 + rand.N(pause/2+1)
}

// follow keeps the snapshot up to date until the engine ends or ctx does. worked reports
// whether the engine has answered with a list.
func (w *Watcher) follow(ctx context.Context, p place) (worked bool, err error) {
	c := newClient(p)
	defer c.close()
	engine, now, err := c.version(ctx)
	if err != nil {
		return false, away(p, err)
	}

	ctx, cancel := context.WithCancel(ctx)
	stirred := make(chan struct{}, 1)
	ended := make(chan error, 1)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()
	reader.Go(func() {
		// Events of the last second are sent again, so that none is missed before the list.
		if !now.IsZero() {
			now = now.Add(-time.Second)
		}
		ended <- c.follow(ctx, now, func() { raise(stirred) })
	})

	l := newLister(c, w.project, &w.opts)
	due := time.NewTimer(0)
	defer due.Stop()
	// gathering is true from an event to the list for it.
	var gathering bool
	for {
		select {
		case <-ctx.Done():
			return worked, ctx.Err()
		case err := <-ended:
			return worked, away(p, err)
		case <-stirred:
			if !gathering {
				gathering = true
				due.Reset(w.opts.times.gather)
			}
			continue
		case <-due.C:
		}
		containers, problems, err := l.list(ctx)
		if err != nil {
			return worked, away(p, err)
		}
		worked = true
		w.set(Snapshot{Engine: engine, Listed: true, Containers: containers, Problems: problems})
		due.Reset(w.opts.times.anyway)
		if gathering {
			gathering = false
			due.Reset(w.opts.times.again)
		}
		select {
		case <-ctx.Done():
		case <-time.After(w.opts.times.between):
		}
	}
}

// fail sets why the engine does not answer. Its containers stay if keep is true.
func (w *Watcher) fail(err error, keep bool) {
	next := w.Snapshot()
	next.Err = err
	if !keep {
		next = Snapshot{Err: err}
	}
	w.set(next)
}

// set replaces the snapshot, and reports a change if it is one.
func (w *Watcher) set(next Snapshot) {
	w.mu.Lock()
	same := reflect.DeepEqual(w.snapshot, next)
	w.snapshot = next
	w.mu.Unlock()
	if !same {
		raise(w.changes)
	}
}

// raise makes c, which has capacity 1, ready if it is not.
func raise(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// List asks the engine once and returns the snapshot. It takes at most 15 seconds.
func List(ctx context.Context, opts Options) Snapshot {
	p, err := opts.connect(ctx)
	if err != nil {
		return Snapshot{Err: err}
	}
	c := newClient(p)
	defer c.close()
	engine, _, err := c.version(ctx)
	if err != nil {
		return Snapshot{Engine: engine, Err: away(p, err)}
	}
	l := newLister(c, newProject(&opts), &opts)
	containers, problems, err := l.list(ctx)
	if err != nil {
		return Snapshot{Engine: engine, Err: away(p, err)}
	}
	return Snapshot{Engine: engine, Listed: true, Containers: containers, Problems: problems}
}

// Probe asks the engine what it is, in at most 15 seconds. The error says what was tried,
// and how to start an engine.
func Probe(ctx context.Context, opts Options) (Engine, error) {
	p, err := opts.connect(ctx)
	if err != nil {
		return Engine{}, err
	}
	c := newClient(p)
	defer c.close()
	engine, _, err := c.version(ctx)
	if err != nil {
		return engine, away(p, err)
	}
	return engine, nil
}
