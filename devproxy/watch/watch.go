// Package watch reports that the content of watched files has changed.
//
// It watches folders, not files: a watch on a file misses an editor that saves by
// writing a new file and renaming it. An event only leads to a comparison of
// content, so a superfluous event costs nothing; and since events can also be
// missing (network mounts, exhausted limits, folders moved further up), the files
// are looked at from time to time in any case.
package watch

import (
	"context"
	"sync"
	"time"
)

// Options configure a Watcher. The zero value is what `devproxy up` uses.
type Options struct {
	// Poll looks at the files every 250 ms instead of waiting for events.
	Poll bool
	// Note is called, in Run's goroutine, with the reason why the system provides
	// no events and the command that fixes it: one line, each at most once. Nil is
	// allowed.
	Note func(text string)

	// noSafety leaves out the polling for missing events, so that a test sees
	// which events come.
	noSafety bool
}

// File is a file to watch, with what its reader has seen of it.
type File struct {
	// Path is absolute. The file and its folder need not exist.
	Path string
	// Content is all of the file as it was read, not nil for an empty file.
	// Nil means that the file did not exist or that it was not read whole.
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

// New returns a Watcher of no files yet.
func New(opts Options) *Watcher {
	return &Watcher{
		opts:    opts,
		changes: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
	}
}

// Set replaces the watched files. It does not wait. A file that already
// differs from its Content is a change, so nothing is lost between
// reading a file and watching it. A file without Content that can be
// read is one too, but once only: a reader that refuses a file is not notified
// again until something happens to it.
func (w *Watcher) Set(files []File) {
	w.mu.Lock()
	w.pending = files
	w.mu.Unlock()
	raise(w.wake)
}

// Changes receives when the content of a watched file is no longer what its
// reader has seen: read all files again, then call Set with their contents.
// Changes that have not been received yet are one. It is never closed.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Run watches until ctx ends. It cannot fail: without events it polls. It is
// called once.
func (w *Watcher) Run(ctx context.Context) {
	src := newSource(w.opts)
	r := &run{w: w, src: src, compareAt: time.NewTimer(time.Hour), poll: time.NewTimer(src.interval())}
	r.compareAt.Stop()
	defer src.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			r.set.replace(w.take())
			r.stir()
		case event := <-r.src.events:
			if r.src.concerns(event) {
				r.set.stirred = true
				r.stir()
			}
		case err := <-r.src.errors:
			// Mostly an overflow of the queue: any event may have been lost.
			r.set.stirred = r.set.stirred || err != nil
			r.stir()
		case <-r.poll.C:
			r.glance()
		case now := <-r.compareAt.C:
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

// run is the state of Run's goroutine.
type run struct {
	w         *Watcher
	src       *source
	set       fileSet
	events    burst
	compareAt *time.Timer // stopped while no event waits
	poll      *time.Timer // when to glance in any case
}

// stir notes an event.
func (r *run) stir() {
	r.events.add(time.Now())
	r.compareAt.Reset(time.Until(r.events.due()))
}

// glance looks for changes without an event.
func (r *run) glance() {
	r.src.attach(r.set.paths())
	if r.set.moved() {
		r.stir()
	}
	r.poll.Reset(r.src.interval())
}

// compare decides whether the events since the last time were a change.
func (r *run) compare(now time.Time) {
	// Watched before compared: what changes after the comparison makes an
	// event.
	r.src.attach(r.set.paths())
	changed, done := r.set.compare(now.Before(r.events.end()))
	if !done {
		r.compareAt.Reset(time.Until(r.events.end()))
		return
	}
	if changed {
		raise(r.w.changes)
	}
	r.events = burst{}
	r.poll.Reset(r.src.interval())
}

const (
	// quiet is how long nothing must happen before files are compared. A save
	// makes several events within a millisecond or two; with this wait a save
	// is applied well within 100 ms.
	quiet = 30 * time.Millisecond
	// longest bounds the wait when events never stop, and the wait for a file
	// that was emptied or removed to be written again.
	longest = 250 * time.Millisecond
)

// burst is a run of events that belong together. The zero value has none.
type burst struct{ first, last time.Time }

func (b *burst) add(now time.Time) {
	if b.first.IsZero() {
		b.first = now
	}
	b.last = now
}

// due is when to look, if nothing more happens.
func (b *burst) due() time.Time {
	if calm := b.last.Add(quiet); calm.Before(b.end()) {
		return calm
	}
	return b.end()
}

// end is when to decide, whatever happens.
func (b *burst) end() time.Time { return b.first.Add(longest) }
