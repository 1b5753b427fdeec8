// Package cache is a shared cache in memory (RFC 9111) for the responses of one
// route's upstream.
//
// It keeps every response that the upstream allows a shared cache to keep.
// Where the specification leaves a choice, it takes the option that can't show
// a client the data of another: a response with Set-Cookie or any form of
// private is not kept, and no-cache="FIELD" means all of the response.
// CDN-Cache-Control (RFC
// 9213) replaces Cache-Control and Expires, so that a developer sees what a CDN
// will do; all three are forwarded as they came.
//
// Requests for what is not there yet are collapsed into one (section 4). The
// clients that wait get the bytes as they come once the head shows that they may
// have them. Otherwise they go to the upstream by themselves, all at once. The
// request to the upstream runs in its own goroutine; when the client that began
// it leaves and others want the response, it is read to its end for them.
//
// Ranges are cut from complete responses, and partial ones with the same strong
// validator are combined (section 3.4). Cache-Status says what was done (RFC
// 9211).
package cache

import (
	"container/list"
	"context"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/devproxy/devproxy/devproxy/middleware/head"
)

// Handler answers r on w, or returns why it could not and has written nothing.
type Handler = func(w http.ResponseWriter, r *http.Request) error

// maxPart of the cache is the most that one response may take.
const maxPart = 4

// Cache keeps responses. It is safe for concurrent use. Create it with New;
// Close ends everything that it runs.
type Cache struct {
	ctx        context.Context // of background requests
	cancel     context.CancelFunc
	background sync.WaitGroup

	mu       sync.Mutex
	size     int64               // bound of used
	used     int64               // by stored and arriving responses, in bytes
	entries  map[key][]*entry    // by key: the variants of one URI
	partials map[key]*partial    // by key
	recent   list.List           // of *entry, the last used first
	fetches  map[*fetch]struct{} // in progress
	leaders  map[key]*fetch      // the fetches that others may wait for
	private  map[uint64]struct{} // keys whose last response was for one client only
	// audiences are those for which something was fetched.
	audiences map[string]struct{}
	closed    bool
	seed      maphash.Seed // of private
}

// New returns an empty cache. size limits all stored and arriving responses
// together, in bytes.
func New(size int64) *Cache {
	c := &Cache{
		size: size, entries: map[key][]*entry{}, partials: map[key]*partial{},
		fetches: map[*fetch]struct{}{}, leaders: map[key]*fetch{},
		private: map[uint64]struct{}{}, audiences: map[string]struct{}{}, seed: maphash.MakeSeed(),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Clear removes everything, including responses that are still arriving.
func (c *Cache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
}

func (c *Cache) clearLocked() {
	c.shrinkLocked(-1)
	for f := range c.fetches {
		f.void = true
	}
	clear(c.leaders) // later requests begin a new fetch
}

// Resize changes the bound. What doesn't fit is removed.
func (c *Cache) Resize(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size = size
	c.shrinkLocked(size)
}

// shrinkLocked removes the least recently used responses until at most size
// bytes are used, or only arriving responses are left.
func (c *Cache) shrinkLocked(size int64) {
	for c.recent.Len() > 0 && c.used > size {
		c.removeLocked(c.recent.Back().Value.(*entry))
	}
}

// Close removes everything, and returns when the background requests have
// ended. Responses that clients wait for continue; later requests are answered
// without the cache.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.clearLocked()
	c.mu.Unlock()
	c.cancel()
	c.background.Wait()
}

// backgroundKey marks requests that the cache makes for itself.
type backgroundKey struct{}

// Background reports whether a request is one that a cache makes for itself, in
// its own goroutine.
func Background(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

// Client says which responses a request's client may be given.
type Client struct {
	// Secure is true for https, whatever carries it here.
	Secure bool
	// Audience names clients that may be given the same responses. No other
	// audience is given a response that was fetched for this one. There should
	// be few audiences.
	Audience string
}

// Serve answers r from the responses stored for the client's audience, or with
// next. Errors are next's, or say that a response broke off.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, client Client, next Handler) error {
	q := &query{r, keyOf(r, client), parseControl(r.Header)}
	if why := passes(r); why != "" {
		return c.pass(w, q, next, why)
	}
	e, varies := c.find(q)
	if e == nil {
		if answered, err := c.answerPart(w, q); answered {
			return err
		}
	}
	switch {
	case q.control.noStore:
		return c.miss(w, q, next, "request")
	case e == nil && varies:
		return c.miss(w, q, next, "vary-miss")
	case e == nil:
		return c.miss(w, q, next, "uri-miss")
	}
	now := time.Now()
	switch e.judge(q.control, now) {
	case mayUse:
		return c.answer(w, q, e, hit(e, now))
	case mayUseStale:
		c.refresh(q, e, next)
		return c.answer(w, q, e, hit(e, now))
	}
	if q.control.onlyIfCached {
		return unavailable(w)
	}
	why := "stale"
	if e.age(now) < e.life {
		why = "request"
	}
	return c.validate(w, q, e, next, why)
}

// passes returns why the cache has no part in r (RFC 9211 section 2.2), empty
// when it may have.
func passes(r *http.Request) string {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "method"
	case r.ContentLength != 0, r.Header.Get("Upgrade") != "" && r.ProtoMajor == 1:
		return "bypass"
	}
	return ""
}

