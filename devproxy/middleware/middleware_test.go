package middleware

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/plan"
)

func newState(route *plan.Route) *State { return NewState(route, access.NewAttempts()) }

func here() From { return From{Addr: netip.MustParseAddr("127.0.0.1")} }

// fine answers with the credentials and the body of its request.
func fine(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s %s", r.Header.Get("Authorization"), body)
	return nil
}

// ask sends one request. The error is the one that a page would show.
func ask(s *State, route *plan.Route, from From, r *http.Request, next Handler) (*httptest.ResponseRecorder, error) {
	w := httptest.NewRecorder()
	err := s.Serve(w, r, route, from, next)
	return w, err
}

func get(fields ...string) *http.Request { return request("GET", "", fields...) }

func request(method, body string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, "https://shop.localhost/", strings.NewReader(body))
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

func hashed(t testing.TB, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func routeOf(change func(*plan.Route)) *plan.Route {
	r := &plan.Route{Host: &plan.Host{Name: "shop.localhost"}, Answer: &plan.Upstream{Key: "a"}}
	change(r)
	return r
}

// put adds settings to r in the order in which a request meets them. A setting
// replaces the one of the same name.
func put(r *plan.Route, settings ...plan.Setting) {
	for _, s := range settings {
		drop(r, s.Name())
		r.Around = append(r.Around, s)
	}
	order := []string{"access", "rate_limit", "cors", "basic_auth", "rate_limit by user", "max_concurrent", "max_body", "compress", "cache", "simulate"}
	rank := func(s plan.Setting) int {
		if limit, ok := s.(plan.RateLimit); ok && limit.By == plan.RateByUser {
			return slices.Index(order, "rate_limit by user")
		}
		return slices.Index(order, s.Name())
	}
	slices.SortFunc(r.Around, func(a, b plan.Setting) int { return rank(a) - rank(b) })
}

// drop removes a setting.
func drop(r *plan.Route, name string) {
	r.Around = slices.DeleteFunc(r.Around, func(s plan.Setting) bool { return s.Name() == name })
}

// TestHandlers holds that each setting of a route has a handler.
func TestHandlers(t *testing.T) {
	x := &exchange{route: routeOf(func(*plan.Route) {})}
	for _, setting := range []plan.Setting{
		plan.Access{}, plan.BasicAuth{}, plan.RateLimit{}, plan.CORS{}, plan.MaxConcurrent(1), plan.MaxBody(1), plan.Compress{}, plan.Simulate{}, plan.Cache{},
	} {
		if x.around(setting, fine) == nil {
			t.Errorf("%s has no handler", setting.Name())
		}
	}
}

func TestAccess(t *testing.T) {
	route := routeOf(func(r *plan.Route) {
		var list plan.Access
		for _, prefix := range []string{"127.0.0.0/8", "198.51.100.0/24", "0.0.0.0/8", "::/127"} {
			list.Allow = append(list.Allow, netip.MustParsePrefix(prefix))
		}
		put(r, list)
	})
	s := newState(route)
	tests := []struct {
		from From
		ok   bool
	}{
		{here(), true},
		{From{Addr: netip.MustParseAddr("::ffff:127.0.0.1")}, true},
		{From{Addr: netip.MustParseAddr("192.0.2.1")}, false},
		{From{}, false},
		{From{Addr: netip.MustParseAddr("127.0.0.1"), Visitor: true}, false},
		{From{Addr: netip.MustParseAddr("::1"), Visitor: true}, false},
		{From{Addr: netip.MustParseAddr("::ffff:127.0.0.1"), Visitor: true}, false},
		{From{Addr: netip.MustParseAddr("0.0.0.0"), Visitor: true}, false},
		{From{Addr: netip.MustParseAddr("::"), Visitor: true}, false},
		{From{Addr: netip.MustParseAddr("198.51.100.1"), Visitor: true}, true},
		{From{Addr: netip.MustParseAddr("0.0.0.0")}, true},
		{From{Addr: netip.MustParseAddr("::1")}, true},
	}
	for _, test := range tests {
		_, err := ask(s, route, test.from, get(), fine)
		var denied *DeniedError
		if (err == nil) != test.ok || err != nil && !errors.As(err, &denied) {
			t.Errorf("%+v: %v", test.from, err)
		}
	}
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		route := routeOf(func(r *plan.Route) {
			put(r, plan.RateLimit{Count: 10, Per: time.Second, Burst: 2, By: plan.RateByAddress})
			put(r, plan.CORS{Any: true})
		})
		s := newState(route)
		for i := range 5 {
			_, err := ask(s, route, here(), get(), fine)
			var limited *LimitedError
			if i < 2 && err != nil || i >= 2 && (!errors.As(err, &limited) || limited.After != 100*time.Millisecond) {
				t.Fatalf("request %d: %v", i+1, err)
			}
		}
		if _, err := ask(s, route, here(), request("OPTIONS", "", "Origin", "https://a.test", "Access-Control-Request-Method", "PUT"), fine); err != nil {
			t.Errorf("a preflight was counted: %v", err)
		}
		other := From{Addr: netip.MustParseAddr("192.0.2.1")}
		if _, err := ask(s, route, other, get(), fine); err != nil {
			t.Errorf("another address: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
		if _, err := ask(s, route, here(), get(), fine); err != nil {
			t.Errorf("after the time that was told: %v", err)
		}
	})
}

// TestOwnPreflightCounts: a preflight that goes on to the upstream is a request,
// be it of a page of the same host, or because the route has no cors.
func TestOwnPreflightCounts(t *testing.T) {
	for origin, cors := range map[string][]plan.Setting{"https://shop.localhost": {plan.CORS{Any: true}}, "https://a.test": nil} {
		route := routeOf(func(r *plan.Route) {
			put(r, plan.RateLimit{Count: 1, Per: time.Hour, Burst: 1, By: plan.RateByAddress})
			put(r, cors...)
		})
		s := newState(route)
		preflight := request("OPTIONS", "", "Origin", origin, "Access-Control-Request-Method", "PUT")
		if _, err := ask(s, route, here(), preflight, fine); err != nil {
			t.Fatal(err)
		}
		var limited *LimitedError
		if _, err := ask(s, route, here(), preflight, fine); !errors.As(err, &limited) {
			t.Errorf("%s, the second one: %v", origin, err)
		}
	}
}

// TestRateLimitByUser counts names that were proven, and addresses before that.
func TestRateLimitByUser(t *testing.T) {
	route := routeOf(func(r *plan.Route) {
		put(r, plan.RateLimit{Count: 1, Per: time.Hour, Burst: 1, By: plan.RateByUser})
		put(r, plan.BasicAuth{{Name: "ana", Hash: hashed(t, "a", bcrypt.MinCost)}, {Name: "bob", Hash: hashed(t, "b", bcrypt.MinCost)}})
	})
	s := newState(route)
	as := func(name, password string) error {
		r := get()
		r.SetBasicAuth(name, password)
		_, err := ask(s, route, here(), r, fine)
		return err
	}
	var limited *LimitedError
	var unauthorized *UnauthorizedError
	if err := as("ana", "a"); err != nil {
		t.Error(err)
	}
	if err := as("ana", "a"); !errors.As(err, &limited) {
		t.Errorf("her second request: %v", err)
	}
	if err := as("bob", "wrong"); !errors.As(err, &unauthorized) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := as("bob", "b"); err != nil {
		t.Errorf("another user's guesses counted for bob: %v", err)
	}
}

// TestUpdate keeps what equal settings have counted.
func TestUpdate(t *testing.T) {
	limit := plan.RateLimit{Count: 1, Per: time.Hour, Burst: 1, By: plan.RateByAll}
	with := func(l ...plan.Setting) *plan.Route { return routeOf(func(r *plan.Route) { put(r, l...) }) }
	s := newState(with(limit))
	if _, err := ask(s, with(limit), here(), get(), fine); err != nil {
		t.Fatal(err)
	}
	same := limit
	s.Update(with(same))
	if _, err := ask(s, with(same), here(), get(), fine); err == nil {
		t.Error("an equal limit was filled up by a save")
	}
	more := limit
	more.Burst = 2
	s.Update(with(more))
	if _, err := ask(s, with(more), here(), get(), fine); err != nil {
		t.Errorf("another limit: %v", err)
	}
	s.Update(with())
	if _, err := ask(s, with(), here(), get(), fine); err != nil {
		t.Errorf("no limit: %v", err)
	}
	s.Close()
}

// TestOldRouteAfterUpdate: a request that still has the old route neither gives
// the cache the old upstream's answer nor is given the new one's.
func TestOldRouteAfterUpdate(t *testing.T) {
	of := func(key string) *plan.Route {
		return routeOf(func(r *plan.Route) { r.Answer = &plan.Upstream{Key: key}; put(r, plan.Cache{Size: 1 << 20}) })
	}
	before, after := of("before"), of("after")
	s := newState(before)
	defer s.Close()
	s.Update(after)
	for range 2 {
		for _, route := range []*plan.Route{before, after} {
			key := route.Answer.(*plan.Upstream).Key
			w, err := ask(s, route, here(), get(), func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Cache-Control", "max-age=60")
				_, err := io.WriteString(w, key)
				return err
			})
			if err != nil || w.Body.String() != key {
				t.Errorf("%s is answered %q, %v", key, w.Body, err)
			}
		}
	}
}

func TestBasicAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := []plan.User{{Name: "ana", Hash: hashed(t, "secret", bcrypt.MinCost)}, {Name: "bob", Hash: hashed(t, "other", bcrypt.MinCost+2)}}
		route := routeOf(func(r *plan.Route) { put(r, plan.BasicAuth(users)) })
		s := newState(route)
		as := func(name, password string, from From) (*httptest.ResponseRecorder, error) {
			r := get()
			r.SetBasicAuth(name, password)
			return ask(s, route, from, r, fine)
		}
		var unauthorized *UnauthorizedError
		for _, r := range []*http.Request{get(), get("Authorization", "Bearer secret"), get("Authorization", "Basic !"), get("Authorization", "Basic YW5h")} {
			if _, err := ask(s, route, here(), r, fine); !errors.As(err, &unauthorized) || unauthorized.Realm != "shop.localhost" {
				t.Errorf("%q: %v", r.Header, err)
			}
		}
		w, err := as("ana", "secret", here())
		if err != nil || w.Body.String() != " " {
			t.Errorf("the right one: %q, %v; the field must not be passed on", w.Body, err)
		}
		for i := range 2 * access.AddressAttempts {
			_, err := as([]string{"ana", "nobody", "bob", ""}[i%4], "wrong", here())
			var limited *LimitedError
			if i < access.AddressAttempts && !errors.As(err, &unauthorized) || i >= access.AddressAttempts && !errors.As(err, &limited) {
				t.Errorf("guess %d: %v", i+1, err)
			}
		}
		if _, err := as("ana", "secret", here()); err != nil {
			t.Errorf("who was let in before is kept out by guesses: %v", err)
		}
		if _, err := as("bob", "other", From{Addr: netip.MustParseAddr("192.0.2.1")}); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		time.Sleep(access.AddressPause)
		if _, err := as("bob", "other", here()); err != nil {
			t.Errorf("after the pause: %v", err)
		}

		// A password is compared again when its hash changes.
		changed := routeOf(func(r *plan.Route) { put(r, plan.BasicAuth{{Name: "ana", Hash: hashed(t, "new", bcrypt.MinCost)}}) })
		s.Update(changed)
		r := get()
		r.SetBasicAuth("ana", "secret")
		if _, err := ask(s, changed, From{Addr: netip.MustParseAddr("192.0.2.2")}, r, fine); !errors.As(err, &unauthorized) {
			t.Errorf("the old password: %v", err)
		}
	})
}

