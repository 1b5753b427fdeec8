package middleware

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// The tests of this file hold the guards condition by condition: each case
// differs in one thing from a request that passes.

// TestNotAPreflight sends requests that lack one sign of a preflight each. They
// need the password, and are counted, like any other request.
func TestNotAPreflight(t *testing.T) {
	const origin, method = "Origin", "Access-Control-Request-Method"
	requests := map[string]*http.Request{
		"a GET with the fields of a preflight": get(origin, "https://app.example.com", method, "PUT"),
		"a POST with them":                     request("POST", "", origin, "https://app.example.com", method, "PUT"),
		"OPTIONS without Origin":               request("OPTIONS", "", method, "PUT"),
		"OPTIONS with an empty Origin":         request("OPTIONS", "", origin, "", method, "PUT"),
		"OPTIONS without a method":             request("OPTIONS", "", origin, "https://app.example.com"),
		"OPTIONS of the same host":             request("OPTIONS", "", origin, "https://shop.localhost", method, "PUT"),
	}
	for name, r := range requests {
		route := routeOf(func(r *plan.Route) {
			put(r, plan.CORS{Origins: []string{"https://app.example.com"}})
			put(r, plan.BasicAuth{{Name: "ana", Hash: hashed(t, "secret", bcrypt.MinCost)}})
			put(r, plan.RateLimit{Count: 1, Per: time.Hour, Burst: 1, By: plan.RateByAll})
		})
		s := newState(route)
		var unauthorized *UnauthorizedError
		if _, err := ask(s, route, here(), r, fine); !errors.As(err, &unauthorized) {
			t.Errorf("%s passes without a password: %v", name, err)
		}
		var limited *LimitedError
		if _, err := ask(s, route, here(), r, fine); !errors.As(err, &limited) {
			t.Errorf("%s is not counted: %v", name, err)
		}
	}
}

// TestPreflightTwins changes one thing of a preflight that is answered.
func TestPreflightTwins(t *testing.T) {
	route := routeOf(func(r *plan.Route) { put(r, plan.CORS{Hosts: []string{"admin.localhost", "shop.localhost"}}) })
	s := newState(route)
	long := strings.Repeat("x", maxAskedFields)
	for _, test := range []struct {
		origin, method, fields string
		ok                     bool
	}{
		{"https://admin.localhost", "PUT", "", true},
		{"https://admin.localhost", "PUT", "x-a, x-b,", true},
		{"https://admin.localhost", "PUT", long, true},
		{"https://admin.localhost", "PUT", long + "x", false},
		{"https://admin.localhost", "P UT", "", false},
		{"https://admin.localhost", "P(UT", "", false},
		{"https://sub.admin.localhost", "PUT", "", false},
		{"https://", "PUT", "", false},
		{"ftp://admin.localhost", "PUT", "", false},
	} {
		w, err := ask(s, route, here(), request("OPTIONS", "", "Origin", test.origin, "Access-Control-Request-Method", test.method, "Access-Control-Request-Headers", test.fields), fine)
		if ok := err == nil && w.Code == http.StatusNoContent; ok != test.ok {
			t.Errorf("%s %q %.10q: %d, %v", test.origin, test.method, test.fields, w.Code, err)
		}
		if given := w.Header().Get(allowOrigin) != ""; given != (test.origin == "https://admin.localhost") {
			t.Errorf("%s %q: %s %q", test.origin, test.method, allowOrigin, w.Header().Get(allowOrigin))
		}
		if _, sent := w.Header()["Access-Control-Allow-Headers"]; sent != (test.ok && test.fields != "") {
			t.Errorf("%.10q: Access-Control-Allow-Headers %q", test.fields, w.Header()["Access-Control-Allow-Headers"])
		}
	}
}

