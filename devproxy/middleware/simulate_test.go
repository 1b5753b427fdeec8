package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

func TestSimulate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		route := routeOf(func(r *plan.Route) { put(r, plan.Simulate{Delay: 300 * time.Millisecond, Errors: 0.25}) })
		s := newState(route)
		failed, begun := 0, time.Now()
		for range 1000 {
			_, err := ask(s, route, here(), get(), fine)
			var simulated *SimulatedError
			if errors.As(err, &simulated) {
				failed++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if failed < 180 || failed > 320 { // 5 standard deviations
			t.Errorf("%d of 1000 fail at 25 %%", failed)
		}
		if took := time.Since(begun); took != 300*time.Second {
			t.Errorf("1000 delays of 300 ms took %v", took)
		}

		route = routeOf(func(r *plan.Route) { put(r, plan.Simulate{Bandwidth: 100_000}) })
		begun = time.Now()
		w, err := ask(s, route, here(), get(), func(w http.ResponseWriter, _ *http.Request) error {
			_, err := w.Write(make([]byte, 500_000))
			return err
		})
		if took := time.Since(begun); err != nil || w.Body.Len() != 500_000 || took < 4900*time.Millisecond || took > 5*time.Second {
			t.Errorf("500 kB at 100 kB/s took %v: %d bytes, %v", took, w.Body.Len(), err)
		}
	})
}

// TestSimulateEnds: a client that leaves during the delay gets no response, and
// the upstream gets no request.
func TestSimulateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		route := routeOf(func(r *plan.Route) { put(r, plan.Simulate{Delay: time.Hour}) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		asked := false
		_, err := ask(newState(route), route, here(), get().WithContext(ctx), func(http.ResponseWriter, *http.Request) error {
			asked = true
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || asked {
			t.Errorf("%v, a request to the upstream %v", err, asked)
		}
	})
}

// TestWhatIsPaced: answers, with a bandwidth; not what an upgrade makes of the
// connection.
func TestWhatIsPaced(t *testing.T) {
	for _, test := range []struct {
		bandwidth int64
		upgrade   string
		want      bool
	}{{1, "", true}, {0, "", false}, {1, "websocket", false}} {
		plain := httptest.NewRecorder()
		paced := false
		err := simulate(&plan.Simulate{Bandwidth: test.bandwidth}, func(w http.ResponseWriter, _ *http.Request) error {
			paced = w != plain
			return nil
		})(plain, get("Upgrade", test.upgrade))
		if err != nil || paced != test.want {
			t.Errorf("%+v: paced %v, %v", test, paced, err)
		}
	}
}

// line records the bytes that a client gets, and when. It fails at the named
// piece.
type line struct {
	http.ResponseWriter
	begun time.Time
	got   []string
	fails string
}

var errLine = errors.New("the client is gone")

func (l *line) note(what string) error {
	l.got = append(l.got, fmt.Sprintf("%s at %v", what, time.Since(l.begun)))
	if what == l.fails {
		return errLine
	}
	return nil
}

func (l *line) Write(p []byte) (int, error) { return len(p), l.note(fmt.Sprint(len(p))) }
func (l *line) FlushError() error           { return l.note("flush") }

// TestSimulatedLine: a piece for each twentieth of a second, each flushed but
// for the last one, and nothing is made up for a time in which nothing was sent.
func TestSimulatedLine(t *testing.T) {
	for name, test := range map[string]struct {
		bandwidth int64
		sizes     []int
		fails     string
		ends      time.Duration // when the client leaves; zero for never
		want      []string
		written   int
		err       error
	}{
		"one piece":       {1000, []int{50}, "", 0, []string{"50 at 0s"}, 50, nil},
		"a byte more":     {1000, []int{51}, "", 0, []string{"50 at 0s", "flush at 0s", "1 at 50ms"}, 51, nil},
		"three":           {1000, []int{120}, "", 0, []string{"50 at 0s", "flush at 0s", "50 at 50ms", "flush at 50ms", "20 at 100ms"}, 120, nil},
		"two writes":      {1000, []int{20, 50}, "", 0, []string{"20 at 0s", "50 at 20ms"}, 70, nil},
		"nothing":         {1000, []int{0}, "", 0, nil, 0, nil},
		"after a pause":   {1000, []int{50, -1, 50}, "", 0, []string{"50 at 0s", "50 at 1s"}, 100, nil},
		"a very thin one": {2, []int{2}, "", 0, []string{"1 at 0s", "flush at 0s", "1 at 500ms"}, 2, nil},
		"a write fails":   {1000, []int{70}, "20", 0, []string{"50 at 0s", "flush at 0s", "20 at 50ms"}, 70, errLine},
		"a flush fails":   {1000, []int{70}, "flush", 0, []string{"50 at 0s", "flush at 0s"}, 50, errLine},
		"the client left": {1000, []int{120}, "", 70 * time.Millisecond, []string{"50 at 0s", "flush at 0s", "50 at 50ms", "flush at 50ms"}, 100, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			if test.ends > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), test.ends)
			}
			defer cancel()
			l := &line{begun: time.Now(), fails: test.fails}
			w := &pacedWriter{ResponseWriter: l, ctx: ctx, perSecond: test.bandwidth}
			written, err := 0, error(nil)
			for _, size := range test.sizes {
				if size < 0 {
					time.Sleep(time.Second)
					continue
				}
				var n int
				n, err = w.Write(make([]byte, size))
				written += n
			}
			if !slices.Equal(l.got, test.want) || written != test.written || !errors.Is(err, test.err) {
				t.Errorf("%s: %q, %d bytes, %v\nwant %q, %d bytes, %v", name, l.got, written, err, test.want, test.written, test.err)
			}
		})
	}
}
