package cache

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// fetch is one request to the upstream, and what becomes of its response.
type fetch struct {
	c      *Cache
	q      *query
	sent   time.Time
	shared bool            // others may join
	ctx    context.Context // of a shared one

	decided chan struct{} // closed when entry is final
	once    sync.Once
	entry   *entry // the entry that others may have; nil if they may have none
	// streams is true when entry is still arriving, and the client that began
	// the fetch reads it from there like the others, so that a slow client
	// delays no other.
	streams bool
	// drained is closed when that client has read the stored part of a response
	// that turned out to be too long, and takes the rest directly.
	drained  chan struct{}
	over     chan struct{} // closed at the end, when err is known
	err      error
	thrown   any         // what next panicked with
	trailers http.Header // known when entry is complete

	// Under Cache.mu:
	void      bool // nothing is stored any more
	followers int  // clients that want the response, other than the one that began
	abandoned bool // by the client that began
	cancel    context.CancelFunc
}

// begin returns a fetch that others do not wait for.
func (c *Cache) begin(q *query) *fetch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beginLocked(q)
}

func (c *Cache) beginLocked(q *query) *fetch {
	f := &fetch{c: c, q: q, sent: time.Now(), decided: make(chan struct{}), drained: make(chan struct{}), over: make(chan struct{}), void: c.closed}
	c.fetches[f] = struct{}{}
	c.audiences[q.key.audience] = struct{}{}
	return f
}

// finish removes f.
func (c *Cache) finish(f *fetch) {
	f.decide(nil)
	if f.shared {
		f.cancel()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.fetches, f)
	if c.leaders[f.q.key] == f {
		delete(c.leaders, f.q.key)
	}
}

// decide sets the stored entry. Only the first call counts.
func (f *fetch) decide(e *entry) {
	f.once.Do(func() {
		f.entry = e
		close(f.decided)
	})
}

// join returns the fetch in progress for q, with one more follower, or a new one
// that others may join.
func (c *Cache) join(q *query) (f *fetch, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.leaders[q.key]; f != nil {
		f.followers++
		return f, false
	}
	f = c.beginLocked(q)
	f.shared = true
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(q.r.Context()))
	if !c.closed {
		c.leaders[q.key] = f
	}
	return f, true
}

// leave is called by each client that no longer wants the response; first is the
// one that began. After the last one it is not read on.
func (f *fetch) leave(first bool) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if first {
		f.abandoned = true
	} else {
		f.followers--
	}
	if f.abandoned && f.followers == 0 {
		f.cancel()
	}
}

// fetch calls next for q, to validate old when that is not nil. shared says that
// others may have the response too.
func (c *Cache) fetch(w http.ResponseWriter, q *query, old *entry, next Handler, why string, shared bool) error {
	if shared {
		f, leads := c.join(q)
		if leads {
			return c.lead(w, q, f, old, next, why)
		}
		if answered, err := c.wait(w, q, f, why); answered {
			return err
		}
		// All waiting requests that may not have this response fetch their own
		// at once.
	}
	f := c.begin(q)
	defer c.finish(f)
	return f.run(w, q.r.Context(), old, next, why)
}

// lead fetches for q and all that join. Its goroutine ends with the response, or
// when the last of them has left.
func (c *Cache) lead(w http.ResponseWriter, q *query, f *fetch, old *entry, next Handler, why string) error {
	leave := sync.OnceFunc(func() { f.leave(true) })
	defer context.AfterFunc(q.r.Context(), leave)()
	go func() {
		defer close(f.over)
		defer c.finish(f)
		defer func() { f.thrown = recover() }()
		f.err = f.run(w, f.ctx, old, next, why)
	}()
	<-f.decided
	if f.streams {
		err := c.stream(w, q, f, why)
		if !errors.Is(err, errTooLong) {
			if err != nil {
				leave() // a lost connection shows here before it ends the context
			}
			return err
		}
		close(f.drained)
	}
	<-f.over // until then it writes to w
	if f.thrown != nil {
		panic(f.thrown)
	}
	return f.err
}

// stream answers the client that began the fetch with the response as it
// arrives.
func (c *Cache) stream(w http.ResponseWriter, q *query, f *fetch, why string) error {
	h := w.Header()
	maps.Copy(h, f.entry.header.Clone())
	addStatus(h, forwarded(why)+"; stored")
	if err := follow(w, q, f.entry); err != nil {
		return err
	}
	maps.Copy(h, f.trailers)
	return nil
}

