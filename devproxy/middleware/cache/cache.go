package cache

import (
	"container/list"
	"context"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Handler answers r on w, or returns why it could not and has written nothing.
type Handler = func(w http.ResponseWriter, r *http.Request) error

// maxPart of the cache is the most that one answer may take.
const maxPart = 4

// Options configure a Cache.
type Options struct {
	// Size bounds all that is kept, and on its way to be, in bytes.
	Size int64
}

// Cache keeps answers. It is safe for concurrent use. Create it with New; Close
// ends what it runs.
type Cache struct {
	ctx    context.Context // of what it asks in the background
	cancel context.CancelFunc
	asking sync.WaitGroup

	mu       sync.Mutex
	size     int64
	used     int64
	entries  map[key][]*entry    // by key: the variants of one URI
	partials map[key]*partial    // by key
	recent   list.List           // of *entry, the last used first
	fetches  map[*fetch]struct{} // under way
	leaders  map[key]*fetch      // those that others may wait for
	alone    map[uint64]struct{} // keys whose last answer was nobody else's
	// audiences are those that have asked.
	audiences map[string]struct{}
	closed    bool
	seed      maphash.Seed // of alone
}

// New is an empty cache.
func New(opts Options) *Cache {
	c := &Cache{size: opts.Size, entries: map[key][]*entry{}, partials: map[key]*partial{}, fetches: map[*fetch]struct{}{}, leaders: map[key]*fetch{}, alone: map[uint64]struct{}{}, audiences: map[string]struct{}{}, seed: maphash.MakeSeed()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Clear forgets everything, also what is on its way.
func (c *Cache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearLocked()
}

func (c *Cache) clearLocked() {
	for c.recent.Len() > 0 {
		c.removeLocked(c.recent.Back().Value.(*entry))
	}
	for f := range c.fetches {
		f.void = true
	}
	clear(c.leaders) // who comes from now on asks anew
}

// Resize changes the bound. What does not fit goes.
func (c *Cache) Resize(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size = size
	for c.used > c.size && c.recent.Len() > 0 {
		c.removeLocked(c.recent.Back().Value.(*entry))
	}
}

// Close forgets everything and returns when what was asked in the background
// has ended. Answers that visitors are waiting for go on; later requests pass.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.clearLocked()
	c.mu.Unlock()
	c.cancel()
	c.asking.Wait()
}

// backgroundKey marks what the cache asks for itself.
type backgroundKey struct{}

// Background reports whether a request is one that a cache makes for itself, in
// a goroutine of its own.
func Background(ctx context.Context) bool { return ctx.Value(backgroundKey{}) != nil }

// Client is who asks.
type Client struct {
	// Secure is true for https, whatever carries it here.
	Secure bool
	// Audience names clients that may be given the same responses. No other
	// audience is given what was fetched for this one. There should be few.
	Audience string
}

// Serve answers r from what is kept for the client's audience, or with next. Errors
// are next's, or say that an answer broke off.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, client Client, next Handler) error {
	q := newQuery(r, client)
	c.meet(client.Audience)
	if why := passes(r); why != "" {
		return c.pass(w, q, next, why)
	}
	e, varies := c.find(q)
	why := "uri-miss"
	if varies {
		why = "vary-miss"
	}
	if e == nil {
		if answered, err := c.answerPart(w, q); answered {
			return err
		}
	}
	if e == nil || q.asked.noStore {
		if q.asked.noStore {
			why = "request"
		}
		return c.miss(w, q, next, why)
	}
	now := time.Now()
	switch e.judge(q.asked, now) {
	case mayUse:
		return c.answer(w, q, e, hit(e, now))
	case mayUseStale:
		c.refresh(q, e, next)
		return c.answer(w, q, e, hit(e, now))
	}
	why = "stale"
	if e.age(now) < e.life {
		why = "request"
	}
	if q.asked.onlyIfCached {
		return unavailable(w)
	}
	return c.validate(w, q, e, next, why)
}

// meet remembers an audience.
func (c *Cache) meet(audience string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audiences[audience] = struct{}{}
}

// passes is why r is nothing for a cache (RFC 9211 section 2.2), empty when it
// may be.
func passes(r *http.Request) string {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "method"
	case r.ContentLength != 0, r.Header.Get("Upgrade") != "" && r.ProtoMajor == 1:
		return "bypass"
	}
	return ""
}