// TestExactHostIsOneHost: a host without "*." allows no name below it, and no
// name that ends like it.
func TestExactHostIsOneHost(t *testing.T) {
	hosts := []string{"shop.localhost", "*.tenant.localhost"}
	for origin, want := range map[string]bool{
		"https://shop.localhost": true, "https://a.tenant.localhost": true,
		"https://a.shop.localhost": false, "https://myshop.localhost": false, "https://localhost": false,
		"https://.shop.localhost": false, "https://b.a.tenant.localhost": false, "https://xtenant.localhost": false,
	} {
		if got := isHost(&plan.CORS{Hosts: hosts}, origin, From{}); got != want {
			t.Errorf("%s: allowed %v, want %v", origin, got, want)
		}
	}
	for _, test := range []struct {
		origin string
		from   From
		want   bool
	}{
		{"http://shop.localhost:8080", From{Plain: true, Port: "8080"}, true},
		{"https://shop.localhost:8080", From{Plain: true, Port: "8080"}, true},
		{"http://shop.localhost:8080", From{Port: "8080"}, false},
		{"ftp://shop.localhost:8080", From{Plain: true, Port: "8080"}, false},
		{"http://shop.localhost:8081", From{Plain: true, Port: "8080"}, false},
	} {
		if got := isHost(&plan.CORS{Hosts: hosts}, test.origin, test.from); got != test.want {
			t.Errorf("%s, %+v: allowed %v, want %v", test.origin, test.from, got, test.want)
		}
	}
}

// TestOwnPage: a page of the host itself gets no CORS fields, over TLS and
// without, and one of the other scheme is not its own.
func TestOwnPage(t *testing.T) {
	route := routeOf(func(r *plan.Route) { put(r, plan.CORS{Hosts: []string{"shop.localhost"}}) })
	s := newState(route)
	for _, test := range []struct {
		origin string
		plain  bool
		port   string
		want   string
	}{
		{"https://shop.localhost", false, "", ""},
		{"http://shop.localhost", true, "", ""},
		{"https://shop.localhost", true, "", "https://shop.localhost"},
		{"http://shop.localhost", false, "", ""},
	} {
		from := here()
		from.Plain, from.Port = test.plain, test.port
		w, err := ask(s, route, from, get("Origin", test.origin), fine)
		if got := w.Header().Get(allowOrigin); err != nil || got != test.want {
			t.Errorf("%+v: %s %q, %v", test, allowOrigin, got, err)
		}
	}
}

// TestLimitsCountOnce: a limit by address counts a request with a password once,
// and one by "all" counts every address together.
func TestLimitsCountOnce(t *testing.T) {
	route := routeOf(func(r *plan.Route) {
		put(r, plan.RateLimit{Count: 1, Per: time.Hour, Burst: 2, By: plan.RateByAddress})
		put(r, plan.BasicAuth{{Name: "ana", Hash: hashed(t, "secret", bcrypt.MinCost)}})
	})
	s := newState(route)
	var limited *LimitedError
	for i := range 3 {
		r := get()
		r.SetBasicAuth("ana", "secret")
		_, err := ask(s, route, here(), r, fine)
		if i < 2 && err != nil || i == 2 && !errors.As(err, &limited) {
			t.Errorf("request %d of a burst of 2: %v", i+1, err)
		}
		if r.Header.Get("Authorization") == "" {
			t.Error("the request that the server keeps has lost its Authorization")
		}
	}

	route = routeOf(func(r *plan.Route) {
		put(r, plan.RateLimit{Count: 1, Per: time.Hour, Burst: 2, By: plan.RateByAll})
	})
	s = newState(route)
	for i := range 3 {
		_, err := ask(s, route, From{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})}, get(), fine)
		if i < 2 && err != nil || i == 2 && !errors.As(err, &limited) {
			t.Errorf("address %d, all of which share a burst of 2: %v", i+1, err)
		}
	}
}

