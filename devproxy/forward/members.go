package forward

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

const (
	// restFirst and restLast are how long other members are preferred to one that
	// could not be connected to; the time doubles with each failure. A dev server
	// that restarts is back within the first.
	restFirst = time.Second
	restLast  = 10 * time.Second
	// slowStart is how long the share of a member that has come back grows up to
	// that of the others: caches are cold, and code is compiled on first use.
	slowStart = 10 * time.Second
	// slowStartLeast is the share that it begins with.
	slowStartLeast = 0.1
)

// members are the members of an upstream: their state, and which one is next.
type members struct {
	balance  plan.Balance
	cookie   string    // of balance = "cookie"; empty for the others
	shared   []*member // share the load
	fallback []*member // are tried in order when no other accepts
	onState  func(State)
	onMember func(MemberChange)

	mu    sync.Mutex // guards state, each memberStatus, and the decision of order
	state State
}

// member is one address of an upstream with its connections.
type member struct {
	plan.Member
	id       string // in the cookie of balance
	fallback bool
	members  *members
	dialer   dialer
	pooled   *http.Transport
	single   *http.Transport // a connection for each request, HTTP/1.1 only
	upgrades *http.Transport // as single, for upgrades
	conns    connections     // of HTTP/1.1
	accepts  acceptance
	logins   logins
	isHTTP2  atomic.Bool  // as ALPN chose for the last answer
	active   atomic.Int64 // exchanges in progress

	memberStatus
}

// memberStatus is the state of a member. members.mu guards it.
type memberStatus struct {
	known, up bool      // whether the last connection was accepted
	failed    []Attempt // of the last connection
	refused   []Attempt // of the last that was accepted or refused

	rest      time.Duration // after the last failure to connect; 0 when it accepted
	restUntil time.Time
	backSince time.Time // zero when it has its full share
	turn      float64   // of the smooth weighted round robin
	away      bool      // takes no part in it

	reported     string // why the engine of its container calls it unhealthy; empty if it does not
	health       Health
	healthSince  time.Time
	why          string                // it is unhealthy
	passed       int                   // checks in a row
	failedChecks int                   // in a row
	waiting      map[*attempt]struct{} // for a first byte, and may be sent to another
}

func newMembers(spec *plan.Upstream, opts Options) *members {
	s := &members{balance: spec.Balance, cookie: cookieName(spec), onState: opts.OnState, onMember: opts.OnMember}
	for _, m := range spec.Members {
		s.shared = append(s.shared, s.newMember(m, opts.Dial, false))
	}
	for _, m := range spec.Fallback {
		s.fallback = append(s.fallback, s.newMember(m, opts.Dial, true))
	}
	nameMembers(s.shared)
	return s
}

func (s *members) newMember(spec plan.Member, dial dialFunc, fallback bool) *member {
	m := &member{Member: spec, members: s, fallback: fallback}
	m.reported = spec.Unhealthy
	m.logins.by, m.waiting = map[any]*login{}, map[*attempt]struct{}{}
	m.dialer = dialer{dial: dial, network: spec.Network, addrs: spec.Addrs, within: spec.Within}
	m.pooled, m.single, m.upgrades = newPooled(m, &m.conns), newSingle(m, false), newSingle(m, true)
	return m
}

// speaksHTTP2 reports whether the pool's connections carry many requests each and
// say which of them they did not read (RFC 9113 section 6.8).
func (m *member) speaksHTTP2() bool {
	return m.Scheme == plan.SchemeH2C || m.isHTTP2.Load()
}

func (m *member) noteAnswer(res *http.Response) {
	if m.Scheme == plan.SchemeHTTPS {
		m.isHTTP2.Store(res.ProtoMajor == 2)
	}
}

func (m *member) closeIdle() {
	m.pooled.CloseIdleConnections()
	m.single.CloseIdleConnections()
	m.upgrades.CloseIdleConnections()
	m.logins.closeIdle()
}

// connect dials m and records the result, unless the dial was cancelled.
func (m *member) connect(ctx context.Context) (net.Conn, error) {
	conn, err := m.dialer.connect(ctx)
	if err == nil {
		by, _ := ctx.Value(attemptKey{}).(*attempt)
		if conn, err = m.accepts.confirm(ctx, conn, by); err == nil {
			m.members.noteDial(m, nil, false)
			return conn, nil
		}
		err = &dialError{[]Attempt{{m.dialer.addrs[m.dialer.last.Load()], err}}}
	}
	_, refused := asRefused(err)
	if failed, ok := errors.AsType[*dialError](err); ok && (refused || ctx.Err() == nil) {
		m.accepts.noteRefusal()
		m.conns.forgetCapacity()
		m.members.noteDial(m, failed.Attempts, refused)
	}
	return nil, err
}

// urlHost names a member in URLs, by which net/http tells hosts apart. It is sent
// only where no Host is known.
func urlHost(m *plan.Member) string {
	if m.Network != "tcp" {
		return "localhost"
	}
	return m.Addrs[0]
}

// all are the members and the fallback members.
func (s *members) all() []*member { return slices.Concat(s.shared, s.fallback) }