// pass has next answer. The success of an unsafe method invalidates.
func (c *Cache) pass(w http.ResponseWriter, q *query, next Handler, why string) error {
	out := &passing{ResponseWriter: w, status: forwarded(why)}
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}, q.r.Method) {
		out.head = func(status int, h http.Header) {
			if status >= 200 && status < 400 {
				c.invalidate(q, h)
			}
		}
	}
	err := next(out, q.r)
	if q.r.Header.Get("Upgrade") != "" {
		return err // the connection may be somebody else's by now
	}
	return out.finish(err)
}

// miss has next answer what is not there, together with others who ask for it.
func (c *Cache) miss(w http.ResponseWriter, q *query, next Handler, why string) error {
	switch {
	case q.asked.onlyIfCached:
		return unavailable(w)
	case q.r.Method == http.MethodHead:
		return c.head(w, q, next, why)
	}
	shared := q.r.Header.Get("Range") == "" && !q.asked.noStore && !conditional(q.r.Header) && !c.isAlone(q.key)
	return c.fetch(w, q, nil, next, why, shared)
}

// maxAlone bounds what is remembered of answers that were not shared. It is
// hashes, not keys, whose length visitors choose; when two are the same, who asks
// for the one does not wait either.
const maxAlone = 4096

// isAlone reports whether the last answer for k was only for who asked: then
// it is of no use to wait for somebody else's.
func (c *Cache) isAlone(k key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, is := c.alone[maphash.Comparable(c.seed, k)]
	return is
}

// noteAlone remembers that.
func (c *Cache) noteAlone(k key, alone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !alone {
		delete(c.alone, maphash.Comparable(c.seed, k))
		return
	}
	if len(c.alone) >= maxAlone {
		clear(c.alone) // they wait once more
	}
	c.alone[maphash.Comparable(c.seed, k)] = struct{}{}
}

// conditional reports whether an answer may be for this visitor alone (RFC 9110
// section 13.1).
func conditional(h http.Header) bool {
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"} {
		if len(h[name]) > 0 {
			return true
		}
	}
	return false
}

// head passes a HEAD on. What its answer says of the representation that is
// kept freshens it, or drops it (section 4.3.5).
func (c *Cache) head(w http.ResponseWriter, q *query, next Handler, why string) error {
	out := &passing{ResponseWriter: w, status: forwarded(why)}
	sent := time.Now()
	f := c.begin(q)
	defer c.finish(f)
	out.head = func(status int, h http.Header) {
		if e, _ := c.find(q); e != nil && status == http.StatusOK {
			c.told(e, q, h, sent, f)
		}
	}
	return out.finish(next(out, q.r))
}

// told is what the 200 to a HEAD says of e.
func (c *Cache) told(e *entry, q *query, h http.Header, sent time.Time, f *fetch) {
	if differs(e, h) {
		c.drop(e)
		return
	}
	c.confirm(e, e.freshened(q, h, sent, time.Now()), f)
}

// confirm puts fresh in the place of e, if others may have it.
func (c *Cache) confirm(e, fresh *entry, f *fetch) (forAll bool) {
	switch {
	case fresh.forAll():
		c.replace(e, fresh, f)
		return true
	case len(fresh.header["Set-Cookie"]) == 0:
		c.drop(e)
	}
	return false // with a cookie of one visitor e is as good as it was
}

// differs reports whether h is of another representation than e.
func differs(e *entry, h http.Header) bool {
	for _, name := range []string{"Etag", "Last-Modified", "Content-Length"} {
		if now, was := h.Get(name), e.header.Get(name); now != "" && was != "" && now != was {
			return true
		}
	}
	n := length(h)
	return e.status != http.StatusOK || n >= 0 && h.Get("Content-Encoding") == e.header.Get("Content-Encoding") && n != e.body.length()
}

// unavailable answers only-if-cached (section 5.2.1.7).
func unavailable(w http.ResponseWriter) error {
	h := w.Header()
	h.Add("Cache-Status", "devproxy; fwd=request; detail=only-if-cached")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusGatewayTimeout)
	_, err := w.Write([]byte("The cache has no such answer, and the request asks for nothing else (only-if-cached).\n"))
	return err
}