// TestLimitByUserNeedsAProof: a name that comes with a wrong password has no
// bucket of its own.
func TestLimitByUserNeedsAProof(t *testing.T) {
	route := routeOf(func(r *plan.Route) {
		put(r, plan.RateLimit{Count: 1, Per: time.Hour, Burst: 1, By: plan.RateByUser})
	})
	s := newState(route)
	for i := range 2 {
		r := get()
		r.SetBasicAuth(fmt.Sprint("user", i), "x")
		_, err := ask(s, route, here(), r, fine)
		var limited *LimitedError
		if i == 0 && err != nil || i == 1 && !errors.As(err, &limited) {
			t.Errorf("request %d of an address without basic_auth: %v", i+1, err)
		}
	}
	if _, err := ask(s, route, From{Addr: netip.MustParseAddr("192.0.2.1")}, get(), fine); err != nil {
		t.Errorf("another address: %v", err)
	}
}

// TestUnknownNameTakesAsLong: the time of a refusal does not tell whether a
// name exists, nor whose hash is cheaper. The fastest of several tries counts,
// so that other work on the machine does not.
func TestUnknownNameTakesAsLong(t *testing.T) {
	users := []plan.User{{Name: "cheap", Hash: hashed(t, "x", bcrypt.MinCost)}, {Name: "dear", Hash: hashed(t, "x", bcrypt.MinCost+3)}}
	fastest := map[string]time.Duration{}
	try := func(name string) time.Duration {
		start := time.Now()
		matches(users, name, "wrong")
		took := time.Since(start)
		if best, ok := fastest[name]; !ok || took < best {
			fastest[name] = took
		}
		return fastest[name]
	}
	for _, name := range []string{"cheap", "nobody", ""} {
		for tries := 1; ; tries++ {
			dear, took := try("dear"), try(name)
			ratio := float64(took) / float64(dear)
			if tries >= 3 && ratio > 0.7 && ratio < 1.4 {
				break
			}
			if tries == 50 {
				t.Errorf("%q takes %v, a known name with the dearest hash %v", name, took, dear)
				break
			}
		}
	}
}

// TestLimitedBody reads a body of unknown length up to its limit, and asks for
// no more than it needs to see that there is more.
func TestLimitedBody(t *testing.T) {
	for _, size := range []int{9, 10, 11, 100} {
		source := &generous{left: size}
		body := &limitedBody{io.NopCloser(source), 10, 10}
		text, err := io.ReadAll(body)
		var large *TooLargeError
		if wrong := errors.As(err, &large); wrong != (size > 10) || len(text) != min(size, 10) {
			t.Errorf("%d bytes: read %d, %v", size, len(text), err)
		}
		if size-source.left > 11 {
			t.Errorf("%d bytes: took %d from the client", size, size-source.left)
		}
		if size > 10 {
			if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.As(err, &large) {
				t.Errorf("%d bytes: reading on gives %d bytes, %v", size, n, err)
			}
		}
	}
	// A declared length is checked before, and the body stays unchanged: what
	// has none is known by it.
	for _, text := range []string{"", "0123456789"} {
		r := request("POST", text)
		if text == "" {
			r.Body = http.NoBody
		}
		body := r.Body
		err := limitBody(10, func(_ http.ResponseWriter, in *http.Request) error {
			if in.Body != body {
				t.Errorf("%q: a body of a declared length is wrapped", text)
			}
			return nil
		})(httptest.NewRecorder(), r)
		if err != nil {
			t.Error(err)
		}
	}
}

// generous fills every Read.
type generous struct{ left int }

func (g *generous) Read(p []byte) (int, error) {
	if g.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), g.left)
	g.left -= n
	return n, nil
}

