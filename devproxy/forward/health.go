package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxHealthBody is how much of a check's answer is read. The body does not count,
// and an endless one must cost nothing.
const maxHealthBody = 64 << 10

// checks are the health checks of an upstream's members, one goroutine each.
type checks struct {
	rule    *plan.Health
	members *members
	cancel  context.CancelFunc
	group   sync.WaitGroup
}

// startChecks checks the members until cancel is called; with a nil rule it checks
// nothing.
func startChecks(rule *plan.Health, s *members) *checks {
	ctx, cancel := context.WithCancel(context.Background())
	c := &checks{rule: rule, members: s, cancel: cancel}
	if rule != nil {
		for _, m := range s.shared {
			c.group.Go(func() { c.run(ctx, m) })
		}
	}
	return c
}

// run checks m at once and then at intervals until ctx ends.
func (c *checks) run(ctx context.Context, m *member) {
	for {
		why := c.check(ctx, m)
		if ctx.Err() != nil {
			return
		}
		c.members.noteCheck(m, c.rule, why)
		if !pause(ctx, jitter(c.rule.Interval)) {
			return
		}
	}
}

// check sends one request to m, on its own connection: those of clients may be
// busy, or open to a process that no longer exists. It returns the failure,
// empty when m is healthy.
func (c *checks) check(ctx context.Context, m *member) (why string) {
	ctx, cancel := context.WithTimeout(ctx, c.rule.Timeout)
	defer cancel()
	req, err := healthRequest(ctx, m, c.rule.Path)
	if err != nil {
		return err.Error()
	}
	transport := newPooled(m, &connections{})
	transport.DisableKeepAlives = true
	defer transport.CloseIdleConnections()
	var waiting claim
	m.conns.begin(&waiting) // an idle connection may keep a server with one thread busy
	defer m.conns.end(&waiting)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return c.failure(ctx, m, err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxHealthBody) // only the status counts
	if !c.accepts(res.StatusCode) {
		return fmt.Sprintf("GET %s returned %d", c.rule.Path, res.StatusCode)
	}
	return ""
}

func healthRequest(ctx context.Context, m *member, path string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.urlScheme()+"://"+urlHost(&m.Member)+path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = m.Authority // when it is empty, the URL's is sent
	req.Header.Set("User-Agent", "devproxy-health")
	return req, nil
}

func (c *checks) failure(ctx context.Context, m *member, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("GET %s did not respond within %s", c.rule.Path, c.rule.Timeout)
	}
	if failed, ok := errors.AsType[*dialError](err); ok {
		return failed.Error()
	}
	return fmt.Sprintf("GET %s: it %s", c.rule.Path, describe(m, err).Reason)
}

func (c *checks) accepts(status int) bool {
	if c.rule.Status != 0 {
		return status == c.rule.Status
	}
	return status >= http.StatusOK && status < http.StatusBadRequest
}

// unhealthyLocked reports whether a check of devproxy or of the container's engine fails.
func (m *member) unhealthyLocked() bool { return m.health == Unhealthy || m.reported != "" }

// Report takes over what the engine of containers says about the health of the members.
// spec has the key of the one that u was made for.
func (u *Upstream) Report(spec *plan.Upstream) {
	s := u.members
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.shared {
		i := slices.IndexFunc(spec.Members, func(other plan.Member) bool { return slices.Equal(other.Addrs, m.Addrs) })
		if i < 0 || spec.Members[i].Unhealthy == m.reported {
			continue
		}
		if m.reported = spec.Members[i].Unhealthy; !m.unhealthyLocked() {
			m.backSince = time.Now()
			m.rest, m.restUntil = 0, time.Time{}
		}
	}
	s.moveWaitingLocked()
}

// noteCheck records the result of one check of m; an empty why is a success.
func (s *members) noteCheck(m *member, rule *plan.Health, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := m.health
	m.countLocked(rule, why)
	if m.health == before {
		return
	}
	now := time.Now()
	since := m.healthSince
	m.healthSince = now
	change := MemberChange{Member: m.Text, Health: m.health, Why: m.why, At: now}
	if before == Unhealthy {
		m.backSince = now
		m.rest, m.restUntil = 0, time.Time{}
		change.After = now.Sub(since)
	}
	s.moveWaitingLocked()
	if s.onMember != nil && (m.health == Unhealthy || before == Unhealthy) {
		s.onMember(change)
	}
}

// countLocked applies rise and fall.
func (m *member) countLocked(rule *plan.Health, why string) {
	if why == "" {
		m.failedChecks, m.passed = 0, m.passed+1
		if m.passed >= rule.Rise {
			m.health, m.why = Healthy, ""
		}
		return
	}
	m.passed, m.failedChecks = 0, m.failedChecks+1
	if m.failedChecks >= rule.Fall {
		m.health, m.why = Unhealthy, why
	}
}

// A request that waits for the first byte of an unhealthy member could wait for
// ever: the connection to a stopped process stays open. If the request may be sent
// again and another member can take it, the attempt is cancelled.

// await lists a as one that waits for m. Only health checks cancel it.
func (s *members) await(m *member, a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.waiting[a] = struct{}{}
	s.moveWaitingLocked() // m may have become unhealthy since it was chosen
}

func (s *members) forget(m *member, a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(m.waiting, a)
}

// moveWaitingLocked cancels the attempts that wait for an unhealthy member, if
// another member can take the requests.
func (s *members) moveWaitingLocked() {
	for _, m := range s.shared {
		if !m.unhealthyLocked() || !s.hasBetterLocked(m) {
			continue
		}
		for a := range m.waiting {
			if a.eject() {
				delete(m.waiting, a)
			}
		}
	}
}

// hasBetterLocked reports whether another member can be used instead of m.
func (s *members) hasBetterLocked(m *member) bool {
	return len(s.fallback) > 0 || slices.ContainsFunc(s.shared, func(other *member) bool {
		return other != m && !other.unhealthyLocked() && (!other.known || other.up)
	})
}
