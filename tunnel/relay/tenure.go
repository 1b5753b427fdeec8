package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// What strangers make the relay hold is counted in one budget of Limits.Memory
// bytes: sessions of agents by tunnel, and visits here.

const (
	// visitCost is what a visit costs besides its fields and buffers, in bytes:
	// stacks, readers and writers of its goroutines.
	visitCost = 16 << 10
	// fieldCost is what a field costs besides its name and value.
	fieldCost = 64
)

// errEvicted ends a visit that holds most while memory is short.
var errEvicted = errors.New("the visit held too much memory")

// tenure is what a visit holds, from begin to end.
type tenure struct {
	account   *budget.Account
	cancel    context.CancelCauseFunc
	control   *http.ResponseController
	evictions interface{ Inc() }

	mu      sync.Mutex
	evicted bool
	over    bool // the handler returns, or the connection is a lane: control must not be used any more
}

// begin counts a visit until end, and has its context end with errEvicted
// when it is evicted.
func (v *visit) begin() {
	var ctx context.Context
	ctx, v.cancel = context.WithCancelCause(v.r.Context())
	v.r = v.r.WithContext(ctx)
	v.evictions = v.relay.metrics.limited.WithLabelValues("memory")
	v.account = v.relay.memory.Open(budget.Owner{Address: v.from.prefix}, v.evict)
	v.hold(visitCost + fieldsCost(v.r.Header) + len(v.r.RequestURI))
}

// end counts the visit no longer.
func (v *visit) end() {
	v.mu.Lock()
	v.over = true
	v.mu.Unlock()
	v.account.Close()
	v.account.Add(-int(v.account.Used()))
	v.cancel(nil)
}

// hold counts n bytes more, or fewer.
func (t *tenure) hold(n int) {
	t.account.Add(n)
	if n > 0 {
		t.account.Enforce()
	}
}

// evict cuts the visit off: what it waits for, in either direction, fails.
func (t *tenure) evict() (whole bool) {
	t.mu.Lock()
	t.evicted = true
	if !t.over {
		_ = t.control.SetWriteDeadline(past) // as in writeBy
	}
	t.mu.Unlock()
	t.evictions.Inc()
	t.cancel(errEvicted)
	return true
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// writeBy bounds the next write; errors mean that there is no connection any
// more, which the write will tell. An evicted visit writes nothing more. After
// end it does nothing: the connection may be an agent's lane.
func (t *tenure) writeBy(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	if t.evicted {
		at = past
	}
	_ = t.control.SetWriteDeadline(at)
}

// isEvicted reports whether the visit was cut off.
func (t *tenure) isEvicted() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evicted
}

// fieldsCost is what fields take in memory.
func fieldsCost(fields http.Header) int {
	n := 0
	for name, values := range fields {
		n += fieldCost + len(name)
		for _, value := range values {
			n += len(value)
		}
	}
	return n
}

// uploadCost is what the server holds of a request's body: HTTP/2 takes as much
// as its window before it is read.
func uploadCost(r *http.Request) int {
	if r.ProtoMajor < 2 {
		return splice.BlockSize
	}
	if r.ContentLength >= 0 && r.ContentLength < uploadWindow {
		return splice.BlockSize + int(r.ContentLength)
	}
	return splice.BlockSize + uploadWindow
}

// headReader counts the bytes of a head while it comes: the agent may stop in
// the middle of it.
type headReader struct {
	io.Reader
	visit *visit
	held  int
	done  bool
}

// Read implements io.Reader.
func (h *headReader) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if !h.done && n > 0 {
		h.held += n
		h.visit.hold(n)
	}
	return n, err
}

// finish counts the fields of the final response in place of the bytes that
// they came in.
func (h *headReader) finish(fields http.Header) {
	h.done = true
	h.visit.hold(fieldsCost(fields) - h.held)
}
