package cache

import (
	"context"
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

func get(ctx context.Context, path string, fields ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://shop.localhost"+path, nil).WithContext(ctx)
	r.RequestURI = path
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

// TestHerd: for any number of requests for a response that is not stored, the
// upstream gets one request, and each client gets the whole response.
func TestHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(10 << 20)
		defer c.Close()
		var asked atomic.Int32
		body := strings.Repeat("0123456789", 10_000)
		upstream := func(w http.ResponseWriter, _ *http.Request) error {
			asked.Add(1)
			time.Sleep(time.Second)
			w.Header().Set("Cache-Control", "max-age=60")
			for i := 0; i < len(body); i += 1000 {
				if _, err := io.WriteString(w, body[i:i+1000]); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 6 * time.Millisecond) // some while it comes
				w := httptest.NewRecorder()
				if err := c.ask(w, get(t.Context(), "/"), upstream); err != nil || w.Body.String() != body {
					t.Errorf("visitor %d: %d bytes, %v", i, w.Body.Len(), err)
				}
			})
		}
		group.Wait()
		if asked.Load() != 1 {
			t.Errorf("the upstream got %d requests", asked.Load())
		}
	})
}

// TestHerdForItself: clients that may not have a shared response send their own
// requests at once, not one after the other.
func TestHerdForItself(t *testing.T) {
	for name, header := range map[string][]string{
		"private": {"Cache-Control", "private"}, "stale": {"Cache-Control", "max-age=0"}, "a cookie": {"Cache-Control", "max-age=60", "Set-Cookie", "a=b"},
		"varies": {"Cache-Control", "max-age=60", "Vary", "X-Visitor"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(10 << 20)
				defer c.Close()
				upstream := func(w http.ResponseWriter, r *http.Request) error {
					time.Sleep(time.Second)
					return (&up{header: header, body: r.Header.Get("X-Visitor")}).answer(w, r)
				}
				begun := time.Now()
				var group sync.WaitGroup
				for i := range 50 {
					group.Go(func() {
						w := httptest.NewRecorder()
						if err := c.ask(w, get(t.Context(), "/", "X-Visitor", fmt.Sprint(i)), upstream); err != nil || w.Body.String() != fmt.Sprint(i) {
							t.Errorf("visitor %d gets %q, %v", i, w.Body, err)
						}
					})
				}
				group.Wait()
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("they took %v", took)
				}
			})
		})
	}
}

// TestFirstLeaves: the client that began a fetch may leave without an effect on
// those that joined. When all have left, the fetch stops.
func TestFirstLeaves(t *testing.T) {
	for _, followers := range []int{0, 1, 5} {
		synctest.Test(t, func(t *testing.T) {
			c := New(10 << 20)
			defer c.Close()
			var ended error
			upstream := func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Cache-Control", "max-age=60")
				for range 10 {
					select {
					case <-time.After(time.Second):
					case <-r.Context().Done():
						ended = r.Context().Err()
						return ended
					}
					if _, err := io.WriteString(w, "piece "); err != nil {
						return err
					}
				}
				return nil
			}
			ctx, leave := context.WithCancel(t.Context())
			var group sync.WaitGroup
			group.Go(func() { _ = c.ask(httptest.NewRecorder(), get(ctx, "/"), upstream) })
			synctest.Wait()
			for range followers {
				group.Go(func() {
					w := httptest.NewRecorder()
					if err := c.ask(w, get(t.Context(), "/"), upstream); err != nil || w.Body.String() != strings.Repeat("piece ", 10) {
						t.Errorf("who joined gets %q, %v", w.Body, err)
					}
				})
			}
			time.Sleep(2500 * time.Millisecond)
			leave()
			group.Wait()
			synctest.Wait()
			if (ended != nil) != (followers == 0) {
				t.Errorf("%d followers: the upstream's request ended with %v", followers, ended)
			}
		})
	}
}

