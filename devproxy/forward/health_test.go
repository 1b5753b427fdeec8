package forward

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestChecksFindUnhealthyMembers(t *testing.T) {
	for name, test := range map[string]struct {
		fall, heal func(*replica)
		why        string
	}{
		"a wrong status": {(*replica).sicken, (*replica).heal, "GET /healthz returned 503"},
		"silence":        {(*replica).stop, (*replica).cont, "GET /healthz did not respond within 500ms"},
		"a refusal":      {(*replica).kill, (*replica).start, "a:80: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "", func(t *testing.T, c *cluster) {
				if s := c.state("a"); s.Health != Healthy || !s.Up || s.Why != "" {
					t.Fatalf("at first a is %+v", s)
				}
				test.fall(c.at("a"))
				time.Sleep(1800 * time.Millisecond) // one failure at least, and two need more
				if s := c.state("a"); s.Health != Healthy {
					t.Errorf("after one failure a is %+v", s)
				}
				time.Sleep(2 * time.Second)
				if s := c.state("a"); s.Health != Unhealthy || s.Why != test.why {
					t.Errorf("a is %+v, want %q", s, test.why)
				}
				c.at("a").asked()
				if got := c.answers(4); got != "bbbb" {
					t.Errorf("answered by %q", got)
				}
				test.heal(c.at("a"))
				time.Sleep(2 * time.Second)
				if s := c.state("a"); s.Health != Healthy || s.Why != "" {
					t.Errorf("in the end a is %+v", s)
				}
				c.mu.Lock()
				defer c.mu.Unlock()
				if len(c.turned) != 2 || c.turned[0].Health != Unhealthy || c.turned[0].Why != test.why || c.turned[1].Health != Healthy || c.turned[1].After <= 0 {
					t.Errorf("changes: %+v", c.turned)
				}
			})
		})
	}
}

func TestRiseAndStatusAreTheRules(t *testing.T) {
	rule := everySecond()
	rule.Rise, rule.Fall, rule.Status = 3, 1, 200
	var m member
	for i, step := range []struct {
		why  string
		want Health
	}{{"", Unknown}, {"", Unknown}, {"", Healthy}, {"no", Unhealthy}, {"", Unhealthy}, {"", Unhealthy}, {"no", Unhealthy}, {"", Unhealthy}, {"", Unhealthy}, {"", Healthy}} {
		if m.countLocked(rule, step.why); m.health != step.want {
			t.Errorf("after step %d it is %q, want %q", i, m.health, step.want)
		}
	}
	for status, want := range map[int][2]bool{199: {false, false}, 200: {true, true}, 204: {true, false}, 399: {true, false}, 400: {false, false}, 503: {false, false}} {
		usual, exact := &checks{rule: everySecond()}, &checks{rule: rule}
		if usual.accepts(status) != want[0] || exact.accepts(status) != want[1] {
			t.Errorf("%d: %v by default, %v with status = 200", status, usual.accepts(status), exact.accepts(status))
		}
	}
}

// A check is not counted as a client's request: it keeps its interval, sends the
// member's own host, and leaves no connection open.
func TestChecksKeepTheirInterval(t *testing.T) {
	inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "", func(t *testing.T, c *cluster) {
		time.Sleep(60 * time.Second)
		a := c.at("a")
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.checks < 54 || a.checks > 68 || a.visits != 0 {
			t.Errorf("%d checks in a minute, %d visits", a.checks, a.visits)
		}
		if host := a.checkers[0]; host != "a:80" {
			t.Errorf("Host is %q", host)
		}
	})
}

func TestRetireEndsTheChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, plan.Upstream{Health: everySecond()}, "ab", "")
		c.at("b").stop() // a check is under way
		synctest.Wait()
		c.close()
		before := c.at("a").checks
		time.Sleep(time.Minute)
		if c.at("a").checks != before {
			t.Error("checks go on")
		}
		c.at("b").cont()
	})
}

func TestMembersListsTheFallbackLast(t *testing.T) {
	inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "s", func(t *testing.T, c *cluster) {
		states := c.upstream.Members()
		var names []string
		for _, s := range states {
			names = append(names, s.Text)
		}
		if got := strings.Join(names, ""); got != "abs" || !states[2].Fallback || states[0].Fallback || states[2].Known {
			t.Errorf("states = %+v", states)
		}
	})
}
