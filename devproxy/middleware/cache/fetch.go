package cache

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// fetch is one request to the upstream, and what becomes of its answer.
type fetch struct {
	c      *Cache
	q      *query
	sent   time.Time
	shared bool            // others may join
	ctx    context.Context // of a shared one

	decided chan struct{} // closed when entry is what it will be
	once    sync.Once
	entry   *entry // what others may have; nil for nothing
	// streams says that entry is on its way, and that the visitor who began the
	// fetch reads it from there as the others do: one who reads slowly holds
	// nobody up.
	streams bool
	// drained is closed when that visitor has read what was kept of an answer
	// that turned out too long, and takes the rest directly.
	drained chan struct{}
	over    chan struct{} // closed at the end, when err is known
	err     error
	thrown  any         // what next panicked with
	behind  http.Header // trailers, known when entry is whole

	// Under Cache.mu:
	void      bool // nothing is stored any more
	followers int  // who wants the answer, beside the one who began
	abandoned bool // by the one who began
	cancel    context.CancelFunc
}

// begin makes a fetch that others do not wait for.
func (c *Cache) begin(q *query) *fetch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beginLocked(q)
}

func (c *Cache) beginLocked(q *query) *fetch {
	f := &fetch{c: c, q: q, sent: time.Now(), decided: make(chan struct{}), drained: make(chan struct{}), over: make(chan struct{}), void: c.closed}
	c.fetches[f] = struct{}{}
	return f
}

// finish forgets f.
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

// decide says what is stored. Only the first word counts.
func (f *fetch) decide(e *entry) {
	f.once.Do(func() {
		f.entry = e
		close(f.decided)
	})
}

// join is the fetch under way for q, with one more follower, or a new one that
// others may join.
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

// leave is called by each who does not want the answer any more; first is who
// began. After the last nobody reads it on.
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

// fetch asks next for q: to validate old, when that is not nil. shared says that
// others may have the answer too.
func (c *Cache) fetch(w http.ResponseWriter, q *query, old *entry, next Handler, why string, shared bool) error {
	if !shared {
		f := c.begin(q)
		defer c.finish(f)
		return f.run(w, q.r.Context(), old, next, why)
	}
	f, leads := c.join(q)
	if !leads {
		if answered, err := c.wait(w, q, f, why); answered {
			return err
		}
		// All who wait for what they may not have ask at once, for themselves.
		own := c.begin(q)
		defer c.finish(own)
		return own.run(w, q.r.Context(), old, next, why)
	}
	return c.lead(w, q, f, old, next, why)
}

// lead fetches for q and all who join. The upstream is asked in a goroutine that
// ends with the answer, or when the last of them has left.
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

// stream answers the one who began with what comes.
func (c *Cache) stream(w http.ResponseWriter, q *query, f *fetch, why string) error {
	h := w.Header()
	for name, values := range f.entry.header {
		h[name] = append([]string(nil), values...)
	}
	addStatus(h, forwarded(why)+"; stored")
	if err := follow(w, q, f.entry); err != nil {
		return err
	}
	maps.Copy(h, f.behind)
	return nil
}

// maxWait is how long one waits for another's head. Some answers, as those of a
// long poll, only come when the next has asked too.
const maxWait = 10 * time.Second

// wait answers q with what f fetches, if q may have that.
func (c *Cache) wait(w http.ResponseWriter, q *query, f *fetch, why string) (answered bool, err error) {
	defer f.leave(false)
	late := time.NewTimer(maxWait)
	defer late.Stop()
	select {
	case <-f.decided:
	case <-late.C:
		return false, nil
	case <-q.r.Context().Done():
		return true, q.r.Context().Err()
	}
	e, now := f.entry, time.Now()
	if e == nil || !e.answers(q.r.Header) || e.judge(q.asked, now) != mayUse {
		return false, nil
	}
	return true, c.answer(w, q, e, forwarded(why)+"; collapsed")
}

// run asks, answers on w, and stores.
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

// validating is h with the conditions that ask whether e is still good (section
// 4.3.1), in place of the visitor's, which are evaluated on the outcome.
func validating(h http.Header, e *entry) http.Header {
	h = h.Clone()
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"} {
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

// validate asks whether e is still good, and answers with it if so.
func (c *Cache) validate(w http.ResponseWriter, q *query, e *entry, next Handler, why string) error {
	if e.header.Get("Etag") == "" && e.header.Get("Last-Modified") == "" && q.r.Method == http.MethodHead {
		return c.head(w, q, next, why)
	}
	return c.fetch(w, q, e, next, why, q.r.Method == http.MethodGet)
}

// refresh validates e in the background, unless somebody does already (RFC 5861
// section 3).
func (c *Cache) refresh(q *query, e *entry, next Handler) {
	r := q.r.Clone(context.WithValue(context.WithoutCancel(q.r.Context()), backgroundKey{}, true))
	r.Method, r.Body = http.MethodGet, http.NoBody
	again := &query{r, q.key, asked{maxAge: -1, minFresh: -1, maxStale: -1, staleIfError: -1}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.leaders[q.key] != nil {
		return
	}
	f := c.beginLocked(again)
	f.ctx, f.cancel = context.WithCancel(r.Context())
	c.leaders[q.key] = f
	c.asking.Go(func() {
		defer c.finish(f)
		defer f.cancel()
		defer context.AfterFunc(c.ctx, f.cancel)()
		// No net/http is around it that would catch it, http.ErrAbortHandler above
		// all. Who asks next meets the same handler, and their server tells.
		defer func() { _ = recover() }()
		_ = f.run(&nobody{header: http.Header{}}, f.ctx, e, next, "stale") // the next visitor sees what came of it
	})
}

// nobody is who is answered in the background.
type nobody struct{ header http.Header }

func (w *nobody) Header() http.Header         { return w.header }
func (w *nobody) WriteHeader(int)             {}
func (w *nobody) Write(p []byte) (int, error) { return len(p), nil }
func (w *nobody) FlushError() error           { return nil }

// sameEntity reports whether a 304 is about e (section 4.3.4): by a validator of
// its own, or as the answer to the one question that was asked.
func sameEntity(e *entry, h http.Header) bool {
	tag, modified := h.Get("Etag"), h.Get("Last-Modified")
	switch {
	case tag != "":
		return weak(tag) == weak(e.header.Get("Etag"))
	case modified != "" && e.header.Get("Last-Modified") != "":
		return modified == e.header.Get("Last-Modified")
	}
	return true
}

// mayUpdate reports whether a 304 about e changes it: a strong validator is only
// about answers that have the same. Some servers weaken their tag in a 200 and
// not in the 304.
func mayUpdate(e *entry, h http.Header) bool {
	tag := h.Get("Etag")
	return tag == "" || tag != weak(tag) || tag == e.header.Get("Etag")
}

func weak(tag string) string {
	if len(tag) > 2 && tag[:2] == "W/" {
		return tag[2:]
	}
	return tag
}

// isError lists what stale-if-error hides (RFC 5861 section 4).
func isError(status int) bool { return slices.Contains([]int{500, 502, 503, 504}, status) }
