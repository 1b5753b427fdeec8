package tunnel

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// Session is a set of lanes between two programs, and the streams on them. Its
// methods may be called by several goroutines at once.
type Session struct {
	id     sessionID
	key    ed25519.PublicKey
	dialer *dialer // nil at the accepting end
	log    *slog.Logger

	mu       sync.Mutex
	lanes    []*lane // that work, oldest first
	numbered uint16  // of the last lane that joined; the accepting end's
	joining  int     // lanes that are being welcomed

	streams map[uint64]*Stream
	opened  uint64               // streams opened here
	mine    int                  // of those in streams, opened here
	over    idSet                // streams of the other end that are over
	left    map[*Stream]struct{} // that are over at both ends, but were not read to the end
	accepts []*Stream
	accept  sync.Cond

	ring    []*Stream // with bytes for any lane, in turn
	resend  []*item   // whose lane died, for any lane
	orphans []*item   // short ones that no lane is there for

	ackNews  uint64 // grows with every counted frame read
	ackBytes int    // read since the last acknowledgement
	ackTimer *time.Timer
	ackSet   bool

	account *budget.Account // of all that this session holds
	held    int             // in account, besides unread
	granted int             // beyond FirstCredit, over all streams
	kept    int             // bytes written that are not acknowledged on every lane
	unread  int             // what has come and was not read, with what it costs to hold
	path    path
	want    laneCount

	ticker  *time.Timer
	due     time.Time // when tick is called next; zero while it is not set
	counted time.Time // when the kernel was last asked for its losses
	since   time.Time // when the last lane was lost; zero while there is one
	drain   chan struct{}
	drains  bool
	done    chan struct{}
	ended   bool
	err     error
	reason  *Refusal       // told to the other end; nil when it knows
	running sync.WaitGroup // lanes, and the dialler's goroutines
	onEnd   func()
	stats   Stats
}

// newSession is a session of key without lanes. What it holds counts in b (nil:
// a budget of its own), for the address that it is from (nil: unknown).
func newSession(id sessionID, key ed25519.PublicKey, log *slog.Logger, b *budget.Budget, from net.Addr) *Session {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Session{
		id: id, key: key, log: log,
		streams: map[uint64]*Stream{}, left: map[*Stream]struct{}{},
		drain: make(chan struct{}), done: make(chan struct{}),
	}
	s.openAccount(b, from)
	s.accept.L = &s.mu
	s.want.own, s.want.other = firstLanes, firstLanes
	s.path.rtt = firstRTT
	s.since = time.Now()
	s.due = s.since.Add(ResumeTimeout)
	s.ticker = time.AfterFunc(ResumeTimeout, s.tick)
	s.ackTimer = time.AfterFunc(time.Hour, s.ackDue)
	s.ackTimer.Stop()
	return s
}

// Key is the agent's public key, at both ends.
func (s *Session) Key() ed25519.PublicKey { return s.key }

// Done is closed when the session has ended; Err says why then.
func (s *Session) Done() <-chan struct{} { return s.done }

// Draining is closed once either end drains.
func (s *Session) Draining() <-chan struct{} { return s.drain }

// Err is nil until the session has ended. Then it is ErrClosed, ErrReplaced,
// ErrLost, ErrDrained, the other end's *Refusal, or a *ProtocolError.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the session at once: streams fail at both ends. The reason is
// told to the other end, whose Err it becomes; nil is ErrClosed. It returns
// when every goroutine of the session has ended.
func (s *Session) Close(reason *Refusal) {
	if reason == nil {
		reason = &Refusal{Code: codeClosed}
	}
	s.mu.Lock()
	s.endLocked(ended(reason), reason)
	s.mu.Unlock()
	s.running.Wait()
}

// ended is the error that a reason stands for.
func ended(reason *Refusal) error {
	if known := reason.Unwrap(); known != nil {
		return known
	}
	return reason
}

// endLocked ends the session with err. A reason is told to the other end.
func (s *Session) endLocked(err error, reason *Refusal) {
	if s.ended {
		return
	}
	s.ended, s.err, s.reason = true, err, reason
	s.ticker.Stop()
	s.ackTimer.Stop()
	for _, st := range s.streams {
		st.failLocked(err)
		if !st.known {
			st.dropReceived() // nobody will ever see it
		}
		if st.cost > 0 {
			s.left[st] = struct{}{}
		}
	}
	for _, st := range s.accepts {
		st.dropReceived() // nobody will read it
	}
	s.accepts = nil
	s.endAccountLocked()
	s.streams, s.ring, s.resend, s.orphans = map[uint64]*Stream{}, nil, nil, nil
	for _, l := range s.lanes {
		s.endLaneLocked(l, reason)
	}
	s.lanes = nil
	s.accept.Broadcast()
	if s.dialer != nil {
		s.dialer.stop()
	}
	if s.onEnd != nil {
		s.onEnd()
	}
	close(s.done)
}

// endLaneLocked ends one lane of an ended session.
func (s *Session) endLaneLocked(l *lane, reason *Refusal) {
	l.dead = true
	if reason == nil {
		s.running.Go(l.close)
		return
	}
	last := closeFrame(reason)
	s.running.Go(func() { l.say(last) })
}

