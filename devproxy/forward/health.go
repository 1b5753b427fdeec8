package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// maxHealthBody is how much of a check's answer is read: what comes after the
// head has no say, and an endless one must cost nothing.
const maxHealthBody = 64 << 10

// checks asks the members of an upstream for their health, a goroutine each,
// from New until stop.
type checks struct {
	rule   *plan.Health
	roster *roster
	cancel context.CancelFunc
	group  sync.WaitGroup
}

func startChecks(rule *plan.Health, r *roster) *checks {
	c := &checks{rule: rule, roster: r, cancel: func() {}}
	if rule == nil {
		return c
	}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	for _, m := range r.members {
		c.group.Go(func() { c.run(ctx, m) })
	}
	return c
}

// run checks m at once, and then again and again until ctx ends.
func (c *checks) run(ctx context.Context, m *member) {
	for {
		why := c.check(ctx, m)
		if ctx.Err() != nil {
			return
		}
		c.roster.noteCheck(m, c.rule, why)
		select {
		case <-ctx.Done():
			return
		case <-time.After(jitter(c.rule.Interval)):
		}
	}
}

// check asks m once, on a connection of its own: visitors' may be busy, or
// open to a process that is gone. It returns what is wrong, empty when m is
// well.
func (c *checks) check(ctx context.Context, m *member) (why string) {
	ctx, cancel := context.WithTimeout(ctx, c.rule.Timeout)
	defer cancel()
	req, err := healthRequest(ctx, m, c.rule.Path)
	if err != nil {
		return err.Error()
	}
	transport := newPooled(m.Member, m.connect, &connections{})
	transport.DisableKeepAlives = true
	defer transport.CloseIdleConnections()
	var waiting claim
	m.conns.begin(&waiting) // a server with one thread may be bound to an idle connection
	defer m.conns.end(&waiting)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return c.failure(ctx, m, err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxHealthBody) // the status has been said
	if !c.accepts(res.StatusCode) {
		return fmt.Sprintf("GET %s gave %d", c.rule.Path, res.StatusCode)
	}
	return ""
}

func healthRequest(ctx context.Context, m *member, path string) (*http.Request, error) {
	scheme := "http://"
	if m.Scheme == plan.SchemeHTTPS {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+urlHost(&m.Member)+path, nil)
	if err != nil {
		return nil, err
	}
	if m.Authority != "" {
		req.Host = m.Authority
	}
	req.Header.Set("User-Agent", "devproxy-health")
	return req, nil
}

func (c *checks) failure(ctx context.Context, m *member, err error) string {
	var failed *dialError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("GET %s gave no answer within %s", c.rule.Path, c.rule.Timeout)
	case errors.As(err, &failed):
		return joinAttempts(failed.Attempts)
	}
	return fmt.Sprintf("GET %s: it %s", c.rule.Path, fault(m, err).Reason)
}

func (c *checks) accepts(status int) bool {
	if c.rule.Status != 0 {
		return status == c.rule.Status
	}
	return status >= http.StatusOK && status < http.StatusBadRequest
}

// stop ends the checks. wait returns when they have ended.
func (c *checks) stop() { c.cancel() }
func (c *checks) wait() { c.group.Wait() }

// noteCheck takes down one check of m: an empty why is an answer as asked for.
func (r *roster) noteCheck(m *member, rule *plan.Health, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := m.health
	m.countLocked(rule, why)
	if m.health == before {
		return
	}
	now := time.Now()
	since := m.turned
	m.since, m.turned = now, now
	change := MemberChange{Member: m.Text, Health: m.health, Why: m.why, At: now}
	if before == Ill {
		m.warmFrom = now
		m.rest, m.restUntil = 0, time.Time{}
		change.After = now.Sub(since)
	}
	r.rescueLocked()
	if r.onMember != nil && (m.health == Ill || before == Ill) {
		r.onMember(change)
	}
}

// countLocked applies rise and fall.
func (m *member) countLocked(rule *plan.Health, why string) {
	if why == "" {
		m.failures, m.answers = 0, m.answers+1
		if m.answers >= rule.Rise {
			m.health, m.why = Well, ""
		}
		return
	}
	m.answers, m.failures = 0, m.failures+1
	if m.failures >= rule.Fall {
		m.health, m.why = Ill, why
	}
}
