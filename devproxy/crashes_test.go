package devproxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// crashing is a server that ends, listener and all, when /crash is asked for.
type crashing struct {
	t    *testing.T
	addr string
	ends atomic.Bool // on /crash
}

func (c *crashing) start() {
	c.t.Helper()
	ln, err := net.Listen("tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	srv := &http.Server{}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/crash" && c.ends.Load() {
			_ = srv.Close() // the listener, then all connections: as a process ends
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "a page")
	})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(ln) // until Close
	}()
	c.t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
}

// TestAPageThatEndsItsServer: the second time in a row that a page ends its server,
// a page with a button takes the place of the waiting page, which would ask again.
func TestAPageThatEndsItsServer(t *testing.T) {
	app := &crashing{t: t, addr: fmt.Sprintf("127.0.0.1:%d", freePort(t))}
	app.ends.Store(true)
	_, port, _ := net.SplitHostPort(app.addr)
	s := shareFile(t, "host \"shop.localhost\" { upstream = "+port+" }\n", nil)
	navigate := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Accept", "text/html"}
	asks := func(get func() reply, want int, text string) {
		t.Helper()
		got := get()
		if got.status != want || !strings.Contains(got.body, text) {
			t.Fatalf("%d, want %d with %q\n%s", got.status, want, text, got.body)
		}
		if polls := strings.Contains(got.body, statePath); polls != (want == http.StatusServiceUnavailable) {
			t.Errorf("%d: the page polls: %v", want, polls)
		}
	}
	crash := func() reply { return s.get(s.url("/crash?a"), navigate...) }
	other := func() reply { return s.get(s.url("/other"), navigate...) }
	app.start()
	asks(other, 200, "a page")
	asks(crash, 503, "Nothing is listening on port "+port)
	asks(other, 503, "Nothing is listening on port "+port) // it waits for the server, and has ended nothing
	app.start()
	asks(crash, 502, `<a class="button" href="">Try again</a>`)
	asks(other, 503, "Nothing is listening on port "+port)
	app.start()
	asks(crash, 502, "3 times in a row")
	app.ends.Store(false)
	app.start()
	asks(crash, 200, "a page")
	app.ends.Store(true)
	asks(crash, 503, "Nothing is listening on port "+port) // it begins again
	app.start()
	visitor := func() reply { return s.visit("/crash?a", navigate...) }
	asks(visitor, 502, `<a class="button" href="">Try again</a>`)
	app.start()
	if got := visitor(); len(s.tells(got.body)) > 0 {
		t.Errorf("a visitor is told %q\n%s", s.tells(got.body), got.body)
	}
}

func TestCrashesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crashes
		if c.note("a") != 1 || c.note("a") != 2 || c.note("b") != 1 {
			t.Error("not counted by page")
		}
		time.Sleep(crashTime + 1)
		if n := c.note("a"); n != 1 {
			t.Errorf("%d after crashTime", n)
		}
		for n := range 3 * maxCrashPages {
			c.note(fmt.Sprint(n))
		}
		if len(c.seen) > maxCrashPages {
			t.Errorf("%d pages are remembered", len(c.seen))
		}
	})
}
