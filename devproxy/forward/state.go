package forward

import (
	"slices"
	"sync"
	"time"
)

// State is whether an upstream accepts connections, as last seen.
type State struct {
	// Known is false until somebody has tried.
	Known bool
	// Up is true while one member accepted the last connection to it.
	Up bool
	// Since is when it came to be Up, or not; After is how long it was the
	// other way before, 0 when that is not known.
	Since time.Time
	After time.Duration
	// Attempts are the addresses that refused, of all members; nil when Up.
	Attempts []Attempt
}

// State is what was last seen. It dials nothing; Probe does.
func (u *Upstream) State() State {
	u.status.mu.Lock()
	defer u.status.mu.Unlock()
	return u.status.state
}

// status keeps the state up to date.
type status struct {
	mu       sync.Mutex
	state    State
	refused  [][]Attempt // by member; nil: it answered, or nobody tried
	onChange func(State)
}

// note takes down the outcome of a dial to member i: nil means it answered.
func (s *status) note(i int, refused []Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[i] = refused
	up := refused == nil
	if !up && slices.ContainsFunc(s.refused, func(r []Attempt) bool { return r == nil }) {
		return // another member is up, or not tried yet
	}
	s.state.Attempts = slices.Concat(s.refused...)
	if up {
		s.state.Attempts = nil
	}
	if s.state.Known && s.state.Up == up {
		return
	}
	now := time.Now()
	if s.state.Known {
		s.state.After = now.Sub(s.state.Since)
	}
	s.state.Known, s.state.Up, s.state.Since = true, up, now
	if s.onChange != nil {
		s.onChange(s.state)
	}
}
