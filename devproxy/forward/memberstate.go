package forward

import "time"

// Health is what the checks of a member say of it.
type Health string

// The states of health.
const (
	Unknown Health = ""     // nobody has asked, or not often enough; used as if well
	Well    Health = "well" // it answers as asked for
	Ill     Health = "ill"  // it does not; others are asked
)

// MemberState is how one member of an upstream fares, as last seen.
type MemberState struct {
	Text string // ":3001"
	// Known is false until somebody has connected, or tried; Up is whether the
	// last try was accepted.
	Known, Up bool
	// Refused are the addresses of the last try; nil when Up.
	Refused []Attempt
	// Health is Unknown for members that nobody checks.
	Health Health
	// Why it is ill: "GET /healthz gave 503". Empty otherwise.
	Why string
	// Active is how many exchanges it has under way.
	Active int
	// Fallback is true for a member that is asked when no other accepts.
	Fallback bool
	// Since is when Up or Health changed last; zero when nothing is known.
	Since time.Time
}

// MemberChange tells that a member turned ill, or well again.
type MemberChange struct {
	Member string // ":3001"
	Health Health // Ill or Well
	Why    string // it is ill; empty when well
	At     time.Time
	After  time.Duration // how long it was ill; 0 for one that turns ill
}

// Members are the states of all members, in the order of the Proxyfile, the
// fallback members last. It dials nothing.
func (u *Upstream) Members() []MemberState {
	u.roster.mu.Lock()
	defer u.roster.mu.Unlock()
	var states []MemberState
	for _, m := range u.roster.all() {
		states = append(states, MemberState{
			Text: m.Text, Known: m.known, Up: m.up, Refused: m.refused, Health: m.health, Why: m.why,
			Active: int(m.active.Load()), Fallback: m.standby, Since: m.since,
		})
	}
	return states
}
