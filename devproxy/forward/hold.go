package forward

import (
	"net/http"
	"strings"
	"time"

	"github.com/devproxy/devproxy/tunnel/field"
)

// waitingPageAfter is how long a navigation is held before the waiting page
// is shown: a dev server that restarts is mostly back by then.
const waitingPageAfter = time.Second

// hold waits until a member may be asked again. Its error ends the exchange.
// Where there is a fallback nothing is held: it was asked in vain, too.
func (f *forwarding) hold(refused []Attempt) error {
	navigation := isNavigation(f.r)
	if len(f.upstream.roster.fallback) > 0 {
		return f.giveUp(navigation, refused)
	}
	left := f.holdLeft(navigation)
	if left <= 0 {
		return f.giveUp(navigation, refused)
	}
	w, ok := f.upstream.held.enter(f.route.ID, f.upstream.opts.MaxHeld, f.upstream.watchFor)
	if !ok {
		if navigation {
			return f.giveUp(navigation, refused)
		}
		return &UnavailableError{Unavailable{refused, f.Report.Held}, true}
	}
	if f.gone() {
		f.upstream.held.leave(w)
		return ErrRetired
	}
	start := time.Now()
	defer func() {
		f.upstream.held.leave(w)
		f.Report.Held += time.Since(start)
	}()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-w.awake:
		if w.released && !f.begun() {
			return ErrRetired
		}
	case <-timer.C:
		// The next attempt is the last: it says what is true now.
	case <-f.ctx.Done():
		return ErrVisitorGone
	}
	return nil
}

// gone reports whether whoever lets held requests go has been here already:
// between the beginning of this exchange and its being held.
func (f *forwarding) gone() bool {
	late := f.upstream.life.isRetired() || f.upstream.streams.mark(f.route.ID) != f.mark
	return late && !f.begun()
}

// holdLeft is how long the request may still wait.
func (f *forwarding) holdLeft(navigation bool) time.Duration {
	if f.waitUntil.IsZero() {
		limit := f.route.Hold
		if navigation {
			limit = min(limit, waitingPageAfter)
		}
		f.waitUntil = time.Now().Add(limit)
	}
	return time.Until(f.waitUntil)
}

// begun reports whether the upstream may have seen some of the request, so
// that no other may be asked.
func (f *forwarding) begun() bool {
	return f.Report.Resent > 0 || f.body != nil && f.body.started()
}

func (f *forwarding) giveUp(navigation bool, refused []Attempt) error {
	if navigation {
		return &WaitingError{Unavailable{refused, f.Report.Held}}
	}
	return &UnavailableError{Unavailable{refused, f.Report.Held}, false}
}

// isNavigation reports whether a person waits to see a page: by what browsers
// say of the request, else by what it accepts.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || field.Upgrade(r) != "" {
		return false
	}
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	if mode != "" || dest != "" {
		return mode == "navigate" || dest == "document"
	}
	return strings.Contains(strings.Join(r.Header["Accept"], ","), "text/html")
}
