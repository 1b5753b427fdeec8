package forward

import (
	"errors"
	"io"
	"sync"
)

// maxReplay is how much of a request's body is kept to send it again: enough
// for a form or a JSON document. It is kept only for idempotent methods.
const maxReplay = 64 << 10

// body is a visitor's request body, read by one attempt after the other.
// Whatever has been read is kept until it is more than limit; then it can be
// sent once only.
type body struct {
	src   io.ReadCloser
	limit int

	mu    sync.Mutex // held over a Read of src: an attempt that failed may still be in one
	kept  []byte
	read  int64 // from src in all
	err   error // what src ended with; io.EOF is a good end
	after bool  // more than limit was read: kept is gone
}

// attempt is a reader of b from its beginning, for one try.
func (b *body) attempt() io.ReadCloser { return &attempt{body: b} }

// again reports whether another attempt would still see the whole.
func (b *body) again() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.after
}

// broken is the visitor's own fault: reading its body failed.
func (b *body) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil || errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// size is the number of bytes the visitor has sent.
func (b *body) size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.read
}

type attempt struct {
	body   *body
	at     int
	closed bool // guarded by body.mu
}

var errAttemptOver = errors.New("this attempt is over")

func (a *attempt) Read(p []byte) (int, error) {
	b := a.body
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.closed {
		return 0, errAttemptOver
	}
	if a.at < len(b.kept) {
		n := copy(p, b.kept[a.at:])
		a.at += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.keep(p[:n])
	b.read += int64(n)
	b.err = err
	if !b.after {
		a.at = len(b.kept)
	}
	return n, err
}

func (b *body) keep(p []byte) {
	if b.after || len(p) == 0 {
		return
	}
	if len(b.kept)+len(p) > b.limit {
		b.kept, b.after = nil, true
		return
	}
	b.kept = append(b.kept, p...)
}

// Close ends this attempt; the visitor's body stays open for the next.
func (a *attempt) Close() error {
	if a.body.mu.TryLock() { // a Read that waits for the visitor needs no telling
		a.closed = true
		a.body.mu.Unlock()
	}
	return nil
}
