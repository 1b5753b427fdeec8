package forward

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestFallbackAnswersWhenNobodyElseDoes(t *testing.T) {
	for name, away := range map[string]func(*replica){"they refuse": (*replica).kill, "they are unhealthy": (*replica).sicken} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "xy", func(t *testing.T, c *cluster) {
				if got := c.answers(2); got != "ab" {
					t.Errorf("answered by %q", got)
				}
				away(c.at("a"))
				away(c.at("b"))
				c.upstream.closeIdle()
				if name == "they are unhealthy" {
					time.Sleep(4 * time.Second)
				}
				w, report := c.ask(request())
				if w.Body.String() != "x" || !report.Fallback || report.Member != "x" || report.Held != 0 {
					t.Errorf("%s answered: %+v", w.Body, report)
				}
				c.at("x").kill()
				c.upstream.closeIdle()
				if got := c.answers(2); got != "yy" {
					t.Errorf("then answered by %q", got)
				}
				c.at("a").start()
				c.at("a").heal()
				time.Sleep(4 * time.Second)
				if got := c.answers(2); got != "aa" {
					t.Errorf("in the end answered by %q", got)
				}
			})
		})
	}
}

func TestNothingIsHeldWhereThereIsAFallback(t *testing.T) {
	inBubble(t, plan.Upstream{}, "a", "x", func(t *testing.T, c *cluster) {
		c.at("a").kill()
		c.at("x").kill()
		start := time.Now()
		_, report, err := forwardOnce(c.upstream, c.route, request())
		var unavailable *UnavailableError
		if !errors.As(err, &unavailable) || len(unavailable.Attempts) != 2 || report.Held != 0 || time.Since(start) != 0 {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestUnhealthyMembersAreUsedWhenAllAre(t *testing.T) {
	inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "", func(t *testing.T, c *cluster) {
		c.at("a").sicken()
		c.at("b").sicken()
		time.Sleep(4 * time.Second)
		if got := c.answers(4); strings.Count(got, "a") != 2 {
			t.Errorf("answered by %q", got)
		}
	})
}

// A stopped process keeps its connections: only the check knows.
func TestWhoWaitsForAStoppedMemberIsAnsweredByAnother(t *testing.T) {
	inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "", func(t *testing.T, c *cluster) {
		c.at("a").stop()
		ask := func(method, body string) *http.Request {
			r := request()
			r.Method = method
			if body != "" {
				r.Body, r.ContentLength = http.NoBody, 0
			}
			return r
		}
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				w, report := c.ask(ask(http.MethodGet, ""))
				if w.Body.String() != "b" || report.Resent > 1 {
					t.Errorf("%s answered: %+v", w.Body, report)
				}
			})
		}
		group.Wait()
		if s := c.state("a"); s.Health != Unhealthy || s.Active != 0 {
			t.Errorf("a is %+v", s)
		}
		c.at("a").cont()
	})
}

func TestWhatMayNotBeRepeatedGoesOnWaiting(t *testing.T) {
	inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "", func(t *testing.T, c *cluster) {
		c.at("a").stop()
		answered := make(chan string, 1)
		go func() {
			r := request()
			r.Method = http.MethodPost
			w, _ := c.ask(r)
			answered <- w.Body.String()
		}()
		time.Sleep(10 * time.Second)
		if s := c.state("a"); s.Health != Unhealthy || s.Active != 1 {
			t.Fatalf("a is %+v", s)
		}
		c.at("a").cont()
		if got := <-answered; got != "a" {
			t.Errorf("answered by %q", got)
		}
	})
}

// All are stopped; the first that comes back answers for all.
func TestARequestThatWaitsForAnUnhealthyMemberMoves(t *testing.T) {
	inBubble(t, plan.Upstream{Health: everySecond()}, "ab", "", func(t *testing.T, c *cluster) {
		c.at("a").stop()
		c.at("b").stop()
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				if w, _ := c.ask(request()); w.Body.String() != "b" {
					t.Errorf("answered by %q", w.Body)
				}
			})
		}
		time.Sleep(10 * time.Second)
		c.at("b").cont()
		group.Wait()
		c.at("a").cont()
	})
}

// Three members, one killed and one stopped under load: no request fails.
func TestFailoverUnderLoadLosesNothing(t *testing.T) {
	inBubble(t, plan.Upstream{Health: everySecond()}, "abc", "", func(t *testing.T, c *cluster) {
		stop := make(chan struct{})
		var group sync.WaitGroup
		for range 64 {
			group.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
						c.answers(1)
					}
				}
			})
		}
		time.Sleep(time.Second)
		c.at("a").kill()
		c.at("b").stop()
		time.Sleep(5 * time.Second)
		if a, b := c.state("a"), c.state("b"); a.Health != Unhealthy || b.Health != Unhealthy {
			t.Errorf("a is %+v, b is %+v", a, b)
		}
		c.at("a").start()
		time.Sleep(2*time.Second + slowStart)
		for _, name := range []string{"a", "b", "c"} {
			c.at(name).asked()
		}
		time.Sleep(time.Second)
		if a, all := c.at("a").asked(), c.at("c").asked(); a < all*9/10 || a > all*11/10 {
			t.Errorf("a has %d of a second's requests, c %d", a, all)
		}
		close(stop)
		group.Wait()
		c.at("b").cont()
		synctest.Wait()
	})
}
