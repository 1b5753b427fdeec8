package relay

import (
	"sync"
	"time"
)

// watchEvery is how often a session is looked at while a person waits for a page.
const watchEvery = 500 * time.Millisecond

// watch gives a stream up whose agent is away: a laptop that has fallen asleep keeps
// its connections, and a session without lanes may be resumed much later.
type watch struct {
	opened opened
	sent   time.Time

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	away    bool      // the stream was given up
	lost    time.Time // since when the session has no lanes; zero while it has some
}

// watch begins with the request on its way.
func (o opened) watch() *watch {
	w := &watch{opened: o, sent: time.Now()}
	patience := max(pageAfter, 4*o.share.session.Stats().RTT)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(patience, func() { w.look(patience) })
	return w
}

// stop ends the watch, and reports whether the stream was given up. It may be called
// again.
func (w *watch) stop() (away bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
	return w.away
}

// look gives the stream up, or comes back later.
func (w *watch) look(patience time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	stats, now := w.opened.share.session.Stats(), time.Now()
	switch {
	case stats.Lanes > 0:
		w.lost = time.Time{}
	case w.lost.IsZero():
		w.lost = now
	}
	if stats.Heard.Before(w.sent) || !w.lost.IsZero() && now.Sub(w.lost) >= patience {
		w.stopped = true
		w.away = true
		w.opened.Reset()
		return
	}
	w.timer.Reset(watchEvery)
}
