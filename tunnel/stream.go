package tunnel

import (
	"net"
	"os"
	"sync"
	"time"
)

// Stream is one bidirectional stream of bytes on a session: a net.Conn whose two
// directions end separately. Reads and writes may run at the same time. Session.Open
// and Session.Accept return streams.
type Stream struct {
	session *Session
	id      uint64
	head    []byte

	// Guarded by the session's mutex.
	sender
	receiver
	failed error // of a session that ended
	known  bool  // the frame that opens it was sent or has come
	closed bool

	base     int  // cost of the stream itself
	counted  int  // how much of cost the session counts
	queuedUp bool // to be accepted
	removed  bool // from the session's table: over at both ends
}

// errClosedHere is the error of a stream after its Close.
var errClosedHere = net.ErrClosed

func newStream(s *Session, id uint64) *Stream {
	st := &Stream{session: s, id: id, base: streamCost}
	st.stream, st.sched, st.usage = st, &s.sched, &s.usage
	st.window = firstCredit(id)
	st.credit, st.granted = uint64(st.window), uint64(st.window)
	st.canWrite.L, st.canRead.L = &s.mu, &s.mu
	return st
}

// firstCredit is how much may be sent on stream id, each way, before any credit.
func firstCredit(id uint64) int {
	if id&1 == 1 {
		return ControlCredit // the agent opens it
	}
	return FirstCredit
}

func (st *Stream) setHeadLocked(head []byte) {
	st.head = head
	st.base += len(head)
	st.usage.hold(len(head))
}

// Head returns the bytes that the stream was opened with.
func (st *Stream) Head() []byte { return st.head }

// Close ends both directions: written bytes are still delivered, and bytes that the
// other end sends from now on are dropped. It does not wait.
func (st *Stream) Close() error {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	st.closed = true
	st.endLocked(st.finish)
	return nil
}

// Reset gives the stream up in both directions: bytes that have not arrived are
// dropped, and the other end reads ErrReset.
func (st *Stream) Reset() {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	st.closed = true
	st.endLocked(st.abandon)
}

// evictLocked gives the stream up at both ends, with everything that it holds. What
// its user holds no longer counts: the user is about to drop it, and no other stream
// should be evicted in its place.
func (st *Stream) evictLocked() {
	st.reset, st.stopped = true, true
	st.endLocked(st.abandon)
}

// endLocked ends both directions, the one that is written by calling endWriting.
func (st *Stream) endLocked(endWriting func()) {
	st.cost -= st.owned
	st.owned = 0
	if st.failed != nil {
		st.dropReceivedLocked()
	} else {
		endWriting()
		st.stopReadingLocked()
	}
	st.updateLocked()
}

// failLocked ends the stream with its session.
func (st *Stream) failLocked(err error) {
	st.failed = err
	st.removed = true
	st.drop()
	if !st.known {
		st.dropReceivedLocked() // no one will ever see it
	}
	st.countLocked()
	st.updateLocked()
}

// arrivedLocked notes that the other end has an item of this stream.
func (st *Stream) arrivedLocked(it *item) {
	if st.arrived(it); st.sendOver {
		st.updateLocked()
	}
}

// takeStopLocked notes that the other end reads no more.
func (st *Stream) takeStopLocked() {
	st.stopped = true
	st.abandon()
	st.updateLocked()
}

// updateLocked wakes waiting reads and writes, and takes the stream off the session
// once both directions are over.
func (st *Stream) updateLocked() {
	st.canWrite.Broadcast()
	st.canRead.Broadcast()
	if st.sendOver && st.receiveOver && !st.removed {
		st.session.removeStreamLocked(st)
	}
}

// LocalAddr returns an address without information.
func (st *Stream) LocalAddr() net.Addr { return streamAddr{} }

// RemoteAddr returns an address without information: the head of a stream
// describes the other end.
func (st *Stream) RemoteAddr() net.Addr { return streamAddr{} }

// streamAddr is the address of both ends of every stream.
type streamAddr struct{}

func (streamAddr) Network() string { return "devproxy" }
func (streamAddr) String() string  { return "tunnel" }

// SetDeadline sets both deadlines.
func (st *Stream) SetDeadline(t time.Time) error {
	_ = st.SetReadDeadline(t)
	return st.SetWriteDeadline(t)
}

// SetReadDeadline makes Read fail with os.ErrDeadlineExceeded after t; the
// zero time is never.
func (st *Stream) SetReadDeadline(t time.Time) error {
	return st.setDeadline(&st.readBy, &st.canRead, t)
}

// SetWriteDeadline makes Write fail with os.ErrDeadlineExceeded after t; the
// zero time is never. Bytes that were written before are still sent.
func (st *Stream) SetWriteDeadline(t time.Time) error {
	return st.setDeadline(&st.writeBy, &st.canWrite, t)
}

func (st *Stream) setDeadline(d *deadline, waiting *sync.Cond, t time.Time) error {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	if st.closed {
		return errClosedHere
	}
	d.set(t, func() {
		st.session.mu.Lock()
		defer st.session.mu.Unlock()
		waiting.Broadcast()
	})
	waiting.Broadcast()
	return nil
}

// deadline is the time at which waiting ends.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at = t
	if left := time.Until(t); !t.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, wake)
	}
}

func (d *deadline) err() error {
	if !d.at.IsZero() && !time.Now().Before(d.at) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// clear stops the timer of a stream that has ended.
func (d *deadline) clear() { d.set(time.Time{}, nil) }
