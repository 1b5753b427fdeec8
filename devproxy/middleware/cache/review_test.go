package cache

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestReview continues the table of TestRFC9111.
func TestReview(t *testing.T) {
	stale := ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`)
	poison := func(status int, ask ...string) []step {
		return []step{{ask: ask, up: with(status, "no", "Cache-Control", "max-age=60"), status: status, body: "no"}, {up: ok("b"), body: "b"}}
	}
	tests := map[string][]step{
		"3 a cookie of a 304 is for its visitor": {{up: stale, body: "a"},
			{wait: 2 * second, up: with(304, "", "ETag", `"1"`, "Cache-Control", "max-age=60", "Set-Cookie", "session=1"), body: "a", want: []string{"Set-Cookie", "session=1"}},
			{up: with(304, ""), body: "a", want: []string{"Set-Cookie", ""}}},
		"3 a cookie of a HEAD is for its visitor": {{up: stale, body: "a"},
			{wait: 2 * second, method: "HEAD", ask: []string{"Cache-Control", "no-cache"}, up: with(304, "", "ETag", `"1"`, "Cache-Control", "max-age=60", "Set-Cookie", "session=1")},
			{up: with(304, ""), body: "a", want: []string{"Set-Cookie", ""}}},
		"3 a HEAD without validators, its cookie": {{up: ok("a", "Cache-Control", "max-age=1"), body: "a"},
			{wait: 2 * second, method: "HEAD", up: ok("", "Cache-Control", "max-age=60", "Set-Cookie", "session=1", "Content-Length", "1"), want: []string{"Set-Cookie", "session=1"}},
			{up: ok("b"), body: "b"}},
		"9110 15.5.13 a 412 is for its visitor": poison(412, "If-Match", `"0"`),
		"9110 15.5.17 a 416 is for its visitor": poison(416, "Range", "bytes=9-"),
		"9110 15.5.18 a 417 is for its visitor": poison(417),
		"6585 3 a 428":                          poison(428),
		"6585 4 a 429":                          poison(429),
		"6585 5 a 431":                          poison(431),
		"6585 6 a 511":                          poison(511),
		"9110 14.2 another unit is ignored":     {{up: ok("abc", "Cache-Control", "max-age=60"), body: "abc"}, {ask: []string{"Range", "lines=0-0"}, body: "abc"}},
		"9110 14.1 units in any case":           {{up: ok("abc", "Cache-Control", "max-age=60"), body: "abc"}, {ask: []string{"Range", "Bytes=0-0"}, status: 206, body: "a"}},
		"4.3.2 since a time, by Date":           {{up: ok("a", "Cache-Control", "max-age=60"), body: "a"}, {ask: []string{"If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"}, status: 304, want: []string{"Last-Modified", ""}}, {ask: []string{"If-Modified-Since", "Mon, 01 Jan 1990 00:00:00 GMT"}, body: "a", want: []string{"Last-Modified", ""}}},
		"4.3.4 a 304 that says Vary": {{ask: []string{"Foo", "1"}, up: stale, body: "a"},
			{wait: 2 * second, ask: []string{"Foo", "1"}, up: with(304, "", "ETag", `"1"`, "Cache-Control", "max-age=60", "Vary", "Foo"), body: "a", want: []string{"Vary", "Foo"}},
			{ask: []string{"Foo", "1"}, body: "a"}, {ask: []string{"Foo", "2"}, up: ok("b"), body: "b"}},
		"4.3.4 a 304 that says Vary: *": {{up: stale, body: "a"}, {wait: 2 * second, up: with(304, "", "ETag", `"1"`, "Cache-Control", "max-age=60", "Vary", "*"), body: "a"}, {up: ok("b"), body: "b"}},
		"4.3.4 a strong tag is not a weak one": {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `W/"1"`), body: "a"},
			{wait: 2 * second, up: with(304, "", "ETag", `"1"`, "Cache-Control", "max-age=60", "X-New", "1"), body: "a", want: []string{"X-New", ""}},
			{sent: []string{"If-None-Match", `W/"1"`}, up: ok("b"), body: "b"}},
		"4.3.4 another Last-Modified": {{up: ok("a", "Cache-Control", "max-age=1", "ETag", `"1"`, "Last-Modified", "Mon, 01 Jan 1990 00:00:00 GMT"), body: "a"},
			{wait: 2 * second, up: with(304, "", "Last-Modified", "Tue, 02 Jan 1990 00:00:00 GMT"), asked: 2, status: 304}, {up: ok("b"), body: "b"}},
		"4.3.5 a HEAD of the same freshens":        {{up: stale, body: "a"}, {wait: 2 * second, method: "HEAD", up: ok("", "Cache-Control", "max-age=60", "ETag", `"1"`, "Content-Length", "1")}, {body: "a"}},
		"5.2 a quote without an end hides nothing": notKept(ok("a", "Cache-Control", `max-age=60, x="y, no-store`)),
		"4.1 space in quotes matters":              {{ask: []string{"Foo", `"a, b"`}, up: ok("a", "Cache-Control", "max-age=60", "Vary", "Foo"), body: "a"}, {ask: []string{"Foo", `"a,b"`}, up: ok("b"), body: "b"}},
		"9211 2.1 an error that is hidden":         {{up: ok("a", "Cache-Control", "max-age=1, stale-if-error=10"), body: "a"}, {wait: 5 * second, up: with(502, "down"), body: "a", want: []string{"Cache-Status", "devproxy; fwd=stale; fwd-status=502; detail=stale-if-error"}}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(1 << 20)
				defer c.Close()
				for i, s := range steps {
					s.run(t, c, i+1)
				}
			})
		})
	}
}