// maxWait is how long a request waits for another's head. Some responses, such as
// those of a long poll, only come when the next request has been sent too.
const maxWait = 10 * time.Second

// wait answers q with the response of f, if q may have it.
func (c *Cache) wait(w http.ResponseWriter, q *query, f *fetch, why string) (answered bool, err error) {
	defer f.leave(false)
	select {
	case <-f.decided:
	case <-time.After(maxWait):
		return false, nil
	case <-q.r.Context().Done():
		return true, q.r.Context().Err()
	}
	e, now := f.entry, time.Now()
	if e == nil || !e.answers(q.r.Header) || e.judge(q.control, now) != mayUse {
		return false, nil
	}
	return true, c.answer(w, q, e, forwarded(why)+"; collapsed")
}

// run calls next, answers on w, and stores.
func (f *fetch) run(w http.ResponseWriter, ctx context.Context, old *entry, next Handler, why string) error {
	out := &writer{ResponseWriter: w, fetch: f, old: old, why: why, header: http.Header{}}
	in := f.q.r.WithContext(ctx)
	if old != nil {
		in.Header = validating(in.Header, old)
	}
	defer out.abandon() // also when next panics
	err := next(out, in)
	return out.finish(err, next, in)
}

// validating returns h with conditions that check whether e is still valid
// (section 4.3.1). They replace the client's, which are evaluated on the
// outcome.
func validating(h http.Header, e *entry) http.Header {
	h = h.Clone()
	for _, name := range append(conditions, "Range") {
		delete(h, name)
	}
	if tag := e.header.Get("Etag"); tag != "" {
		h.Set("If-None-Match", tag)
	}
	if modified := e.header.Get("Last-Modified"); modified != "" {
		h.Set("If-Modified-Since", modified)
	}
	return h
}

// validate asks the upstream whether e is still valid, and answers with it if so.
func (c *Cache) validate(w http.ResponseWriter, q *query, e *entry, next Handler, why string) error {
	if e.header.Get("Etag") == "" && e.header.Get("Last-Modified") == "" && q.r.Method == http.MethodHead {
		return c.head(w, q, next, why)
	}
	return c.fetch(w, q, e, next, why, q.r.Method == http.MethodGet)
}

// refresh validates e in the background, unless another request does already (RFC
// 5861 section 3).
func (c *Cache) refresh(q *query, e *entry, next Handler) {
	r := q.r.Clone(context.WithValue(context.WithoutCancel(q.r.Context()), backgroundKey{}, true))
	r.Method, r.Body = http.MethodGet, http.NoBody
	again := &query{r, q.key, parseControl(nil)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.leaders[q.key] != nil {
		return
	}
	f := c.beginLocked(again)
	f.ctx, f.cancel = context.WithCancel(r.Context())
	c.leaders[q.key] = f
	c.background.Go(func() {
		defer c.finish(f)
		defer f.cancel()
		defer context.AfterFunc(c.ctx, f.cancel)()
		// No net/http around it would recover, from http.ErrAbortHandler above all.
		// The next request meets the same handler, and its server reports the panic.
		defer func() { _ = recover() }()
		_ = f.run(&discard{header: http.Header{}}, f.ctx, e, next, "stale") // the next request sees the outcome
	})
}

// discard is the writer of background requests.
type discard struct{ header http.Header }

func (w *discard) Header() http.Header         { return w.header }
func (w *discard) WriteHeader(int)             {}
func (w *discard) Write(p []byte) (int, error) { return len(p), nil }
func (w *discard) FlushError() error           { return nil }

// sameEntity reports whether a 304 is about e (section 4.3.4): by its own
// validator, or as the answer to the one question that was sent.
func sameEntity(e *entry, h http.Header) bool {
	tag, modified := h.Get("Etag"), h.Get("Last-Modified")
	switch {
	case tag != "":
		return opaque(tag) == opaque(e.header.Get("Etag"))
	case modified != "" && e.header.Get("Last-Modified") != "":
		return modified == e.header.Get("Last-Modified")
	}
	return true
}

// mayUpdate reports whether a 304 about e changes it: a strong validator is only
// about responses that have the same. Some servers weaken their tag in a 200 and
// not in the 304.
func mayUpdate(e *entry, h http.Header) bool {
	tag := h.Get("Etag")
	return tag == "" || tag != opaque(tag) || tag == e.header.Get("Etag")
}

// opaque returns an entity tag without the mark of weak ones.
func opaque(tag string) string { return strings.TrimPrefix(tag, "W/") }
