package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// restartFrame is a WebSocket close frame with 1012, service restart: connect
// again (RFC 6455 section 5.5.1, IANA's close codes).
func restartFrame() []byte { return binary.BigEndian.AppendUint16([]byte{0x88, 2}, 1012) }

// frames follows the boundaries of WebSocket frames (RFC 6455 section 5.2) in
// the bytes that pass.
type frames struct {
	head [14]byte // of the frame that is arriving
	have int      // bytes of it
	left uint64   // bytes of payload still to come
}

// atBoundary reports whether the bytes so far end with a whole frame.
func (f *frames) atBoundary() bool { return f.have == 0 && f.left == 0 }

// advance takes the bytes up to the end of the current frame, or all of p, and
// returns how many those are.
func (f *frames) advance(p []byte) int {
	taken := 0
	for taken < len(p) {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)-taken))
			f.left -= n
			taken += int(n)
		} else {
			f.head[f.have] = p[taken]
			f.have++
			taken++
			if f.have < f.headLen() {
				continue
			}
			f.left = f.payloadLen()
			f.have = 0
		}
		if f.atBoundary() {
			return taken
		}
	}
	return taken
}

// headLen is the length of the head, as far as its first two bytes tell.
func (f *frames) headLen() int {
	if f.have < 2 {
		return 2
	}
	n := 2
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (f *frames) payloadLen() uint64 {
	switch short := f.head[1] & 0x7f; short {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.head[2:])
	default:
		return uint64(short)
	}
}

// errRestart ends the copying once the close frame was written.
var errRestart = errors.New("closed for a restart")

// frameWriter writes one direction of a WebSocket and can end it with a close
// frame between two frames of its own.
type frameWriter struct {
	dst io.Writer

	// armed is set without the lock, which a Write to a visitor that does not
	// read may hold for long.
	armed atomic.Bool

	mu     sync.Mutex
	frames frames
	closed bool
}

// Write passes p on. Once the close frame is written it fails.
func (w *frameWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.endsHereLocked() {
		return w.closeLocked(nil)
	}
	for rest := p; len(rest) > 0; {
		rest = rest[w.frames.advance(rest):]
		if w.endsHereLocked() {
			return w.closeLocked(p[:len(p)-len(rest)])
		}
	}
	return w.dst.Write(p)
}

func (w *frameWriter) endsHereLocked() bool {
	return w.closed || w.armed.Load() && w.frames.atBoundary()
}

// closeLocked writes p and behind it, once, the close frame.
func (w *frameWriter) closeLocked(p []byte) (int, error) {
	if w.closed {
		return 0, errRestart
	}
	w.closed = true
	if _, err := w.dst.Write(append(p[:len(p):len(p)], restartFrame()...)); err != nil {
		return 0, err
	}
	return len(p), errRestart
}

// end writes the close frame now, or after the frame that is under way.
func (w *frameWriter) end() {
	w.armed.Store(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.endsHereLocked() {
		_, _ = w.closeLocked(nil) // a connection that is gone needs no close frame
	}
}