// TestShownLimit: as many are remembered as the limit says; one more clears them.
func TestShownLimit(t *testing.T) {
	s := newProven()
	token := func(i int) [32]byte { return s.token(nil, fmt.Sprint(i), "") }
	for i := range maxProven {
		s.add(token(i))
	}
	if len(s.all) != maxProven || !s.has(token(0)) {
		t.Fatalf("%d are remembered", len(s.all))
	}
	s.add(token(maxProven))
	if len(s.all) != 1 || s.has(token(0)) || !s.has(token(maxProven)) {
		t.Errorf("%d are remembered after one more", len(s.all))
	}
}

// TestTokenHoldsTheHash: credentials are remembered together with the hash they
// were compared with, and no two of them are alike.
func TestTokenHoldsTheHash(t *testing.T) {
	s := newProven()
	before, after := []plan.User{{Name: "ana", Hash: "one"}, {Name: "bob", Hash: "x"}}, []plan.User{{Name: "ana", Hash: "two"}, {Name: "bob", Hash: "x"}}
	if s.token(before, "ana", "secret") == s.token(after, "ana", "secret") {
		t.Error("a changed hash does not ask again")
	}
	if s.token(before, "bob", "secret") != s.token(after, "bob", "secret") {
		t.Error("the hash of another user needs a comparison again")
	}
	if s.token(nil, "a", "bc") == s.token(nil, "ab", "c") || newProven().token(nil, "a", "b") == s.token(nil, "a", "b") {
		t.Error("two credentials, or two keys, give one token")
	}
}

// TestManyAreCounted: as many addresses as the limit says are told apart, and
// one more has the quietest of them begin again.
func TestManyAreCounted(t *testing.T) {
	for _, others := range []int{maxCounted - 1, maxCounted} {
		route := routeOf(func(r *plan.Route) {
			put(r, plan.RateLimit{Count: 1, Per: time.Hour, Burst: 1, By: plan.RateByAddress})
		})
		s := newState(route)
		for i := range others + 1 {
			from := From{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
			if _, err := ask(s, route, from, get(), fine); err != nil {
				t.Fatalf("address %d: %v", i, err)
			}
		}
		_, err := ask(s, route, From{Addr: netip.MustParseAddr("10.0.0.0")}, get(), fine)
		if limited := err != nil; limited != (others < maxCounted) {
			t.Errorf("the first of %d addresses: %v", others+1, err)
		}
	}
}

// TestMaxConcurrent: one request too many is refused, a request that ends makes
// room however it ends, and a changed limit counts those in progress.
func TestMaxConcurrent(t *testing.T) {
	of := func(limit int) *plan.Route {
		return routeOf(func(r *plan.Route) { put(r, plan.MaxConcurrent(limit)) })
	}
	two := of(2)
	s := newState(two)
	end, ended := make(chan error), make(chan error)
	begun := make(chan bool)
	wait := func(http.ResponseWriter, *http.Request) error {
		begun <- true
		return <-end
	}
	begin := func(route *plan.Route) {
		go func() {
			_, err := ask(s, route, here(), get(), wait)
			ended <- err
		}()
		<-begun
	}
	refused := func(route *plan.Route, want bool) {
		t.Helper()
		var limited *LimitedError
		_, err := ask(s, route, here(), get(), fine)
		if errors.As(err, &limited) != want || err != nil && !want {
			t.Errorf("refused: %v; want %v", err, want)
		}
	}
	begin(two)
	refused(two, false)
	begin(two)
	refused(two, true)

	three := of(3)
	s.Update(three)
	refused(three, false)
	s.Update(two)
	refused(two, true)

	broken := errors.New("broken")
	end <- broken
	if err := <-ended; !errors.Is(err, broken) {
		t.Errorf("the error of the request is %v", err)
	}
	refused(two, false)
	func() {
		defer func() { _ = recover() }()
		_, _ = ask(s, two, here(), get(), func(http.ResponseWriter, *http.Request) error { panic("a handler") })
	}()
	refused(two, false)
	end <- nil
	<-ended
	if n := s.inProgress.Load(); n != 0 {
		t.Errorf("%d requests are in progress after all have ended", n)
	}
}
