package websocket

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// ErrClosed is the error of a Write after the close frame of a Writer.
var ErrClosed = errors.New("the WebSocket was closed with a close frame")

// Writer writes one direction of a WebSocket and can end it with a close frame between two
// frames.
type Writer struct {
	dst io.Writer

	// last is the close frame to write at the next boundary; nil while the WebSocket is open.
	// It is set without the lock, which a Write to a peer that does not read may hold for
	// long.
	last atomic.Pointer[[]byte]

	mu     sync.Mutex
	frames Boundaries
	closed bool
}

// NewWriter returns a Writer of frames to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write passes p on. After the close frame it returns ErrClosed.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; ; rest = rest[w.frames.Advance(rest):] {
		if w.endsHereLocked() {
			return w.closeLocked(p[:len(p)-len(rest)])
		}
		if len(rest) == 0 {
			return w.dst.Write(p)
		}
	}
}

func (w *Writer) endsHereLocked() bool {
	return w.last.Load() != nil && w.frames.AtBoundary()
}

// closeLocked writes p and, once, the close frame after it.
func (w *Writer) closeLocked(p []byte) (int, error) {
	if w.closed {
		return 0, ErrClosed
	}
	w.closed = true
	if _, err := w.dst.Write(append(p[:len(p):len(p)], *w.last.Load()...)); err != nil {
		return 0, err
	}
	return len(p), ErrClosed
}

// Arm sets the close frame, which the next Write that ends or starts a frame writes, or End.
// Only the first call counts. Arm never blocks.
func (w *Writer) Arm(frame []byte) { w.last.CompareAndSwap(nil, &frame) }

// End writes the close frame now, unless another frame is incomplete. Without Arm it does
// nothing. It waits for a Write in progress.
func (w *Writer) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.endsHereLocked() {
		_, _ = w.closeLocked(nil) // a lost connection needs no close frame
	}
}
