package agent

import (
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// Phase is how far an agent has come.
type Phase string

// The phases.
const (
	// Connecting: a session is being opened.
	Connecting Phase = "connecting"
	// Up: visitors come in.
	Up Phase = "up"
	// Resuming: every connection of the session is lost. It is kept for
	// tunnel.ResumeTimeout while others are dialled; visitors wait.
	Resuming Phase = "resuming"
	// Waiting: an attempt failed, the next follows. Visitors are told that the
	// share is asleep.
	Waiting Phase = "waiting"
)

// State is an agent at one moment.
type State struct {
	Phase Phase
	// Grant is what the relay granted last; zero before that.
	Grant tunnel.Grant
	// Err is why the agent waits; nil in every other phase.
	Err *Error
	// Retry is how long it waits; 0 in every other phase.
	Retry time.Duration
	// Lanes are the connections that work, RTT the smoothed round trip; 0
	// without a session.
	Lanes int
	RTT   time.Duration
}

// State is the agent now.
func (a *Agent) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.measure()
	return a.state
}

// set makes next the state and tells of it.
func (a *Agent) set(next State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.setLocked(next)
}

func (a *Agent) setLocked(next State) {
	if next.Phase != Up {
		next.Grant = a.state.Grant
	}
	a.state = next
	a.measure()
	if a.notify != nil {
		a.notify(a.state)
	}
}

// measure brings the figures of the state up to date.
func (a *Agent) measure() {
	a.state.Lanes, a.state.RTT = 0, 0
	if a.session != nil {
		stats := a.session.Stats()
		a.state.Lanes, a.state.RTT = stats.Lanes, stats.RTT
	}
}

// look tells when a session has lost every lane, and when it has one again.
func (a *Agent) look() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == nil {
		return
	}
	next := Up
	if a.session.Stats().Lanes == 0 {
		next = Resuming
	}
	if next != a.state.Phase {
		a.setLocked(State{Phase: next, Grant: a.state.Grant})
	}
}