// order is the members in the order in which f tries them. The first counts f from
// now on, so that two requests at once see each other.
func (s *members) order(f *forwarding) []*member {
	if len(s.shared) == 1 && len(s.fallback) == 0 {
		f.occupy(s.shared[0])
		return s.shared
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	order := s.balancedLocked(f, now)
	ranks := make(map[*member]int, len(order))
	for _, m := range order {
		ranks[m] = m.awayLocked(now) + rankLost*boolToInt(slices.Contains(f.lost, m)) + rankLogin*boolToInt(m.logins.has(f))
	}
	slices.SortStableFunc(order, func(a, b *member) int { return ranks[a] - ranks[b] })
	// The fallback members come before the unhealthy ones: an answer of those is
	// still better than none.
	unhealthy := slices.IndexFunc(order, func(m *member) bool { return ranks[m] >= rankUnhealthy })
	if unhealthy < 0 {
		unhealthy = len(order)
	}
	order = slices.Concat(order[:unhealthy], s.fallback, order[unhealthy:])
	f.occupy(order[0])
	return order
}

// The ranks of a member: the lowest is tried first, whatever the balance. They add
// up.
const (
	rankLogin     = -1 // the client has logged in there, by its connection
	rankLost      = 1  // it lost this very request
	rankResting   = 2  // it could not be connected to a moment ago
	rankUnhealthy = 4
)

// awayLocked is the rank of m for every request.
func (m *member) awayLocked(now time.Time) int {
	return rankResting*boolToInt(now.Before(m.restUntil)) + rankUnhealthy*boolToInt(m.unhealthyLocked())
}

// balancedLocked orders the members as balance says, whatever their status.
func (s *members) balancedLocked(f *forwarding, now time.Time) []*member {
	order := s.turnsLocked(now)
	switch s.balance {
	case plan.BalanceLeastConn:
		load := make(map[*member]float64, len(order))
		for _, m := range order {
			load[m] = float64(m.active.Load()+1) / m.weightLocked(now)
		}
		slices.SortStableFunc(order, func(a, b *member) int { return cmp.Compare(load[a], load[b]) })
	case plan.BalanceCookie:
		id := cookieValue(f.r, s.cookie)
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
// weight, and the one with the most is next and pays for all.
func (s *members) turnsLocked(now time.Time) []*member {
	s.updateAwayLocked(now)
	var total float64
	order := slices.Clone(s.shared)
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

// updateAwayLocked decides which members take turns: those of the best rank, so
// that none inherits the turns of one that is away. When that changes, all turns
// start again from zero, so that none has saved any.
func (s *members) updateAwayLocked(now time.Time) {
	rank := func(m *member) int { return m.awayLocked(now) }
	best := rank(slices.MinFunc(s.shared, func(a, b *member) int { return rank(a) - rank(b) }))
	changed := false
	for _, m := range s.shared {
		away := rank(m) > best
		changed = changed || away != m.away
		m.away = away
	}
	if changed {
		for _, m := range s.shared {
			m.turn = 0
		}
	}
}

// weightLocked is the share of m relative to others, above 0 and up to 1.
func (m *member) weightLocked(now time.Time) float64 {
	if m.backSince.IsZero() {
		return 1
	}
	share := float64(now.Sub(m.backSince)) / float64(slowStart)
	if share >= 1 {
		m.backSince = time.Time{}
		return 1
	}
	return max(share, slowStartLeast)
}

// jitter is d, up to a tenth shorter or longer, so that the members of many
// upstreams are not all checked in one moment.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + rand.N(d/5+1)
}

// cookiePrefix begins the name of the cookie in which balance = "cookie" keeps a
// browser's member. The rest tells the upstreams of one host apart.
const cookiePrefix = "devproxy_member_"

// cookieName is the name of an upstream's cookie; empty when it has none. It lives
// as long as the spec: a changed list of members spreads clients again.
func cookieName(spec *plan.Upstream) string {
	if spec.Balance != plan.BalanceCookie {
		return ""
	}
	sum := sha256.Sum256([]byte(spec.Key))
	return cookiePrefix + hex.EncodeToString(sum[:4])
}

// nameMembers gives each member its value in the cookie: its position among the
// sorted addresses. The value is therefore the same after a restart, in
// whatever order the Proxyfile lists the members, and it does not reveal an
// address.
func nameMembers(members []*member) {
	sorted := slices.Clone(members)
	slices.SortStableFunc(sorted, func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.Scheme, b.Scheme), cmp.Compare(a.Network, b.Network), slices.Compare(a.Addrs, b.Addrs))
	})
	for i, m := range sorted {
		m.id = strconv.Itoa(i)
	}
}

// cookieValue is the member that a request names; empty when it names none.
func cookieValue(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// setCookie tells the browser which member answered, unless it knows. It does not
// keep a browser with a fallback member.
func (f *forwarding) setCookie(header http.Header) {
	name := f.upstream.members.cookie
	if name == "" || f.member.fallback || cookieValue(f.r, name) == f.member.id {
		return
	}
	cookie := http.Cookie{Name: name, Value: f.member.id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: f.Scheme == "https"}
	header["Set-Cookie"] = append(slices.Clip(header["Set-Cookie"]), cookie.String())
}

// withoutMemberCookies removes devproxy's own cookies, of any upstream, from
// the cookies that an upstream gets. The others stay byte for byte.
func withoutMemberCookies(lines []string) []string {
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, cookiePrefix) }) {
		return lines
	}
	var kept []string
	for _, line := range lines {
		pairs := slices.DeleteFunc(strings.Split(line, ";"), func(pair string) bool {
			return strings.HasPrefix(strings.TrimSpace(pair), cookiePrefix)
		})
		if line = strings.TrimLeft(strings.Join(pairs, ";"), " "); line != "" {
			kept = append(kept, line)
		}
	}
	return kept
}
