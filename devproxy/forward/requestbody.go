package forward

import (
	"errors"
	"io"
	"sync"

	"github.com/devproxy/devproxy/tunnel/splice"
)

// maxReplay is how much of a request's body is kept to send it again: forms
// and JSON fit, uploads do not. It is held until the answer begins.
const maxReplay = 64 << 10

var (
	errBodyClosed  = errors.New("the upstream takes no more of the request")
	errNotReplayed = errors.New("the request's body is too long to be sent again")
)

// requestBody is the visitor's body, read once and given to one attempt after
// the other. Nothing is read before an attempt has a connection. The visitor
// is read in a goroutine of its own, one read at a time: an attempt whose
// upstream is gone must not wait for a visitor who waits for the answer.
type requestBody struct {
	src   io.Reader
	clock *clock // stands while the visitor is waited for
	// interrupt makes a read from src that is under way return. It reports
	// false when it cannot.
	interrupt func() bool
	// atEnd is called once, when the body has come completely.
	atEnd func()

	mu      sync.Mutex
	changed sync.Cond
	settled bool          // the answer has begun: there will be no further attempt
	filling bool          // a read is under way
	buffer  *splice.Block // what it reads into
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

// open is a reader of the whole body for one attempt. It fails when the
// beginning is gone.
func (b *requestBody) open() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count != int64(len(b.kept)) {
		return nil, errNotReplayed
	}
	return &bodyReader{body: b}, nil
}

// measure makes c the clock of the attempt that comes.
func (b *requestBody) measure(c *clock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock = c
	if b.filling {
		c.pause()
	}
}

// started reports whether anything was asked of the visitor.
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

// fault is what the visitor did wrong or failed to send; nil when all is well.
func (b *requestBody) fault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// settle says that the answer has begun: no further attempt will come.
func (b *requestBody) settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = true
	if b.count == int64(len(b.kept)) && b.count > 0 {
		b.kept = nil
	}
}

// finish ends all reading, also a read under way, and returns how many bytes
// were taken. net/http must not be left with a reader: it reads the next
// request itself.
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

// read takes what comes at offset, for a reader that may be closed meanwhile.
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
	if !b.settled && b.count == int64(len(b.kept)) && b.count+int64(n) <= maxReplay {
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

// fillLocked starts one read from the visitor.
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

// closeForReplay is Close for an attempt that is given up, unless the beginning
// of the body is gone: then it reports false and does nothing.
func (r *bodyReader) closeForReplay() bool {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	if r.body.count != int64(len(r.body.kept)) {
		return false
	}
	r.closed = true
	r.body.changed.Broadcast()
	return true
}

// Close ends this attempt's reading, also one under way. The visitor's body
// stays open for the next attempt.
func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	r.closed = true
	r.body.changed.Broadcast()
	return nil
}
