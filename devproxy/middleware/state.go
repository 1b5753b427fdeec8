package middleware

import (
	"context"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"sync"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/middleware/cache"
	"github.com/devproxy/devproxy/devproxy/middleware/compress"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// Handler answers r on w, or returns why it could not and has written nothing.
type Handler = func(w http.ResponseWriter, r *http.Request) error

// From is who asks.
type From struct {
	// Addr is the visitor's; the zero Addr is not known.
	Addr netip.Addr
	// Plain is true for a request without TLS.
	Plain bool
	// Port is that of the origins of this devproxy's hosts, as the request's
	// scheme has them; empty for the one that goes without saying.
	Port string
	// Visitor is true for whoever comes through a share. A visitor is never
	// local: a loopback address is the relay's, so it counts as not known.
	Visitor bool
	// Audience names clients whose responses are filtered in the same way: a
	// cache gives none of them what was fetched for others. Empty for local
	// clients.
	Audience string
}

func (f From) addr() netip.Addr {
	addr := f.Addr.Unmap().WithZone("")
	if f.Visitor && (addr.IsLoopback() || addr.IsUnspecified()) {
		return netip.Addr{}
	}
	return addr
}

// Needed reports whether a route puts anything around its answer.
func Needed(r *plan.Route) bool {
	return len(r.Access.Allow)+len(r.Access.Deny)+len(r.Users) > 0 || r.RateLimit != nil || r.CORS != nil || r.MaxBody > 0 ||
		r.Compress || r.Cache != nil || r.Simulate != nil
}

// Background reports whether a request is one that a cache makes for itself, in
// a goroutine of its own.
func Background(ctx context.Context) bool { return cache.Background(ctx) }

// State is what a route keeps between requests: what is left of its limits, who
// has shown a password, its cache. It is handed from plan to plan and safe for
// concurrent use. Create it with NewState; Close lets go of it.
type State struct {
	attempts *access.Attempts
	shown    *shown

	mu    sync.Mutex
	route *plan.Route // whose settings hold
	limit *limiter    // nil without a rate_limit
	cache *cache.Cache
}

// NewState has counted and kept nothing. attempts are the guesses at passwords
// of route's host, which all its routes count together.
func NewState(route *plan.Route, attempts *access.Attempts) *State {
	s := &State{attempts: attempts, shown: newShown()}
	s.Update(route)
	return s
}

// Update makes route's settings hold. What is counted and kept by settings that
// stay the same stays; another upstream, or other headers, empty the cache.
func (s *State) Update(route *plan.Route) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.route
	s.route = route
	switch {
	case route.RateLimit == nil:
		s.limit = nil
	case s.limit == nil || s.limit.spec != *route.RateLimit:
		s.limit = newLimiter(*route.RateLimit)
	}
	s.updateCacheLocked(old, route)
}

func (s *State) updateCacheLocked(old, route *plan.Route) {
	switch {
	case route.Cache == nil:
		s.closeCacheLocked()
	case s.cache == nil:
		s.cache = cache.New(cache.Options{Size: route.Cache.Size})
	default:
		if !sameAnswers(old, route) {
			s.cache.Clear()
		}
		s.cache.Resize(route.Cache.Size)
	}
}

// sameAnswers reports whether what was kept of old is what route would get.
func sameAnswers(old, route *plan.Route) bool {
	was, ok := old.Answer.(*plan.Upstream)
	is, still := route.Answer.(*plan.Upstream)
	return ok && still && was.Key == is.Key && old.StripPrefix == route.StripPrefix && old.Rewrite == route.Rewrite && old.ForwardedHTTP == route.ForwardedHTTP &&
		reflect.DeepEqual(old.TryFiles, route.TryFiles) &&
		slices.Equal(old.RequestHeaders, route.RequestHeaders) && slices.Equal(old.ResponseHeaders, route.ResponseHeaders)
}

// Close lets go of what the state keeps. Requests under way finish; later ones
// pass without cache.
func (s *State) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeCacheLocked()
}

func (s *State) closeCacheLocked() {
	if s.cache != nil {
		s.cache.Close()
		s.cache = nil
	}
}

// current is what holds for a request of route. Around a save that is not always
// the route of the last Update: where the two are answered differently, neither
// may see what is kept of the other.
func (s *State) current(route *plan.Route) (*limiter, *cache.Cache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !sameAnswers(s.route, route) {
		return s.limit, nil
	}
	return s.limit, s.cache
}

// Serve answers r with next in the middle of what route puts around it. Errors
// are next's, or one of this package.
func (s *State) Serve(w http.ResponseWriter, r *http.Request, route *plan.Route, from From, next Handler) error {
	addr := from.addr()
	if !access.Allowed(addr, route.Access.Allow, route.Access.Deny) {
		return &DeniedError{addr}
	}
	limit, kept := s.current(route)
	next = inside(route, kept, from, next)
	if len(route.Users) > 0 {
		next = s.authenticated(route, addr, limit, next)
	} else if limit != nil && limit.spec.By == plan.RateByUser {
		next = limit.before(addr, "", next)
	}
	if route.CORS != nil {
		next = crossOrigin(route.CORS, from, next)
	}
	if limit != nil && limit.spec.By != plan.RateByUser && (route.CORS == nil || !answersPreflight(r, from)) {
		next = limit.before(addr, "", next)
	}
	return next(w, r)
}

// inside is what lies behind the question of who asks.
func inside(route *plan.Route, kept *cache.Cache, from From, next Handler) Handler {
	if route.Simulate != nil {
		next = simulate(route.Simulate, next)
	}
	if kept != nil {
		upstream := next
		client := cache.Client{Secure: !from.Plain, Audience: from.Audience}
		next = func(w http.ResponseWriter, r *http.Request) error { return kept.Serve(w, r, client, upstream) }
	}
	if route.Compress {
		plain := next
		next = func(w http.ResponseWriter, r *http.Request) error { return compress.Serve(w, r, plain) }
	}
	if route.MaxBody > 0 {
		next = limitBody(route.MaxBody, next)
	}
	return next
}