// TestAfterChange: a request after a change never gets what was requested
// before it.
func TestAfterChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		var group sync.WaitGroup
		group.Go(func() {
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(time.Second)
				return (&up{header: []string{"Cache-Control", "max-age=60"}, body: "before"}).answer(w, r)
			})
		})
		synctest.Wait()
		post := httptest.NewRequest("POST", "http://shop.localhost/", strings.NewReader("x"))
		post.RequestURI = "/"
		_ = c.ask(httptest.NewRecorder(), post, (&up{body: "done"}).answer)
		w := httptest.NewRecorder()
		if err := c.ask(w, get(t.Context(), "/"), (&up{header: []string{"Cache-Control", "max-age=60"}, body: "after"}).answer); err != nil || w.Body.String() != "after" {
			t.Errorf("%q, %v", w.Body, err)
		}
		group.Wait()
	})
}

// TestAudiences: what is kept for one audience is not for another, whole, in part
// or on its way; a change is one for all.
func TestAudiences(t *testing.T) {
	fresh := []string{"Cache-Control", "max-age=60", "ETag", `"1"`}
	visitors := []string{"Audience", "visitors"}
	part := func(from string) *up {
		return &up{status: 206, header: append([]string{"Content-Range", "bytes 0-0/2"}, fresh...), body: from}
	}
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		for i, s := range []step{
			{up: &up{header: fresh, body: "local"}, body: "local"},
			{ask: visitors, up: &up{header: fresh, body: "visitors"}, body: "visitors"},
			{body: "local"},
			{ask: visitors, body: "visitors"},
			{path: "/part", ask: []string{"Range", "bytes=0-0"}, up: part("l"), status: 206, body: "l"},
			{path: "/part", ask: append([]string{"Range", "bytes=0-0"}, visitors...), up: part("v"), status: 206, body: "v"},
			{path: "/part", ask: []string{"Range", "bytes=0-0"}, status: 206, body: "l"},
			{method: "POST", ask: visitors, up: &up{}},
			{up: &up{header: fresh, body: "new"}, body: "new"},
			{ask: visitors, up: &up{header: fresh, body: "new for visitors"}, body: "new for visitors"},
			{method: "POST", up: &up{}},
			{ask: visitors, up: &up{header: fresh, body: "newer"}, body: "newer"},
		} {
			s.run(t, c, i)
		}
		var group sync.WaitGroup
		group.Go(func() {
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/slow"), func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(time.Second)
				return (&up{header: fresh, body: "local"}).answer(w, r)
			})
		})
		synctest.Wait()
		step{path: "/slow", ask: visitors, up: &up{header: fresh, body: "visitors"}, body: "visitors"}.run(t, c, 100)
		group.Wait()
	})
}

// TestPrivateConfirmed: a 304 that says private is for its client only.
func TestPrivateConfirmed(t *testing.T) {
	for _, said := range [][]string{{"Cache-Control", "private, max-age=60"}, {"Cache-Control", "max-age=60", "Set-Cookie", "session=1"}} {
		synctest.Test(t, func(t *testing.T) {
			c := New(1 << 20)
			defer c.Close()
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), (&up{header: []string{"Cache-Control", "max-age=1", "Etag", `"1"`}, body: "a"}).answer)
			time.Sleep(2 * time.Second)
			var asked atomic.Int32
			upstream := func(w http.ResponseWriter, r *http.Request) error {
				asked.Add(1)
				time.Sleep(time.Second)
				return (&up{status: 304, header: said}).answer(w, r)
			}
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() { _ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), upstream) })
			}
			group.Wait()
			if asked.Load() != 3 {
				t.Errorf("%v: 3 visitors, asked %d times", said, asked.Load())
			}
		})
	}
}

