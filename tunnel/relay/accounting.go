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

// The memory that strangers make the relay use is counted in one budget of
// Limits.Memory bytes: package tunnel counts sessions of agents, this file visits.

const (
	// visitCost is the cost of a visit without its fields and buffers, in bytes:
	// stacks, readers and writers of its goroutines.
	visitCost = 16 << 10
	// fieldCost is the cost of a field without its name and value.
	fieldCost = 64
)

// errEvicted ends the visit that uses most when memory is short.
var errEvicted = errors.New("the visit used too much memory")

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// accounting counts the memory of a visit, from openAccount to closeAccount, and
// ends the visit when it is evicted.
type accounting struct {
	account   *budget.Account
	cancel    context.CancelCauseFunc
	control   *http.ResponseController
	evictions interface{ Inc() }

	mu      sync.Mutex
	evicted bool
	ended   bool // control must not be used any more: the handler returns, or the connection is a lane
}

// openAccount begins to count a visit. The visit's context ends with errEvicted
// when it is evicted.
func (v *visit) openAccount() {
	var ctx context.Context
	ctx, v.cancel = context.WithCancelCause(v.r.Context())
	v.r = v.r.WithContext(ctx)
	v.evictions = v.relay.metrics.limited.WithLabelValues("memory")
	v.account = v.relay.memory.Open(budget.Owner{Address: v.from.prefix}, v.evict)
	v.charge(visitCost + fieldsCost(v.r.Header) + len(v.r.RequestURI))
}

// closeAccount stops counting the visit.
func (v *visit) closeAccount() {
	v.mu.Lock()
	v.ended = true
	v.mu.Unlock()
	v.account.Close()
	v.account.Add(-int(v.account.Used()))
	v.cancel(nil)
}

// charge adds n bytes, which may be negative.
func (a *accounting) charge(n int) {
	a.account.Add(n)
	if n > 0 {
		a.account.Enforce()
	}
}

// evict ends the visit: pending reads and writes fail in both directions.
func (a *accounting) evict() (whole bool) {
	a.mu.Lock()
	a.evicted = true
	if !a.ended {
		_ = a.control.SetWriteDeadline(past) // as in setWriteDeadline
	}
	a.mu.Unlock()
	a.evictions.Inc()
	a.cancel(errEvicted)
	return true
}

// setWriteDeadline bounds the next write. An error means that the connection is
// closed, which the write reports. An evicted visit cannot write any more. After
// closeAccount it does nothing: the connection may be an agent's lane.
func (a *accounting) setWriteDeadline(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	if a.evicted {
		at = past
	}
	_ = a.control.SetWriteDeadline(at)
}

// wasEvicted reports whether the visit was evicted.
func (a *accounting) wasEvicted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.evicted
}

// fieldsCost returns the memory of fields.
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

// uploadCost returns the memory of a request's body in the server: HTTP/2 receives
// up to its window before the body is read.
func uploadCost(r *http.Request) int {
	switch {
	case r.ProtoMajor < 2:
		return splice.BlockSize
	case r.ContentLength < 0:
		return splice.BlockSize + uploadWindow
	}
	return splice.BlockSize + int(min(r.ContentLength, uploadWindow))
}

// headReader counts the bytes of a response's head while it arrives: the agent may
// stop in the middle of it.
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
		h.visit.charge(n)
	}
	return n, err
}

// finish counts the fields of the final response in place of the bytes that they
// arrived in.
func (h *headReader) finish(fields http.Header) {
	h.done = true
	h.visit.charge(fieldsCost(fields) - h.held)
}
