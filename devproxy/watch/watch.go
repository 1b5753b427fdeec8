// Package watch says that the content of watched files has changed.
//
// It watches folders, not files: an editor that saves by writing a new file
// and renaming it leaves a watch on the old file deaf. What an event means is
// decided by comparing content, so an event too many costs nothing; and as an
// event can also be one too few (network mounts, exhausted limits, folders
// moved further up), the files are looked at from time to time in any case.
package watch

import (
	"context"
	"sync"
)

// Options configure a Watcher. The zero value is what `devproxy up` uses.
type Options struct {
	// Poll looks at the files every 250 ms instead of waiting for events.
	Poll bool
	// Note is told why events cannot be had where they should, with the
	// command that mends it: one line, each at most once. Nil means nobody
	// asks. It is called by Run's goroutine.
	Note func(text string)

	// noSafety leaves out the glances for events that do not come, so that a
	// test sees which do.
	noSafety bool
}

// File is a file to watch, with what its reader has made of it.
type File struct {
	// Path is absolute. The file and its folder need not exist.
	Path string
	// Content is all of the file as it was read, not nil for an empty file.
	// Nil says that there was no such file or that it was not read whole.
	Content []byte
}

// Watcher watches a set of files. Make one with New.
type Watcher struct {
	opts    Options
	changes chan struct{} // capacity 1: any number of changes is one
	wake    chan struct{} // capacity 1: pending was set

	mu      sync.Mutex
	pending []File
}

// New is a Watcher of no file yet.
func New(opts Options) *Watcher {
	return &Watcher{
		opts:    opts,
		changes: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
	}
}

// Set replaces the watched files. It does not wait. A file that already
// differs from the Content given is a change, so nothing is lost between
// reading a file and watching it. A file given without Content that can be
// read is one too, but once only: a reader that refuses a file is not told
// again until something happens to it.
func (w *Watcher) Set(files []File) {
	w.mu.Lock()
	w.pending = files
	w.mu.Unlock()
	raise(w.wake)
}

// Changes receives when the content of a watched file is no longer what its
// reader has seen: read all of them again, then Set what was read. Changes
// that nobody has received yet are one. It is never closed.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Run watches until ctx ends. It cannot fail: without events it polls. It is
// called once.
func (w *Watcher) Run(ctx context.Context) {
	r := newRun(w)
	defer r.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			r.set.replace(w.take())
			r.stir()
		case event := <-r.src.events():
			if r.src.concerns(event) {
				r.set.stirred = true
				r.stir()
			}
		case err := <-r.src.errors():
			// Mostly an overflow of the queue: any event may have been lost.
			r.set.stirred = r.set.stirred || err != nil
			r.stir()
		case <-r.poll.C:
			r.glance()
		case now := <-r.settle.C:
			r.compare(now)
		}
	}
}

func (w *Watcher) take() []File {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending
}

// raise makes c, which has capacity 1, ready if it is not.
func raise(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