// pass answers with next. The success of an unsafe method invalidates.
func (c *Cache) pass(w http.ResponseWriter, q *query, next Handler, why string) error {
	safe := slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, q.r.Method)
	out := withStatus(w, forwarded(why), func(status int, h http.Header) {
		if !safe && status < 400 {
			c.invalidate(q, h)
		}
	})
	err := next(out, q.r)
	if err == nil && q.r.Header.Get("Upgrade") == "" { // or the connection may have been taken over
		out.Begin()
	}
	return err
}

// miss answers with next a request whose response is not stored, together with
// other requests for it.
func (c *Cache) miss(w http.ResponseWriter, q *query, next Handler, why string) error {
	switch {
	case q.control.onlyIfCached:
		return unavailable(w)
	case q.r.Method == http.MethodHead:
		return c.head(w, q, next, why)
	}
	shared := q.r.Header.Get("Range") == "" && !q.control.noStore && !conditional(q.r.Header) && !c.isPrivate(q.key)
	return c.fetch(w, q, nil, next, why, shared)
}

// maxPrivate limits how many responses are remembered as not shared. They are
// remembered by hash, since clients choose the length of keys. When two are
// equal, requests for either don't wait.
const maxPrivate = 4096

// isPrivate reports whether the last response for k was for its client only: then
// waiting for another client's does not help.
func (c *Cache) isPrivate(k key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, is := c.private[maphash.Comparable(c.seed, k)]
	return is
}

// setPrivate remembers that.
func (c *Cache) setPrivate(k key, private bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !private {
		delete(c.private, maphash.Comparable(c.seed, k))
		return
	}
	if len(c.private) >= maxPrivate {
		clear(c.private) // they wait once more
	}
	c.private[maphash.Comparable(c.seed, k)] = struct{}{}
}

// conditions are the fields that make a response one for a single client (RFC 9110
// section 13.1).
var conditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"}

func conditional(h http.Header) bool {
	return slices.ContainsFunc(conditions, func(name string) bool { return len(h[name]) > 0 })
}

// head forwards a HEAD. What its response says about the representation that is
// kept freshens it, or removes it (section 4.3.5).
func (c *Cache) head(w http.ResponseWriter, q *query, next Handler, why string) error {
	f := c.begin(q)
	defer c.finish(f)
	out := withStatus(w, forwarded(why), func(status int, h http.Header) {
		if e, _ := c.find(q); e != nil && status == http.StatusOK {
			c.compare(e, f, h)
		}
	})
	err := next(out, q.r)
	if err == nil {
		out.Begin()
	}
	return err
}

// compare applies the 200 to a HEAD to e.
func (c *Cache) compare(e *entry, f *fetch, h http.Header) {
	if differs(e, h) {
		c.drop(e)
		return
	}
	c.confirm(e, e.freshened(f.q, h, f.sent, time.Now()), f)
}

// confirm replaces e with fresh, if others may have it.
func (c *Cache) confirm(e, fresh *entry, f *fetch) (forAll bool) {
	switch {
	case fresh.forAll():
		c.replace(e, fresh, f)
		return true
	case len(fresh.header["Set-Cookie"]) == 0:
		c.drop(e)
	}
	return false // with a cookie of one client, e is as good as it was
}

// differs reports whether h is of another representation than e.
func differs(e *entry, h http.Header) bool {
	for _, name := range []string{"Etag", "Last-Modified", "Content-Length"} {
		if now, was := h.Get(name), e.header.Get(name); now != "" && was != "" && now != was {
			return true
		}
	}
	n := head.Length(h)
	return e.status != http.StatusOK || n >= 0 && h.Get("Content-Encoding") == e.header.Get("Content-Encoding") && n != e.body.length()
}

// unavailable answers only-if-cached (section 5.2.1.7).
func unavailable(w http.ResponseWriter) error {
	h := w.Header()
	h.Add("Cache-Status", "devproxy; fwd=request; detail=only-if-cached")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusGatewayTimeout)
	_, err := w.Write([]byte("This response is not in the cache, and the request accepts nothing else (only-if-cached).\n"))
	return err
}
