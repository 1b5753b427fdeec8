package forward

import "slices"

// A request that waits for the first byte of a member which turns ill would
// wait for ever where the process is stopped: its connection stays open. When
// it may be sent again and somebody else can be asked, the waiting ends here.

// await lists a as one who waits for m. Without checks there is nobody who
// would call it back.
func (r *roster) await(m *member, a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.waiting == nil {
		m.waiting = map[*attempt]struct{}{}
	}
	m.waiting[a] = struct{}{}
	r.rescueLocked() // m may have turned ill since it was chosen
}

func (r *roster) forget(m *member, a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(m.waiting, a)
}

// rescueLocked calls back who waits for an ill member, if another is better.
func (r *roster) rescueLocked() {
	for _, m := range r.members {
		if m.health != Ill || !r.betterLocked(m) {
			continue
		}
		for a := range m.waiting {
			if a.eject() {
				delete(m.waiting, a)
			}
		}
	}
}

// betterLocked reports whether somebody else can be asked in place of m.
func (r *roster) betterLocked(m *member) bool {
	return len(r.fallback) > 0 || slices.ContainsFunc(r.members, func(other *member) bool {
		return other != m && other.health != Ill && (!other.known || other.up)
	})
}
