package container

import "context"

// Options configure a Watcher.
type Options struct {
	// Folder is the project's folder, as an absolute path. Symbolic links are followed.
	Folder string
	// Getenv reads the environment: DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG and
	// XDG_RUNTIME_DIR. Nil means os.Getenv.
	Getenv func(name string) string
	// Home is the user's home directory, or empty.
	Home string
}

// Watcher follows the containers of one project. Make one with [New].
type Watcher struct {
	opts    Options
	changes chan struct{} // capacity 1: any number of changes is one
}

// New returns a Watcher that knows no containers yet.
func New(opts Options) *Watcher {
	return &Watcher{opts: opts, changes: make(chan struct{}, 1)}
}

// Run watches until ctx ends, and ends all that it has started. It cannot fail: while the
// engine is away, it tries again. It is called once.
func (w *Watcher) Run(ctx context.Context) { <-ctx.Done() }

// Changes receives after the snapshot has changed. Changes that have not been received
// yet are one. It is never closed.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Snapshot returns the newest snapshot. It does not wait.
func (w *Watcher) Snapshot() Snapshot { return Snapshot{} }

// List asks the engine once and returns the snapshot. It takes at most 5 seconds.
func List(ctx context.Context, opts Options) Snapshot { return Snapshot{} }

// Probe asks the engine what it is, in at most 2 seconds. The error says what was tried,
// and how to start an engine.
func Probe(ctx context.Context, opts Options) (Engine, error) { return Engine{}, nil }
