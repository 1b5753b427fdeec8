package forward

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// restFirst and restLast are how long a member that could not be connected
	// to is asked after the others only; the time doubles with each failure. A
	// dev server that restarts is back within the first.
	restFirst = time.Second
	restLast  = 10 * time.Second
	// slowStart is how long the share of a member that has come back grows up to
	// that of the others: caches are cold, and code is compiled on first use.
	slowStart = 10 * time.Second
	// slowStartLeast is the share it begins with, so that it is asked at all.
	slowStartLeast = 0.1
)

// roster are the members of an upstream and how each of them fares.
type roster struct {
	balance  plan.Balance
	members  []*member // share the load
	fallback []*member // are asked in order when no other accepts
	onMember func(MemberChange)

	mu sync.Mutex // guards condition, and order's decision
}

// condition is how a member fares, guarded by roster.mu.
type condition struct {
	known, up bool // whether the last connection to it was accepted
	refused   []Attempt
	since     time.Time // of up, or of health when that changed later

	rest      time.Duration // after the last failure to connect; 0 when it accepted
	restUntil time.Time
	warmFrom  time.Time // when it came back; zero when it has its full share
	turn      float64   // of the smooth weighted round robin
	away      bool      // takes no part in it

	health   Health
	turned   time.Time // when health changed last
	why      string    // it is ill
	answers  int       // in a row
	failures int
	waiting  map[*attempt]struct{} // for a first byte, and may be asked elsewhere
}

// all are the members and the fallback members.
func (r *roster) all() []*member { return slices.Concat(r.members, r.fallback) }

// order is the members in the order in which f asks them. The first is taken:
// its exchanges count f from now on, so that two who ask at once see it.
func (r *roster) order(f *forwarding) []*member {
	if len(r.members) == 1 && len(r.fallback) == 0 {
		f.occupy(r.members[0])
		return r.members
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	order := r.balancedLocked(f, now)
	ranks := make(map[*member]int, len(order))
	for _, m := range order {
		ranks[m] = m.rankLocked(f, now)
	}
	slices.SortStableFunc(order, func(a, b *member) int { return ranks[a] - ranks[b] })
	order = r.withFallback(order, ranks)
	f.occupy(order[0])
	return order
}

// The ranks of a member: who has a lower one is asked first, whatever the
// balance. They add up.
const (
	rankLogin   = -1 // its visitor has logged in there, by its connection
	rankLost    = 1  // it lost this very request
	rankResting = 2  // it could not be connected to a moment ago
	rankIll     = 4
)

func (m *member) rankLocked(f *forwarding, now time.Time) int {
	return m.awayLocked(now) + rankLost*boolToInt(slices.Contains(f.lost, m)) + rankLogin*boolToInt(m.logins.has(f))
}

// awayLocked is the rank of m for whoever asks.
func (m *member) awayLocked(now time.Time) int {
	return rankResting*boolToInt(now.Before(m.restUntil)) + rankIll*boolToInt(m.health == Ill)
}

// withFallback puts the fallback members behind all that are not ill. Those
// that are come last: an ill answer is more than none.
func (r *roster) withFallback(order []*member, ranks map[*member]int) []*member {
	if len(r.fallback) == 0 {
		return order
	}
	ill := slices.IndexFunc(order, func(m *member) bool { return ranks[m] >= rankIll })
	if ill < 0 {
		ill = len(order)
	}
	return slices.Concat(order[:ill], r.fallback, order[ill:])
}

// balancedLocked orders the members as balance says, whatever their condition.
func (r *roster) balancedLocked(f *forwarding, now time.Time) []*member {
	order := r.turnsLocked(now)
	switch r.balance {
	case plan.BalanceLeastConn:
		load := make(map[*member]float64, len(order))
		for _, m := range order {
			load[m] = float64(m.active.Load()+1) / m.weightLocked(now)
		}
		slices.SortStableFunc(order, func(a, b *member) int { return cmp.Compare(load[a], load[b]) })
	case plan.BalanceCookie:
		id := stickyOf(f.r, f.upstream.cookie)
		slices.SortStableFunc(order, func(a, b *member) int { return boolToInt(b.id == id) - boolToInt(a.id == id) })
	}
	return order
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// turnsLocked is the smooth weighted round robin of nginx: each member gains its
// weight, the one with the most is asked and pays for all.
func (r *roster) turnsLocked(now time.Time) []*member {
	r.seatLocked(now)
	var total float64
	order := slices.Clone(r.members)
	for _, m := range order {
		if !m.away {
			m.turn += m.weightLocked(now)
			total += m.weightLocked(now)
		}
	}
	slices.SortStableFunc(order, func(a, b *member) int {
		return cmp.Or(boolToInt(a.away)-boolToInt(b.away), cmp.Compare(b.turn, a.turn))
	})
	order[0].turn -= total
	return order
}

// seatLocked says who takes part in the turns: those that would be asked, so
// that nobody inherits the turns of one that is away. When that changes all
// begin anew, so that nobody has saved up any.
func (r *roster) seatLocked(now time.Time) {
	best := -1
	for _, m := range r.members {
		if rank := m.awayLocked(now); best < 0 || rank < best {
			best = rank
		}
	}
	changed := false
	for _, m := range r.members {
		away := m.awayLocked(now) > best
		changed = changed || away != m.away
		m.away = away
	}
	if changed {
		for _, m := range r.members {
			m.turn = 0
		}
	}
}

// weightLocked is the share of m beside others, above 0 and up to 1.
func (m *member) weightLocked(now time.Time) float64 {
	if m.warmFrom.IsZero() {
		return 1
	}
	share := float64(now.Sub(m.warmFrom)) / float64(slowStart)
	if share >= 1 {
		m.warmFrom = time.Time{}
		return 1
	}
	return max(share, slowStartLeast)
}

// noteDial takes down the outcome of connecting to m: nil means it answered.
func (r *roster) noteDial(m *member, failed []Attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, up := time.Now(), failed == nil
	if m.known && !m.up && up && m.health != Ill {
		m.warmFrom = now
	}
	if !m.known || m.up != up {
		m.since = now
	}
	m.known, m.up, m.refused = true, up, failed
	if up {
		m.rest, m.restUntil = 0, time.Time{}
		return
	}
	if now.Before(m.restUntil) {
		return // several who asked at once are one failure
	}
	m.rest = min(max(2*m.rest, restFirst), restLast)
	m.restUntil = now.Add(m.rest)
}

// jitter is d, up to a tenth shorter or longer: the members of many upstreams
// must not all be asked in one moment.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + rand.N(d/5+1)
}