// closeFrame is the last frame of a session; nil is the end that was asked for.
func closeFrame(reason *Refusal) wireFrame {
	if reason == nil {
		reason = &Refusal{Code: codeClosed}
	}
	return wireFrame{kind: kindClose, number: uint64(reason.Code), data: []byte(cut(reason.Message))}
}

// say writes a last frame and closes the lane. A writer that is stuck is given
// up: the deadline ends both. What the other end still sends is read until it
// closes, since closing before that could destroy the last frame (RFC 1122
// section 4.2.2.13).
func (l *lane) say(last wireFrame) {
	by := time.Now().Add(closeTimeout)
	_ = l.conn.SetDeadline(by)
	if _, err := l.conn.Write(last.append(nil)); err != nil || l.tcp == nil || l.tcp.CloseWrite() != nil {
		l.close()
	}
}

// Drain tells the other end that this session takes no new streams: those that
// are open go on, and the session ends with ErrDrained after the last.
func (s *Session) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.drains {
		return
	}
	s.drainLocked()
	s.pushLocked(&item{frame: wireFrame{kind: kindDrain}, short: true})
}

func (s *Session) drainLocked() {
	s.drains = true
	close(s.drain)
	s.armLocked(0)
}

// drainedLocked reports whether a draining session has nothing left to do.
func (s *Session) drainedLocked() bool {
	if !s.drains || len(s.streams) > 0 || len(s.resend)+len(s.orphans) > 0 {
		return false
	}
	for _, l := range s.lanes {
		if len(l.flights)+len(l.queue) > 0 {
			return false
		}
	}
	return len(s.lanes) > 0
}

// Open opens a stream; head is opaque, at most MaxHead bytes, and there for
// the other end's Accept with the first bytes that are written, or once this
// end waits to read. It does not wait for the other end. It fails
// when the session has ended (its Err), when either end drains (ErrDraining)
// or when there are MaxStreams (ErrTooManyStreams).
func (s *Session) Open(head []byte) (*Stream, error) {
	if len(head) > MaxHead {
		return nil, fmt.Errorf("a stream's head of %d bytes; at most %d are allowed", len(head), MaxHead)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return nil, s.err
	case s.drains:
		return nil, ErrDraining
	case s.mine >= MaxStreams:
		return nil, ErrTooManyStreams
	}
	id := s.opened<<1 | s.sideBit()
	s.opened++
	s.mine++
	st := s.addStreamLocked(id)
	st.open(head)
	return st, nil
}

// sideBit is the lowest bit of the numbers of streams that this end opens.
func (s *Session) sideBit() uint64 {
	if s.dialer != nil {
		return 1
	}
	return 0
}

func (s *Session) addStreamLocked(id uint64) *Stream {
	st := newStream(s, id)
	s.holdLocked(st.base)
	s.streams[id] = st
	return st
}

// Accept waits for the next stream that the other end opens. It fails when ctx
// ends or the session has.
func (s *Session) Accept(ctx context.Context) (*Stream, error) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accept.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.accepts) == 0 {
		if s.ended {
			return nil, s.err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.accept.Wait()
	}
	st := s.accepts[0]
	s.accepts[0] = nil
	s.accepts = s.accepts[1:]
	st.queuedUp = false
	st.dropBase()
	return st, nil
}

// forgetLocked drops a stream that is over in both directions.
func (s *Session) forgetLocked(st *Stream) {
	if s.streams[st.id] != st {
		return
	}
	delete(s.streams, st.id)
	if st.cost > 0 {
		s.left[st] = struct{}{}
	}
	s.granted -= extra(st.window)
	st.forgotten = true
	st.dropBase()
	if st.id&1 == s.sideBit() {
		s.mine--
	} else {
		runs := len(s.over.runs)
		s.over.add(st.id >> 1)
		s.holdLocked(runCost * (len(s.over.runs) - runs))
	}
	if s.drains && len(s.streams) == 0 {
		s.armLocked(0)
	}
}

// Probe asks every lane for a sign of life and gives up those that show none
// within 2 s: after a sleep, or when the machine's addresses have changed.
func (s *Session) Probe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, l := range s.lanes {
		l.probe = now.Add(probeTimeout)
		s.pingLocked(l, now)
	}
	s.armLocked(probeTimeout)
	if s.dialer != nil {
		s.dialer.hurry()
	}
}

// Stats is what a session looks like at one moment.
type Stats struct {
	// Lanes in use; 0 while the session waits to be resumed.
	Lanes int
	// Streams that are open.
	Streams int
	// RTT is the smoothed round trip.
	RTT time.Duration
	// Sent and Received are payload bytes of streams; Resent the bytes of
	// them that were sent again or twice.
	Sent, Received, Resent uint64
	// Heard is when the last frame came from the other end, on any lane; zero before
	// the first.
	Heard time.Time
	// Lossy is true while the path is seen to lose packets.
	Lossy bool
}

// Stats is a look at the session.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Lanes, st.Streams = s.inUseLocked(), len(s.streams)
	st.RTT, st.Lossy = s.path.rtt, s.path.lossy(time.Now())
	return st
}