// gone is a visitor whose connection is lost.
type gone struct{ *httptest.ResponseRecorder }

func (gone) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestLost: a visitor whose connection is lost leaves no goroutine behind.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(400_000)
		defer c.Close()
		ended := false
		err := c.ask(gone{httptest.NewRecorder()}, get(t.Context(), "/"), func(w http.ResponseWriter, r *http.Request) error {
			defer func() { ended = true }()
			w.Header().Set("Cache-Control", "max-age=60")
			for range 500 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
			return nil
		})
		synctest.Wait()
		if err == nil || !ended {
			t.Errorf("%v, the upstream's request has ended: %v", err, ended)
		}
	})
}

// TestPanicBehind: a panic in the background does not end the process.
func TestPanicBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), (&up{header: []string{"Cache-Control", "max-age=1, stale-while-revalidate=60"}, body: "a"}).answer)
		time.Sleep(2 * time.Second)
		for range 2 {
			w := httptest.NewRecorder()
			if err := c.ask(w, get(t.Context(), "/"), func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }); err != nil || w.Body.String() != "a" {
				t.Errorf("%q, %v", w.Body, err)
			}
			synctest.Wait()
		}
	})
}

// TestTrailers: trailers reach the client, announced or not, and the response
// is not stored.
func TestTrailers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		asked := 0
		server := func(w http.ResponseWriter, r *http.Request) error {
			asked++
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(200)
			_, _ = io.WriteString(w, "a")
			w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
			return nil
		}
		for range 2 {
			w := httptest.NewRecorder()
			if err := c.ask(w, get(t.Context(), "/"), server); err != nil || w.Body.String() != "a" || w.Header().Get(http.TrailerPrefix+"X-Sum") != "1" {
				t.Errorf("%q, %v, %v", w.Body, err, w.Header())
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// TestRendezvous: no client waits forever for another's response.
func TestRendezvous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		var here atomic.Int32
		both := make(chan struct{})
		upstream := func(w http.ResponseWriter, r *http.Request) error {
			if here.Add(1) == 2 {
				close(both)
			}
			select {
			case <-both:
			case <-time.After(time.Hour):
				t.Error("the second was never asked for")
			}
			return (&up{header: []string{"Cache-Control", "no-store"}}).answer(w, r)
		}
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { _ = c.ask(httptest.NewRecorder(), get(t.Context(), "/poll"), upstream) })
		}
		group.Wait()
	})
}

// TestNothingWritten: an answer of which nothing is written is a 200.
func TestNothingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		silent := func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("X-Here", "1")
			return nil
		}
		for _, ask := range []string{"", "no-cache"} {
			w := httptest.NewRecorder()
			if err := c.ask(w, get(t.Context(), "/a", "Cache-Control", ask), silent); err != nil || w.Code != 200 || w.Header().Get("X-Here") != "1" {
				t.Errorf("%v, %v", w.Header(), err)
			}
		}
		_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), (&up{header: []string{"Cache-Control", "max-age=60"}, body: "a"}).answer)
		r := get(t.Context(), "/")
		r.Method = http.MethodDelete
		_ = c.ask(httptest.NewRecorder(), r, func(http.ResponseWriter, *http.Request) error { return nil })
		w := httptest.NewRecorder()
		if _ = c.ask(w, get(t.Context(), "/"), (&up{body: "b"}).answer); w.Body.String() != "b" {
			t.Errorf("%q after a DELETE", w.Body)
		}
	})
}

// TestCollapsedStatus: a request that waited for another's response was
// collapsed (RFC 9211 section 2.6).
func TestCollapsedStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				w := httptest.NewRecorder()
				_ = c.ask(w, get(t.Context(), "/"), func(w http.ResponseWriter, r *http.Request) error {
					time.Sleep(time.Second)
					return (&up{header: []string{"Cache-Control", "max-age=60"}, body: "a"}).answer(w, r)
				})
				want := []string{"devproxy; fwd=uri-miss; stored", "devproxy; fwd=uri-miss; collapsed"}[i]
				if got := w.Header().Get("Cache-Status"); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			})
		}
		group.Wait()
	})
}

