package devproxy

import (
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/forward"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/field"
)

const (
	// maxCrashes is how often in a row a page may end its server before devproxy
	// no longer requests it by itself.
	maxCrashes = 2
	// crashTime is how long a crash is remembered.
	crashTime = 10 * time.Minute
	// maxCrashPages bounds how many pages are remembered; when there are more, all
	// are forgotten.
	maxCrashPages = 256
)

// crashes counts how often in a row a page has ended its server, since a
// waiting page would request it each time the server is back. The zero value is
// ready to use; it is safe for concurrent use.
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
func pageKey(x *exchange, r *http.Request) string {
	key := x.route.Answer.(*plan.Upstream).Key + "\n" // only upstreams crash
	if x.visit != nil {
		return key + x.visit.host + x.visit.target
	}
	return key + r.Host + requestTarget(r)
}

// crashed reports whether the upstream ended on the request of x: it was sent, and
// then nothing listened. A port forwarder in between would accept connections.
func (x *exchange) crashed(waiting *forward.WaitingError) bool {
	return x.sent.Load() && slices.ContainsFunc(waiting.Attempts, forward.Attempt.Refused)
}

// note counts one more crash of a page and returns how many that makes in a row.
func (c *crashes) note(page string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 1
	if was := c.seen[page]; time.Since(was.last) <= crashTime {
		n += was.n
	}
	if c.seen == nil || len(c.seen) >= maxCrashPages && n == 1 {
		c.seen = map[string]crash{}
	}
	c.seen[page] = crash{time.Now(), n}
	c.some.Store(true)
	return n
}

// answered forgets the crashes of a page.
func (c *crashes) answered(x *exchange, r *http.Request) {
	if !c.some.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.seen, pageKey(x, r))
	c.some.Store(len(c.seen) > 0)
}

// traced returns r with a trace that notes on x when it was sent to the upstream, for
// a page that a waiting page may request again.
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