// stuck is a visitor who stops reading.
type stuck struct {
	*httptest.ResponseRecorder
	until chan struct{}
}

func (w stuck) Write(p []byte) (int, error) {
	<-w.until
	return w.ResponseRecorder.Write(p)
}

// TestSlowFirst: a slow client delays no other.
func TestSlowFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(10 << 20)
		defer c.Close()
		body := strings.Repeat("x", 500_000)
		upstream := func(w http.ResponseWriter, r *http.Request) error {
			time.Sleep(time.Second)
			return (&up{header: []string{"Cache-Control", "max-age=60"}, body: body}).answer(w, r)
		}
		slow := stuck{httptest.NewRecorder(), make(chan struct{})}
		var group sync.WaitGroup
		group.Go(func() {
			if err := c.ask(slow, get(t.Context(), "/"), upstream); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		w := httptest.NewRecorder()
		if err := c.ask(w, get(t.Context(), "/"), upstream); err != nil || w.Body.String() != body {
			t.Errorf("behind a slow one: %d bytes, %v", w.Body.Len(), err)
		}
		close(slow.until)
		group.Wait()
		if slow.Body.String() != body {
			t.Errorf("the slow one gets %d bytes", slow.Body.Len())
		}
	})
}

// TestEndless: a private stream reaches its client piece by piece, and no other
// client waits for its end.
func TestEndless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		upstream := func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "max-age=60") // which means nothing here
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
					return err
				}
				if err := http.NewResponseController(w).Flush(); err != nil {
					return err
				}
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
					return r.Context().Err()
				}
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				w := httptest.NewRecorder()
				if err := c.ask(w, get(ctx, "/"), upstream); !errors.Is(err, context.Canceled) || strings.Count(w.Body.String(), "data") != 4 {
					t.Errorf("%q, %v", w.Body, err)
				}
			})
		}
		time.Sleep(3500 * time.Millisecond)
		leave()
		group.Wait()
	})
}

// TestTooLong: a response that turns out too long reaches the client that began
// the fetch, whole, and is not stored. Clients that had joined get an error,
// never a short response.
func TestTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(400_000)
		defer c.Close()
		body := strings.Repeat("0123456789", 50_000)
		asked := 0
		upstream := func(w http.ResponseWriter, _ *http.Request) error {
			asked++
			w.Header().Set("Cache-Control", "max-age=60")
			for i := 0; i < len(body); i += 1000 {
				if _, err := io.WriteString(w, body[i:i+1000]); err != nil {
					return err
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		var group sync.WaitGroup
		group.Go(func() {
			w := httptest.NewRecorder()
			if err := c.ask(w, get(t.Context(), "/"), upstream); err != nil || w.Body.String() != body {
				t.Errorf("who began gets %d bytes, %v", w.Body.Len(), err)
			}
		})
		group.Go(func() {
			time.Sleep(10 * time.Millisecond)
			w := httptest.NewRecorder()
			if err := c.ask(w, get(t.Context(), "/"), upstream); !errors.Is(err, errTooLong) {
				t.Errorf("who joined gets %d bytes, %v", w.Body.Len(), err)
			}
		})
		group.Wait()
		w := httptest.NewRecorder()
		if err := c.ask(w, get(t.Context(), "/"), upstream); err != nil || w.Body.String() != body || asked != 2 {
			t.Errorf("%d bytes, %v, %d requests", w.Body.Len(), err, asked)
		}
		if c.used != 0 {
			t.Errorf("%d bytes are still counted", c.used)
		}
	})
}

// TestBrokenOff: an answer without its end is an error for all, and not kept.
func TestBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		broken := errors.New("the upstream went away")
		upstream := func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "half")
			time.Sleep(time.Second)
			return broken
		}
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				if err := c.ask(httptest.NewRecorder(), get(t.Context(), "/"), upstream); !errors.Is(err, broken) {
					t.Errorf("%v", err)
				}
			})
		}
		group.Wait()
		w := httptest.NewRecorder()
		whole := &up{header: []string{"Cache-Control", "max-age=60"}, body: "whole"}
		if err := c.ask(w, get(t.Context(), "/"), whole.answer); err != nil || w.Body.String() != "whole" {
			t.Errorf("%q, %v", w.Body, err)
		}
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Error("a panic of the handler is swallowed")
				}
			}()
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/other"), func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
		}()
	})
}