// TestVariants: however many variants of one URI are asked for, few are kept:
// each request looks at all of them.
func TestVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(100 << 20)
		defer c.Close()
		for i := range 1000 {
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/", "Foo", fmt.Sprint(i)), (&up{header: []string{"Cache-Control", "max-age=60", "Vary", "Foo"}}).answer)
		}
		for key, variants := range c.entries {
			if len(variants) > 64 {
				t.Errorf("%d variants of %v", len(variants), key)
			}
		}
	})
}

// TestConditionDoesNotTurnOff: an answer to a condition, or to a range, says
// nothing of whether others may wait for the whole.
func TestConditionDoesNotTurnOff(t *testing.T) {
	for _, first := range []struct {
		ask string
		up  *up
	}{{"If-None-Match", with(304, "")}, {"Range", with(206, "a", "Content-Range", "bytes 0-0/3")}} {
		synctest.Test(t, func(t *testing.T) {
			c := New(1 << 20)
			defer c.Close()
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/", first.ask, `bytes=0-0`), first.up.answer)
			var asked atomic.Int32
			var group sync.WaitGroup
			for range 5 {
				group.Go(func() {
					_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), func(w http.ResponseWriter, r *http.Request) error {
						asked.Add(1)
						time.Sleep(time.Second)
						return (&up{header: []string{"Cache-Control", "max-age=60"}, body: "a"}).answer(w, r)
					})
				})
			}
			group.Wait()
			if asked.Load() != 1 {
				t.Errorf("asked %d times after %s", asked.Load(), first.ask)
			}
		})
	}
}

// TestPartsAreBounded: ranges count while they come, and single bytes make no
// long lists.
func TestPartsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 400_000
		c := New(size)
		defer c.Close()
		ranged := func(from, n, total int, wait time.Duration) Handler {
			return func(w http.ResponseWriter, r *http.Request) error {
				if err := with(206, "", "Cache-Control", "max-age=60", "Etag", `"1"`, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+n-1, total)).answer(w, r); err != nil {
					return err
				}
				_, err := io.WriteString(w, strings.Repeat("x", n))
				time.Sleep(wait)
				return err
			}
		}
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				w := httptest.NewRecorder()
				if err := c.ask(w, get(t.Context(), fmt.Sprintf("/%d", i), "Range", "bytes=0-89999"), ranged(0, 90_000, 200_000, time.Second)); err != nil || w.Body.Len() != 90_000 {
					t.Errorf("%d bytes, %v", w.Body.Len(), err)
				}
			})
		}
		synctest.Wait()
		c.mu.Lock()
		used := c.used
		c.mu.Unlock()
		if used < 4*90_000 || used > size {
			t.Errorf("%d bytes are counted of 20 ranges on their way", used)
		}
		group.Wait()
		if c.used > size {
			t.Errorf("%d bytes", c.used)
		}
		for i := range 1000 {
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/single", "Range", fmt.Sprintf("bytes=%d-%d", 2*i, 2*i)), ranged(2*i, 1, 9999, 0))
		}
		for key, p := range c.partials {
			if len(p.spans) > maxSpans {
				t.Errorf("%d spans of %v", len(p.spans), key)
			}
		}
		c.Clear()
		if c.used != 0 {
			t.Errorf("%d bytes after Clear", c.used)
		}
	})
}

// TestTooLongOnce: no client is cut off by a response that is known to be too
// long.
func TestTooLongOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(400_000)
		defer c.Close()
		upstream := func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Cache-Control", "max-age=60")
			for range 500 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), upstream)
		var group sync.WaitGroup
		for i := range 5 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				w := httptest.NewRecorder()
				if err := c.ask(w, get(t.Context(), "/"), upstream); err != nil || w.Body.Len() != 500_000 {
					t.Errorf("%d bytes, %v", w.Body.Len(), err)
				}
			})
		}
		group.Wait()
	})
}

// TestUpgrade: after an upgrade the connection is left alone.
func TestUpgrade(t *testing.T) {
	c := New(1 << 20)
	defer c.Close()
	var begun bool
	w := &telling{httptest.NewRecorder(), &begun}
	if err := c.ask(w, get(t.Context(), "/", "Upgrade", "websocket"), func(http.ResponseWriter, *http.Request) error { return nil }); err != nil || begun {
		t.Errorf("%v, a head is written: %v", err, begun)
	}
}

type telling struct {
	http.ResponseWriter
	begun *bool
}

func (w *telling) WriteHeader(int) { *w.begun = true }
