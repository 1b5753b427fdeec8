package forward

import (
	"slices"
	"time"
)

// State says whether an upstream accepts connections, as last seen.
type State struct {
	// Known is false until the first dial has ended.
	Known bool
	// Up is true while one member accepted the last connection to it.
	Up bool
	// Since is when Up changed last. After is how long it had the other value
	// before, 0 when that is not known.
	Since time.Time
	After time.Duration
	// Attempts are the addresses that refused, of all members; nil when Up.
	Attempts []Attempt
}

// State returns the last known state. It does not dial; Probe does.
func (u *Upstream) State() State {
	u.members.mu.Lock()
	defer u.members.mu.Unlock()
	return u.members.state
}

// Health is the result of a member's health checks.
type Health string

// The states of health.
const (
	Unknown   Health = "" // not checked often enough yet, or never; used like a healthy one
	Healthy   Health = "healthy"
	Unhealthy Health = "unhealthy"
)

// MemberState is the last known state of one member of an upstream.
type MemberState struct {
	Text string // ":3001"
	// Known is false until the first dial has ended. Up is whether the last one was
	// accepted.
	Known, Up bool
	// Refused are the addresses of the last dial; nil when Up.
	Refused []Attempt
	// Health is Unknown for members without a health check. Those of containers are
	// Unhealthy if their engine says so.
	Health Health
	// Why it is unhealthy: "GET /healthz returned 503". Empty otherwise.
	Why string
	// Active is how many exchanges it has in progress.
	Active int
	// Fallback is true for a member that is used when no other accepts.
	Fallback bool
}

// MemberChange reports that a member became unhealthy, or is healthy again.
type MemberChange struct {
	Member string // ":3001"
	Health Health // Healthy or Unhealthy
	Why    string // it is unhealthy; empty when healthy
	At     time.Time
	After  time.Duration // how long it was unhealthy; 0 for one that became unhealthy
}

// Members are the states of all members in the order of the Proxyfile, the fallback
// members last. It dials nothing.
func (u *Upstream) Members() []MemberState {
	u.members.mu.Lock()
	defer u.members.mu.Unlock()
	var states []MemberState
	for _, m := range u.members.all() {
		health, why := m.health, m.why
		if health != Unhealthy && m.reported != "" {
			health, why = Unhealthy, m.reported
		}
		states = append(states, MemberState{
			Text: m.Text, Known: m.known, Up: m.up, Refused: m.failed, Health: health, Why: why,
			Active: int(m.active.Load()), Fallback: m.fallback,
		})
	}
	return states
}

// noteDial records the result of a dial to m; nil means that it was accepted.
// refused is true when nothing listens there.
func (s *members) noteDial(m *member, failed []Attempt, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, up := time.Now(), failed == nil
	if m.known && !m.up && up && !m.unhealthyLocked() {
		m.backSince = now
	}
	m.known, m.up, m.failed = true, up, failed
	switch {
	case up:
		m.rest, m.restUntil = 0, time.Time{}
	case !now.Before(m.restUntil): // several dials at once are one failure
		m.rest = min(max(2*m.rest, restFirst), restLast)
		m.restUntil = now.Add(m.rest)
	}
	if !m.fallback && (up || refused) {
		m.refused = failed
		s.noteStateLocked(up, now)
	}
}

// noteStateLocked updates the state of the upstream. It is down only when every
// member that shares the load has refused.
func (s *members) noteStateLocked(up bool, now time.Time) {
	if !up && slices.ContainsFunc(s.shared, func(m *member) bool { return m.refused == nil }) {
		return
	}
	s.state.Attempts = nil
	for _, m := range s.shared {
		if !up {
			s.state.Attempts = append(s.state.Attempts, m.refused...)
		}
	}
	if s.state.Known && s.state.Up == up {
		return
	}
	if s.state.Known {
		s.state.After = now.Sub(s.state.Since)
	}
	s.state.Known, s.state.Up, s.state.Since = true, up, now
	if s.onState != nil {
		s.onState(s.state)
	}
}
