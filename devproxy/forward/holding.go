package forward

import (
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// UploadWindow is how much of one request's body HTTP/2 visitors may send before
// it is read, in bytes: the MaxReceiveBufferPerStream of the server in front.
// Loopback needs no more.
const UploadWindow = 128 << 10

// holding is what the body of one request makes us hold, from its head to its
// end: HTTP/2's window, the buffer that it is read into, and what is kept to
// send it again.
type holding struct {
	account *budget.Account
	f       *forwarding

	mu   sync.Mutex
	over bool // the handler returns: f.control must not be used any more
}

// hold counts f's body in Options.Memory.
func hold(f *forwarding) *holding {
	h := &holding{f: f}
	h.account = f.upstream.opts.Memory.Open(ownerOf(f), h.evict)
	h.account.Add(bodyCost(f.r))
	h.account.Enforce()
	return h
}

// ownerOf is the visitor's address, and the connection.
func ownerOf(f *forwarding) budget.Owner {
	addr := f.Visitor
	if from, err := netip.ParseAddrPort(f.r.RemoteAddr); err == nil && !addr.IsValid() && f.PublicHost == "" {
		addr = from.Addr()
	}
	return budget.Owner{Address: budget.NetworkOf(addr), Key: f.r.RemoteAddr}
}

// bodyCost is the most that the body of r makes us hold.
func bodyCost(r *http.Request) int {
	window := UploadWindow
	if r.ProtoMajor < 2 {
		window = 0
	}
	most := int64(window + maxReplay)
	if r.ContentLength >= 0 {
		most = min(r.ContentLength, int64(window)) + min(r.ContentLength, maxReplay)
	}
	return splice.BlockSize + int(most)
}

// touching is a body that says when it moves.
type touching struct {
	io.Reader
	account *budget.Account
}

// Read implements io.Reader.
func (t touching) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.account.Touch()
	return n, err
}

// evict cuts the exchange off, whichever end it waits for.
func (h *holding) evict() (whole bool) {
	h.f.cancel(ErrEvicted)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		_ = h.f.control.SetWriteDeadline(time.Unix(1, 0)) // an upload that cannot be answered ends with its connection
	}
	return true
}

// end counts the body no longer. A nil holding has none.
func (h *holding) end() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
	h.account.Close()
	h.account.Add(-int(h.account.Used()))
}
