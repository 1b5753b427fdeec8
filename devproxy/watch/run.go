package watch

import "time"

// run is what Run's goroutine owns.
type run struct {
	w      *Watcher
	src    *source
	set    fileSet
	events burst
	settle *time.Timer // when to compare; stopped while no event waits
	poll   *time.Timer // when to glance in any case
}

func newRun(w *Watcher) *run {
	src := newSource(w.opts)
	r := &run{w: w, src: src, settle: time.NewTimer(time.Hour), poll: time.NewTimer(src.interval())}
	r.settle.Stop()
	return r
}

func (r *run) close() {
	r.settle.Stop()
	r.poll.Stop()
	r.src.close()
}

// stir notes an event.
func (r *run) stir() {
	r.events.add(time.Now())
	r.settle.Reset(time.Until(r.events.due()))
}

// glance looks for what made no event.
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
	changed, settled := r.set.compare(now.Before(r.events.end()))
	if !settled {
		r.settle.Reset(time.Until(r.events.end()))
		return
	}
	if changed {
		raise(r.w.changes)
	}
	r.events = burst{}
	r.poll.Reset(r.src.interval())
}