// TestOvertaken: a response that was arriving when its URI was changed is not
// stored.
func TestOvertaken(t *testing.T) {
	for name, change := range map[string]func(*Cache){
		"by a POST": func(c *Cache) {
			r := httptest.NewRequest("POST", "http://shop.localhost/", strings.NewReader("x"))
			r.RequestURI = "/"
			_ = c.ask(httptest.NewRecorder(), r, (&up{body: "done"}).answer)
		},
		"by Clear": (*Cache).Clear,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(1 << 20)
				defer c.Close()
				old := &up{header: []string{"Cache-Control", "max-age=60"}, body: "old"}
				var group sync.WaitGroup
				group.Go(func() {
					_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), func(w http.ResponseWriter, r *http.Request) error {
						time.Sleep(time.Second)
						return old.answer(w, r)
					})
				})
				synctest.Wait()
				change(c)
				group.Wait()
				w := httptest.NewRecorder()
				if err := c.ask(w, get(t.Context(), "/"), (&up{body: "new"}).answer); err != nil || w.Body.String() != "new" {
					t.Errorf("%q, %v", w.Body, err)
				}
			})
		})
	}
}

// TestBound: stored responses never take more than the size, whatever is
// requested.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 300_000
		c := New(size)
		defer c.Close()
		large := func(n int) Handler {
			return (&up{header: []string{"Cache-Control", "max-age=60"}, body: strings.Repeat("x", n)}).answer
		}
		for i := range 500 {
			if err := c.ask(httptest.NewRecorder(), get(t.Context(), fmt.Sprintf("/%d", i)), large(i*150)); err != nil {
				t.Fatal(err)
			}
			if c.used > size {
				t.Fatalf("%d bytes after %d answers", c.used, i+1)
			}
		}
		// The last used stay.
		asked := 0
		count := func(w http.ResponseWriter, r *http.Request) error { asked++; return large(100)(w, r) }
		for range 300 {
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/loved"), count)
			_ = c.ask(httptest.NewRecorder(), get(t.Context(), fmt.Sprintf("/%d", asked)), large(60_000))
		}
		if asked != 1 {
			t.Errorf("what is used all the time was fetched %d times", asked)
		}
		c.Resize(10_000)
		if c.used > 10_000 {
			t.Errorf("%d bytes after it was made smaller", c.used)
		}
		c.Clear()
		if c.used != 0 || len(c.entries) != 0 {
			t.Errorf("%d bytes, %d keys after Clear", c.used, len(c.entries))
		}
	})
}

// TestClose: background requests end; other requests pass.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		first := &up{header: []string{"Cache-Control", "max-age=1, stale-while-revalidate=60"}, body: "a"}
		_ = c.ask(httptest.NewRecorder(), get(t.Context(), "/"), first.answer)
		time.Sleep(2 * time.Second)
		background := false
		err := c.ask(httptest.NewRecorder(), get(t.Context(), "/"), func(_ http.ResponseWriter, r *http.Request) error {
			background = Background(r.Context())
			<-r.Context().Done()
			return r.Context().Err()
		})
		synctest.Wait()
		c.Close()
		if err != nil || !background {
			t.Errorf("background %v, %v", background, err)
		}
		w := httptest.NewRecorder()
		if err := c.ask(w, get(t.Context(), "/"), (&up{header: []string{"Cache-Control", "max-age=60"}, body: "b"}).answer); err != nil || w.Body.String() != "b" || c.used != 0 {
			t.Errorf("%q, %v, %d bytes", w.Body, err, c.used)
		}
	})
}
