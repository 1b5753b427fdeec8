package tunnel

import (
	"net"
	"os"
	"sync"
	"time"
)

// Stream is one bidirectional stream of bytes on a session: a net.Conn whose
// two directions end by themselves. Reads and writes may run at the same time;
// it is made by Session.Open and Session.Accept.
type Stream struct {
	session *Session
	id      uint64
	head    []byte

	// Guarded by the session's mutex.
	sender
	receiver
	failed error // of a session that ended
	known  bool  // the frame that opens it is there
	closed bool

	base      int  // what the stream itself costs
	forgotten bool // over at both ends
	queuedUp  bool // to be accepted
}

// errClosedHere is a use of a stream after its Close.
var errClosedHere = net.ErrClosed

func newStream(s *Session, id uint64) *Stream {
	st := &Stream{session: s, id: id, base: streamCost}
	st.window = firstCredit(id)
	st.credit, st.granted = uint64(st.window), uint64(st.window)
	st.canWrite.L, st.canRead.L = &s.mu, &s.mu
	return st
}

// firstCredit is what stream id may send, each way, before any credit.
func firstCredit(id uint64) int {
	if id&1 == 1 {
		return ControlCredit // the agent opens it
	}
	return FirstCredit
}

// open makes the stream one that this end opens. The frame that says so goes
// with the first bytes, or when somebody waits for an answer.
func (st *Stream) open(head []byte) {
	st.known = true
	st.unopened = true
	st.head = append([]byte(nil), head...)
	st.base += len(head)
	st.session.holdLocked(len(head))
}

// Head is what the stream was opened with.
func (st *Stream) Head() []byte { return st.head }

// Close ends both directions: what was written is still delivered, what the
// other end sends from now on is dropped. It does not wait.
func (st *Stream) Close() error {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	if st.closed || st.failed != nil {
		st.closed = true
		st.dropOwned()
		st.dropReceived()
		return nil
	}
	st.closed = true
	st.dropOwned()
	st.finish()
	st.stopReading()
	st.settle()
	return nil
}

// Reset gives the stream up in both directions: what has not arrived is
// dropped, and the other end reads ErrReset.
func (st *Stream) Reset() {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	st.closed = true
	st.dropOwned()
	if st.failed != nil {
		st.dropReceived()
		return
	}
	st.abandon()
	st.stopReading()
	st.settle()
}

// failLocked ends the stream with its session.
func (st *Stream) failLocked(err error) {
	st.failed = err
	st.drop()
	st.canWrite.Broadcast()
	st.canRead.Broadcast()
}

// settle wakes whoever waits, and forgets the stream once both directions are over.
func (st *Stream) settle() {
	st.canWrite.Broadcast()
	st.canRead.Broadcast()
	if st.sendOver && st.receiveOver {
		st.session.forgetLocked(st)
	}
}

// LocalAddr is the stream's number at this end.
func (st *Stream) LocalAddr() net.Addr { return streamAddr{} }

// RemoteAddr says nothing of the other end but that it is one: who it is, a
// stream's head tells.
func (st *Stream) RemoteAddr() net.Addr { return streamAddr{} }

// streamAddr is the address of a stream's ends, which have none of their own.
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
// zero time is never. What was written before is still sent.
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

// deadline is a moment after which waiting is over.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
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

// clear stops the timer of a stream that is over.
func (d *deadline) clear() { d.set(time.Time{}, nil) }
