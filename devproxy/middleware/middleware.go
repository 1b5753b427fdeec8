// Package middleware runs the settings that a route puts around its answer.
// plan.Route.Around lists them in the order in which a request meets them:
//
//	access      a client that is not allowed costs nothing more
//	rate_limit  before anything is compared or read
//	cors        answers preflights, since browsers send them without credentials;
//	            errors from further in carry its fields too, so that a script may
//	            read them
//	basic_auth  a client that isn't signed in learns nothing about what is inside
//	rate_limit  by = "user", which basic_auth proves
//	max_concurrent
//	max_body
//	compress    outside the cache, which keeps what the upstream sent
//	cache       answers without the simulated faults of the upstream
//	simulate    a slow or failing upstream
//
// Nothing here looks at paths: the route is chosen before, so no spelling of a
// path gets around these settings.
package middleware

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/access"
	"github.com/devproxy/devproxy/devproxy/middleware/cache"
	"github.com/devproxy/devproxy/devproxy/middleware/compress"
	"github.com/devproxy/devproxy/devproxy/plan"
)

// Handler answers r on w, or returns why it could not and has written nothing.
type Handler = func(w http.ResponseWriter, r *http.Request) error

// From is where a request comes from.
type From struct {
	// Addr is the client's address; the zero Addr is unknown.
	Addr netip.Addr
	// Plain is true for a request without TLS.
	Plain bool
	// Port is the port in the origins of this devproxy's hosts, for the request's
	// scheme; empty for the default port.
	Port string
	// Visitor is true for a client that comes through a share. It is never
	// local: a loopback address is the relay's, and counts as unknown.
	Visitor bool
	// Audience names clients whose responses are filtered in the same way: a cache
	// serves none of them a response that was fetched for others. It is empty for
	// local clients.
	Audience string
}

func (f From) addr() netip.Addr {
	addr := f.Addr.Unmap().WithZone("")
	if f.Visitor && (addr.IsLoopback() || addr.IsUnspecified()) {
		return netip.Addr{}
	}
	return addr
}

// Background reports whether a request is one that a cache makes for itself, in
// its own goroutine.
func Background(ctx context.Context) bool { return cache.Background(ctx) }

// State is the state that a route keeps between requests: the counts of its
// limits, verified passwords, its cache. It is handed from plan to plan and
// safe for concurrent use. Create it with NewState; Close clears it.
type State struct {
	attempts *access.Attempts
	proven   *proven
	// inProgress counts the requests inside max_concurrent.
	inProgress atomic.Int64

	mu    sync.Mutex
	route *plan.Route // of the last Update
	limit *limiter    // nil without a rate_limit
	cache *cache.Cache
}

// NewState returns an empty state. attempts are the guesses at passwords of
// route's host, which all its routes count together.
func NewState(route *plan.Route, attempts *access.Attempts) *State {
	s := &State{attempts: attempts, proven: newProven()}
	s.Update(route)
	return s
}

// Update applies route's settings. What unchanged settings have counted and kept
// stays; another upstream, or other headers, empty the cache.
func (s *State) Update(route *plan.Route) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.route
	s.route = route
	spec, limited := plan.SettingOf[plan.RateLimit](route)
	switch {
	case !limited:
		s.limit = nil
	case s.limit == nil || s.limit.spec != spec:
		bucket := access.Limit{Every: spec.Per / time.Duration(spec.Count), Burst: spec.Burst}
		s.limit = &limiter{spec, access.NewTable[counted](bucket, maxCounted)}
	}
	kept, caches := plan.SettingOf[plan.Cache](route)
	switch {
	case !caches:
		s.closeCacheLocked()
	case s.cache == nil:
		s.cache = cache.New(kept.Size)
	default:
		if !old.SameResponses(route) {
			s.cache.Clear()
		}
		s.cache.Resize(kept.Size)
	}
}

// Close clears the state. Requests in progress finish; later ones are answered
// without a cache.
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

// current returns the effects that a request of route uses. During a change of
// the plan, route may not be the route of the last Update: where the two have
// different responses, neither may see the other's stored ones.
func (s *State) current(route *plan.Route) (*limiter, *cache.Cache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.route.SameResponses(route) {
		return s.limit, nil
	}
	return s.limit, s.cache
}

// Serve answers r with next, inside the settings of route. Errors are next's, or
// one of this package.
func (s *State) Serve(w http.ResponseWriter, r *http.Request, route *plan.Route, from From, next Handler) error {
	x := &exchange{State: s, route: route, from: from, addr: from.addr()}
	x.limit, x.cache = s.current(route)
	for _, setting := range slices.Backward(route.Around) {
		next = x.around(setting, next)
	}
	return next(w, r)
}

// exchange is one request and its response.
type exchange struct {
	*State
	route *plan.Route
	from  From
	addr  netip.Addr
	limit *limiter     // nil for none
	cache *cache.Cache // nil for none
	user  string       // as basic_auth has proven
}

// around returns a handler that puts setting around next.
func (x *exchange) around(setting plan.Setting, next Handler) Handler {
	switch setting := setting.(type) {
	case plan.Access:
		return x.allowed(setting, next)
	case plan.RateLimit:
		return x.limited(next)
	case plan.CORS:
		return crossOrigin(&setting, x.from, next)
	case plan.BasicAuth:
		return x.authenticated(setting, next)
	case plan.MaxConcurrent:
		return x.concurrent(setting, next)
	case plan.MaxBody:
		return limitBody(int64(setting), next)
	case plan.Compress:
		return func(w http.ResponseWriter, r *http.Request) error { return compress.Serve(w, r, next) }
	case plan.Cache:
		return x.cached(next)
	case plan.Simulate:
		return simulate(&setting, next)
	}
	panic("no handler for " + setting.Name())
}

func (x *exchange) allowed(list plan.Access, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !access.Allowed(x.addr, list.Allow, list.Deny) {
			return &DeniedError{x.addr}
		}
		return next(w, r)
	}
}

// concurrent lets limit requests be in progress at once. An upgraded connection or
// an event stream counts until it ends.
func (x *exchange) concurrent(limit plan.MaxConcurrent, next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		defer x.inProgress.Add(-1)
		if x.inProgress.Add(1) > int64(limit) {
			return &LimitedError{time.Second, "this route takes " + limit.String() + " requests at a time (max_concurrent)"}
		}
		return next(w, r)
	}
}

func (x *exchange) cached(next Handler) Handler {
	if x.cache == nil {
		return next
	}
	client := cache.Client{Secure: !x.from.Plain, Audience: x.from.Audience}
	return func(w http.ResponseWriter, r *http.Request) error { return x.cache.Serve(w, r, client, next) }
}
