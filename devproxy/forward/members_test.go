package forward

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestRoundRobinGivesEachMemberItsTurn(t *testing.T) {
	inBubble(t, plan.Upstream{Balance: plan.BalanceRoundRobin}, "abc", "", func(t *testing.T, c *cluster) {
		if got := c.answers(7); got != "abcabca" {
			t.Errorf("answered by %q", got)
		}
	})
}

func TestLeastConnAsksWhoHasTheFewestUnderWay(t *testing.T) {
	inBubble(t, plan.Upstream{Balance: plan.BalanceLeastConn}, "abc", "", func(t *testing.T, c *cluster) {
		for _, name := range []string{"a", "b"} {
			c.at(name).stop()
		}
		answered := make(chan string, 2)
		for range 2 {
			go func() {
				w, _ := c.ask(request())
				answered <- w.Body.String()
			}()
			synctest.Wait()
		}
		if a, b := c.state("a").Active, c.state("b").Active; a != 1 || b != 1 {
			t.Errorf("%d and %d are under way at a and b", a, b)
		}
		if got := c.answers(4); got != "cccc" {
			t.Errorf("answered by %q", got)
		}
		c.at("a").cont()
		c.at("b").cont()
		if first, second := <-answered, <-answered; first == second {
			t.Errorf("both waited for %s", first)
		}
		if got := c.answers(6); strings.Count(got, "a") != 2 || strings.Count(got, "b") != 2 {
			t.Errorf("ties are answered by %q", got)
		}
		if a := c.state("a").Active; a != 0 {
			t.Errorf("%d are still under way", a)
		}
	})
}

func TestTheCookieKeepsAMember(t *testing.T) {
	inBubble(t, plan.Upstream{Key: "k", Balance: plan.BalanceCookie}, "abc", "", func(t *testing.T, c *cluster) {
		w, _ := c.ask(request())
		first := w.Body.String()
		cookies := w.Result().Cookies()
		if len(cookies) != 1 {
			t.Fatalf("cookies = %v", cookies)
		}
		cookie := cookies[0]
		if !strings.HasPrefix(cookie.Name, cookiePrefix) || !cookie.HttpOnly || cookie.Path != "/" || cookie.SameSite != http.SameSiteLaxMode ||
			cookie.Secure || cookie.MaxAge != 0 || strings.Contains(cookie.Value, "80") {
			t.Errorf("cookie = %+v", cookie)
		}
		sent := func() *http.Request {
			return request("Cookie", fmt.Sprintf("a=1; %s=%s;  b=2", cookie.Name, cookie.Value))
		}
		for range 5 {
			w, _ := c.ask(sent())
			if w.Body.String() != first || len(w.Result().Cookies()) != 0 {
				t.Errorf("answered by %s with %v", w.Body, w.Result().Cookies())
			}
		}
		if seen := c.at(first).cookies[1]; seen != "a=1;  b=2" {
			t.Errorf("the member sees %q", seen)
		}
		c.at(first).kill()
		c.upstream.closeIdle()
		w, _ = c.ask(sent())
		if w.Body.String() == first || len(w.Result().Cookies()) != 1 || w.Result().Cookies()[0].Value == cookie.Value {
			t.Errorf("then answered by %s with %v", w.Body, w.Result().Cookies())
		}
	})
}

func TestTheCookieIsTheSameHoweverMembersAreListed(t *testing.T) {
	spec := func(names string) *plan.Upstream {
		s := &plan.Upstream{Key: "k", Balance: plan.BalanceCookie}
		for _, name := range strings.Split(names, "") {
			s.Members = append(s.Members, plan.Member{Network: "tcp", Addrs: []string{name}, Text: name})
		}
		return s
	}
	ids := func(u *Upstream) map[string]string {
		named := map[string]string{}
		for _, m := range u.members.shared {
			named[m.Text] = m.id
		}
		return named
	}
	first, second := New(spec("abc"), Options{}), New(spec("cab"), Options{})
	if one, two := fmt.Sprint(ids(first)), fmt.Sprint(ids(second)); one != two || first.members.cookie != second.members.cookie {
		t.Errorf("%s and %s", one, two)
	}
}

func TestASecureVisitGetsASecureCookie(t *testing.T) {
	up := startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Set-Cookie", "own=1") }))
	p := newProxy(t, "h1tls", Options{}, up)
	p.upstream.members.cookie = cookiePrefix + "x"
	res, _ := p.get(t, "/")
	cookies := res.Cookies()
	if len(cookies) != 2 || cookies[0].Name != "own" || !cookies[1].Secure {
		t.Errorf("cookies = %v", cookies)
	}
}

// No failing member is tried again and again, and none is left out forever.
func TestAMemberThatRefusesRests(t *testing.T) {
	inBubble(t, plan.Upstream{}, "ab", "", func(t *testing.T, c *cluster) {
		c.at("a").kill()
		if got := c.answers(4); got != "bbbb" {
			t.Errorf("answered by %q", got)
		}
		a := c.upstream.members.shared[0]
		for _, rest := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, restLast, restLast} {
			if a.rest != rest {
				t.Errorf("rests for %v, want %v", a.rest, rest)
			}
			time.Sleep(rest)
			c.answers(2)
		}
		c.at("a").start()
		time.Sleep(restLast)
		if got := c.answers(20); strings.Count(got, "a") > 4 {
			t.Errorf("it gets a full share at once: %q", got)
		}
		if a.rest != 0 || !c.state("a").Up {
			t.Errorf("state = %+v", c.state("a"))
		}
	})
}

func TestAMemberThatCannotBeReachedIsPassedOver(t *testing.T) {
	good := startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "good") }))
	bad := plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"no.such.name.invalid:80"}, Text: "bad"}
	p := newProxy(t, "h1", Options{}, bad, good)
	for range 3 {
		if res, body := p.get(t, "/"); res.StatusCode != http.StatusOK || body != "good" {
			t.Errorf("%s: %s", res.Status, body)
		}
	}
}

// Slow start: a tenth of the turns at first, half of them after half of it.
func TestAMemberThatComesBackTakesItsShareSlowly(t *testing.T) {
	for _, balance := range []plan.Balance{plan.BalanceRoundRobin, plan.BalanceLeastConn} {
		t.Run(string(balance), func(t *testing.T) {
			inBubble(t, plan.Upstream{Balance: balance, Health: everySecond()}, "ab", "", func(t *testing.T, c *cluster) {
				c.at("a").sicken()
				time.Sleep(3 * time.Second)
				if got := c.answers(4); got != "bbbb" {
					t.Fatalf("answered by %q although a is %+v", got, c.state("a"))
				}
				c.at("a").heal()
				for c.state("a").Health != Healthy {
					time.Sleep(10 * time.Millisecond)
				}
				last := -1.0
				for range 4 {
					m := c.upstream.members.shared[0]
					c.upstream.members.mu.Lock()
					weight := m.weightLocked(time.Now())
					c.upstream.members.mu.Unlock()
					if weight <= last {
						t.Errorf("the share goes from %v to %v", last, weight)
					}
					last = weight
					if balance == plan.BalanceRoundRobin {
						got := strings.Count(c.answers(110), "a")
						if want := int(110 * weight / (1 + weight)); got < want-2 || got > want+2 {
							t.Errorf("%d of 110 at a share of %v, want %d", got, weight, want)
						}
					}
					time.Sleep(slowStart / 3)
				}
				if last != 1 {
					t.Errorf("the share ends at %v", last)
				}
			})
		})
	}
}
