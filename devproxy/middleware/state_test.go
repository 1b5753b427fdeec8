package middleware

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/devproxy/middleware/cache"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// cached is an upstream whose answers may be kept, of a route with a cache that
// change changes.
func cached(change func(*plan.Route)) *plan.Route {
	return routeOf(func(r *plan.Route) {
		put(r, plan.Cache{Size: 1 << 20})
		change(r)
	})
}

// asks reports whether a request of route reaches the upstream, rather
// than from the cache.
func asks(t *testing.T, s *State, route *plan.Route) (asked bool) {
	t.Helper()
	_, err := ask(s, route, here(), get(), func(w http.ResponseWriter, _ *http.Request) error {
		asked = true
		w.Header().Set("Cache-Control", "max-age=60")
		_, err := io.WriteString(w, strings.Repeat("x", 1000))
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return asked
}

// TestSavesAndTheCache: stored responses survive a save, unless the route would
// be answered in another way.
func TestSavesAndTheCache(t *testing.T) {
	header := []plan.Header{{Name: "X-A", Value: "1"}}
	for name, test := range map[string]struct {
		change func(*plan.Route)
		stays  bool
	}{
		"nothing":            {func(*plan.Route) {}, true},
		"compress":           {func(r *plan.Route) { put(r, plan.Compress{}) }, true},
		"max_body":           {func(r *plan.Route) { put(r, plan.MaxBody(1<<20)) }, true},
		"rate_limit":         {func(r *plan.Route) { put(r, plan.RateLimit{Count: 100, Per: 1, Burst: 100}) }, true},
		"a larger cache":     {func(r *plan.Route) { put(r, plan.Cache{Size: 2 << 20}) }, true},
		"a small cache":      {func(r *plan.Route) { put(r, plan.Cache{Size: 100}) }, false},
		"another upstream":   {func(r *plan.Route) { r.Answer = &plan.Upstream{Key: "b"} }, false},
		"forwarded_proto":    {func(r *plan.Route) { r.ForwardedHTTP = true }, false},
		"public_host":        {func(r *plan.Route) { r.PublicHost = true }, false},
		"strip_prefix":       {func(r *plan.Route) { r.StripPrefix = true }, false},
		"rewrite":            {func(r *plan.Route) { r.Rewrite = "/x" }, false},
		"request headers":    {func(r *plan.Route) { r.RequestHeaders = header }, false},
		"response headers":   {func(r *plan.Route) { r.ResponseHeaders = header }, false},
		"no cache":           {func(r *plan.Route) { drop(r, "cache") }, false},
		"files":              {func(r *plan.Route) { r.Answer = &plan.Files{} }, false},
		"the equal upstream": {func(r *plan.Route) { r.Answer = &plan.Upstream{Key: "a"} }, true},
	} {
		before, after := cached(func(*plan.Route) {}), cached(test.change)
		s := newState(before)
		if !asks(t, s, before) || asks(t, s, before) {
			t.Fatalf("%s: the cache does not work", name)
		}
		s.Update(after)
		if asked := asks(t, s, after); asked == test.stays {
			t.Errorf("%s: the upstream gets a request: %v", name, asked)
		}
		// And back: the other's stored responses are not used again.
		s.Update(before)
		if asked := asks(t, s, before); asked == test.stays {
			t.Errorf("%s, and back: the upstream gets a request: %v", name, asked)
		}
		if asks(t, s, before) {
			t.Errorf("%s, and back: nothing is kept", name)
		}
		s.Close()
	}
}

// TestALargerCacheKeepsMore, and a smaller one less, after a save.
func TestALargerCacheKeepsMore(t *testing.T) {
	small, large := cached(func(r *plan.Route) { put(r, plan.Cache{Size: 2000}) }), cached(func(*plan.Route) {})
	s := newState(small)
	defer s.Close()
	if asks(t, s, small); !asks(t, s, small) {
		t.Fatal("an answer that does not fit is kept")
	}
	s.Update(large)
	if asks(t, s, large); asks(t, s, large) {
		t.Error("with room for it the answer is not kept")
	}
}

// TestOldRouteSeesNoCache: around a save, a request with the old route is
// answered by its upstream wherever the two are answered differently.
func TestOldRouteSeesNoCache(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*plan.Route)
		sees   bool
	}{
		"an equal route": {func(*plan.Route) {}, true},
		"a rewrite":      {func(r *plan.Route) { r.Rewrite = "/x" }, false},
	} {
		before, after := cached(func(*plan.Route) {}), cached(test.change)
		s := newState(before)
		s.Update(after)
		asks(t, s, after)
		if asked := asks(t, s, before); asked == test.sees {
			t.Errorf("%s: a request to the upstream %v", name, asked)
		}
		if asks(t, s, after) {
			t.Errorf("%s: the new route has lost what is kept", name)
		}
		s.Close()
	}
}

// TestClose: nothing is kept any more, also by requests that still have the cache.
func TestClose(t *testing.T) {
	route := cached(func(*plan.Route) {})
	s := newState(route)
	asks(t, s, route)
	_, kept := s.current(route)
	s.Close()
	s.Close()
	for range 2 {
		if !asks(t, s, route) {
			t.Error("a closed state answers from its cache")
		}
	}
	for i := range 2 {
		asked := false
		err := kept.Serve(httptest.NewRecorder(), get(), cache.Client{Secure: true}, func(w http.ResponseWriter, _ *http.Request) error {
			asked = true
			w.Header().Set("Cache-Control", "max-age=60")
			_, err := io.WriteString(w, "x")
			return err
		})
		if err != nil || !asked {
			t.Errorf("request %d of a closed cache: a request to the upstream %v, %v", i+1, asked, err)
		}
	}
}

// TestWithAndWithout: compress compresses, and without max_body any body passes.
func TestWithAndWithout(t *testing.T) {
	for _, compress := range []bool{false, true} {
		route := routeOf(func(r *plan.Route) {
			if compress {
				put(r, plan.Compress{})
			}
		})
		w, err := ask(newState(route), route, here(), request("POST", strings.Repeat("x", 10_000), "Accept-Encoding", "gzip"), func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/plain")
			_, err := io.Copy(w, r.Body)
			return err
		})
		if err != nil || (w.Header().Get("Content-Encoding") == "gzip") != compress || !compress && w.Body.Len() != 10_000 {
			t.Errorf("compress %v: %v, %d bytes, %v", compress, w.Header(), w.Body.Len(), err)
		}
	}
}
