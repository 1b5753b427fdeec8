package devproxy

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/page"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

const (
	// maxCrashes is how often in a row a page may end its server before devproxy no
	// longer asks for it by itself.
	maxCrashes = 2
	// crashTime is how long a crash is remembered.
	crashTime = 10 * time.Minute
	// maxCrashPages bounds how many pages are remembered; when there are more, all are
	// forgotten.
	maxCrashPages = 256
)

// crashes counts how often in a row a page has ended its server: the waiting page
// would ask for it each time that the server is back. The zero value is ready; it is
// safe for concurrent use.
type crashes struct {
	some atomic.Bool // there is one: most requests need not lock
	mu   sync.Mutex
	seen map[string]crash // by page
}

type crash struct {
	last time.Time
	n    int
}

// pageKey names a page of an upstream, the same for visitors and local clients.
func pageKey(x *exchange, spec *plan.Upstream, r *http.Request) string {
	if x.visit != nil {
		return spec.Key + "\n" + x.visit.host + x.visit.target
	}
	return spec.Key + "\n" + r.Host + requestTarget(r)
}

// note counts one more crash of a page and returns how many it makes in a row.
func (c *crashes) note(page string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.seen[page]
	if time.Since(was.last) > crashTime {
		was.n = 0
	}
	if c.seen == nil || len(c.seen) >= maxCrashPages && was.n == 0 {
		c.seen = map[string]crash{}
	}
	c.seen[page] = crash{time.Now(), was.n + 1}
	c.some.Store(true)
	return was.n + 1
}

// answered forgets the crashes of a page.
func (c *crashes) answered(x *exchange, spec *plan.Upstream, r *http.Request) {
	if !c.some.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, pageKey(x, spec, r))
	c.some.Store(len(c.seen) > 0)
}

// traced is r, for a page that may be waited for, and notes on x when it was sent to
// the upstream.
func (x *exchange) traced(r *http.Request) *http.Request {
	if r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate" && !field.Accepts(r.Header["Accept"], "text/html") {
		return r
	}
	return r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				x.sent.Store(true)
			}
		},
	}))
}

// crashPage is the page in place of the waiting page when that would end the server
// once more; ok is false when it would not.
func (s *Server) crashPage(x *exchange, r *http.Request) (p page.Page, ok bool) {
	var waiting *forward.WaitingError
	// It was sent, and then nothing listened: no port forwarder is in between.
	if !errors.As(x.err, &waiting) || !x.sent.Load() || !slices.ContainsFunc(waiting.Attempts, forward.Attempt.Refused) {
		return page.Page{}, false
	}
	spec := x.route.Answer.(*plan.Upstream) // only upstreams are waited for
	n := s.crashes.note(pageKey(x, spec, r))
	if n < maxCrashes {
		return page.Page{}, false
	}
	return page.Page{
		Status: http.StatusBadGateway,
		Title:  "The server ends each time this page is asked for.",
		Lead: fmt.Sprintf("That has happened %d times in a row: %s closed the connection without a response, and then nothing listened there. devproxy does not ask again by itself.",
			n, spokenUpstream(spec)),
		Quote: quote(x.route.Source),
		Hints: []string{"The server's own output may say why."},
		Again: true,
	}, true
}
