package forward

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
	"github.com/devproxy/devproxy/tunnel/splice"
)

const (
	// maxReplay is how much of a request's body is kept to send it again: forms and
	// JSON fit, uploads do not. It is kept until the answer begins.
	maxReplay = 64 << 10
	// UploadWindow is how much of one request's body HTTP/2 clients may send before it
	// is read, in bytes: the MaxReceiveBufferPerStream of the server in front. Loopback
	// needs no more.
	UploadWindow = 128 << 10
)

var (
	errBodyClosed  = errors.New("the upstream takes no more of the request")
	errNotReplayed = errors.New("the request's body is too long to be sent again")
)

// requestBody is the client's body, read once and given to one attempt after
// another. Nothing is read before an attempt has a connection. Its own
// goroutine reads the client, one read at a time: an attempt whose upstream has
// ended must not wait for a client that waits for the answer.
type requestBody struct {
	src   io.Reader
	clock *clock // paused while devproxy waits for the client
	// interrupt makes a read in progress from src return. It returns false when it
	// cannot.
	interrupt func() bool
	// atEnd is called once, when the whole body has come.
	atEnd func()

	mu      sync.Mutex
	changed sync.Cond
	final   bool          // the answer has begun, so no further attempt will come
	filling bool          // a read is in progress
	buffer  *splice.Block // its read buffer
	pending []byte        // of buffer: read, and not yet taken
	kept    []byte
	count   int64 // bytes read and taken, or kept
	err     error // of src, io.EOF at its end; comes after pending
	over    bool  // the exchange has ended: src is net/http's again
}

func newRequestBody(src io.Reader, interrupt func() bool, atEnd func()) *requestBody {
	b := &requestBody{src: src, interrupt: interrupt, atEnd: atEnd}
	b.changed.L = &b.mu
	return b
}

// open returns a reader of the whole body for one attempt. It fails when the
// beginning is no longer kept.
func (b *requestBody) open() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count != int64(len(b.kept)) {
		return nil, errNotReplayed
	}
	return &bodyReader{body: b}, nil
}

// measure makes c the clock of the next attempt.
func (b *requestBody) measure(c *clock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = c
	if b.filling {
		c.pause()
	}
}

// started reports whether any of the body was read.
func (b *requestBody) started() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer != nil || b.count > 0 || b.err != nil
}

// complete reports whether all of the body has come.
func (b *requestBody) complete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Is(b.err, io.EOF)
}

// fault is the error of the client's body; nil if it was correct.
func (b *requestBody) fault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// noMoreAttempts is called when the answer has begun.
func (b *requestBody) noMoreAttempts() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.final = true
	if b.count == int64(len(b.kept)) && b.count > 0 {
		b.kept = nil
	}
}

// finish ends all reading, including a read in progress, and returns how many
// bytes were taken. No reader may remain: net/http reads the next request
// itself.
func (b *requestBody) finish() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	b.changed.Broadcast()
	if b.filling && b.interrupt() {
		for b.filling {
			b.changed.Wait()
		}
	}
	b.releaseLocked()
	return b.count
}

// read returns the bytes at r's offset. r may be closed during the call.
func (b *requestBody) read(p []byte, r *bodyReader) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case r.closed || b.over:
			return 0, errBodyClosed
		case r.offset < int64(len(b.kept)):
			return copy(p, b.kept[r.offset:]), nil
		case r.offset < b.count:
			return 0, errNotReplayed
		case len(b.pending) > 0:
			return b.takeLocked(p)
		case b.err != nil:
			return 0, b.err
		case !b.filling:
			b.fillLocked()
		}
		b.changed.Wait()
	}
}

func (b *requestBody) takeLocked(p []byte) (int, error) {
	n := copy(p, b.pending)
	if !b.final && b.count == int64(len(b.kept)) && b.count+int64(n) <= maxReplay {
		b.kept = append(b.kept, p[:n]...)
	} else {
		b.kept = nil
	}
	b.pending = b.pending[n:]
	b.count += int64(n)
	if len(b.pending) > 0 {
		return n, nil
	}
	return n, b.err // with the last bytes: no further read is needed to know
}

// fillLocked starts one read from the client.
func (b *requestBody) fillLocked() {
	if b.buffer == nil {
		b.buffer = splice.NewBlock()
	}
	b.filling = true
	b.clock.pause()
	go b.fill(b.buffer)
}

func (b *requestBody) fill(into *splice.Block) {
	n, err := b.src.Read(into[:])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock.resume()
	b.filling = false
	b.pending, b.err = into[:n], err
	if err == io.EOF && !b.over {
		b.atEnd()
	}
	if b.over {
		b.releaseLocked()
	}
	b.changed.Broadcast()
}

func (b *requestBody) releaseLocked() {
	if b.buffer != nil && !b.filling {
		b.buffer.Free()
		b.buffer, b.pending = nil, nil
	}
}

// bodyReader is the body as one attempt reads it.
type bodyReader struct {
	body   *requestBody
	offset int64
	closed bool // guarded by body.mu
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.body.read(p, r)
	r.offset += int64(n)
	return n, err
}

// closeToReplay is Close for an attempt that is given up. If the beginning of
// the body is no longer kept, it returns false and does nothing.
func (r *bodyReader) closeToReplay() bool {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.count != int64(len(r.body.kept)) {
		return false
	}
	r.closed = true
	r.body.changed.Broadcast()
	return true
}

// Close ends this attempt's reading, including a read in progress. The client's body
// stays open for the next attempt.
func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	r.closed = true
	r.body.changed.Broadcast()
	return nil
}

// bodyMemory is the memory that one request's body makes devproxy hold, from
// its head to its end: HTTP/2's window, the read buffer, and the copy that is
// kept to send it again.
type bodyMemory struct {
	account *budget.Account
	f       *forwarding

	mu   sync.Mutex
	over bool // the handler returns; f.control must not be used any more
}

// newBodyMemory counts f's body in Options.Memory.
func newBodyMemory(f *forwarding) *bodyMemory {
	h := &bodyMemory{f: f}
	h.account = f.upstream.opts.Memory.Open(ownerOf(f), h.evict)
	h.account.Add(bodyCost(f.r))
	h.account.Enforce()
	return h
}

// ownerOf is the client's address, and its connection.
func ownerOf(f *forwarding) budget.Owner {
	addr := f.Visitor
	if !addr.IsValid() && f.PublicHost == "" {
		addr = remoteAddr(f.r)
	}
	return budget.Owner{Address: budget.NetworkOf(addr), Key: f.r.RemoteAddr}
}

// bodyCost is the most memory that the body of r makes devproxy hold.
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

// touchingReader notes in account that bytes move.
type touchingReader struct {
	io.Reader
	account *budget.Account
}

// Read implements io.Reader.
func (t touchingReader) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.account.Touch()
	return n, err
}

// evict cuts the exchange off, whichever end it waits for.
func (h *bodyMemory) evict() (whole bool) {
	h.f.cancel(ErrEvicted)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		_ = h.f.control.SetWriteDeadline(time.Unix(1, 0)) // an upload that cannot be answered ends with its connection
	}
	return true
}

// end stops counting the body.
func (h *bodyMemory) end() {
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
	h.account.Close()
	h.account.Add(-int(h.account.Used()))
}