// TestSameWork: whether a name is known, and how dear its hash is, takes the
// same work: that of the dearest.
func TestSameWork(t *testing.T) {
	for cost := bcrypt.MinCost; cost < 8; cost++ {
		if got, err := bcrypt.Cost([]byte(unmatched(cost))); err != nil || got != cost {
			t.Errorf("%d: %d, %v", cost, got, err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(unmatched(cost)), []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			t.Errorf("%d: it was not compared: %v", cost, err)
		}
	}
	users := []plan.User{{Name: "a", Hash: hashed(t, "x", 4)}, {Name: "b", Hash: hashed(t, "x", 6)}}
	for _, name := range []string{"a", "b"} {
		if !matches(users, name, "x") || matches(users, name, "y") {
			t.Errorf("%s", name)
		}
	}
	long := strings.Repeat("x", 72)
	users = []plan.User{{Name: "a", Hash: hashed(t, long, 4)}}
	if !matches(users, "a", long) || matches(users, "a", long+"y") {
		t.Error("what bcrypt does not take in was accepted")
	}
}

func TestShownIsBounded(t *testing.T) {
	s := newProven()
	for i := range 10 * maxProven {
		s.add(s.token(nil, fmt.Sprint(i), ""))
	}
	if len(s.all) > maxProven {
		t.Errorf("%d are remembered", len(s.all))
	}
}

func TestMaxBody(t *testing.T) {
	route := routeOf(func(r *plan.Route) { put(r, plan.MaxBody(10)) })
	s := newState(route)
	for _, chunked := range []bool{false, true} {
		for n := range 30 {
			r := request("POST", strings.Repeat("x", n))
			if chunked {
				r.ContentLength = -1
			}
			asked := false
			w, err := ask(s, route, here(), r, func(w http.ResponseWriter, r *http.Request) error {
				asked = true
				return fine(w, r)
			})
			var large *TooLargeError
			if n <= 10 && (err != nil || w.Body.Len() != n+1) || n > 10 && !errors.As(err, &large) {
				t.Errorf("%d bytes, chunked %v: %q, %v", n, chunked, w.Body, err)
			}
			if n > 10 && asked != chunked {
				t.Errorf("%d bytes, chunked %v: a request to the upstream %v", n, chunked, asked)
			}
		}
	}
}

// TestOneAtATime: requests and saves at once.
func TestOneAtATime(t *testing.T) {
	route := routeOf(func(r *plan.Route) {
		put(r, plan.RateLimit{Count: 1000, Per: time.Second, Burst: 1000, By: plan.RateByAddress})
		put(r, plan.BasicAuth{{Name: "ana", Hash: hashed(t, "secret", bcrypt.MinCost)}})
		put(r, plan.CORS{Hosts: []string{"shop.localhost"}}, plan.MaxBody(100), plan.Compress{})
	})
	s := newState(route)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 50 {
				if i == 0 {
					s.Update(route)
					continue
				}
				r := get("Origin", "https://shop.localhost")
				r.SetBasicAuth("ana", "secret")
				if _, err := ask(s, route, here(), r, fine); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s.Close()
}
