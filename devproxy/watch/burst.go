package watch

import "time"

const (
	// quiet is how long nothing must happen before files are compared. A save
	// makes several events within a millisecond or two; with this wait a save
	// is applied well within 100 ms.
	quiet = 30 * time.Millisecond
	// longest bounds the wait when events never stop, and the wait for a file
	// that was emptied or removed to be written again.
	longest = 250 * time.Millisecond
)

// burst is a run of events that belong together. The zero value is none.
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
