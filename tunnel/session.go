// Package tunnel carries streams between two programs over several TCP
// connections at once: a session has 1 to 16 lanes, on which streams are
// multiplexed. Each stream is a net.Conn, and survives the loss of every lane: frames
// that were not acknowledged go over the others, or over the next that joins
// within 30 s. spec.md describes the wire format, byte for byte.
//
// The package has no knowledge of HTTP. One end dials lanes and proves a key (the
// agent, Dial), the other accepts them (the relay, Acceptor). Then both may open
// streams.
package tunnel

import (
	"cmp"
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
//
// Its mutex guards everything that is part of the session: the scheduler, the
// acknowledger, the stream table, usage, and each stream and lane. They have no locks.
// Methods whose names end in Locked need the mutex too.
type Session struct {
	id     sessionID
	key    ed25519.PublicKey
	dialer *dialer // nil at the accepting end
	log    *slog.Logger

	mu     sync.Mutex
	sched  scheduler
	acks   acknowledger
	table  streamTable
	usage  usage
	want   laneCount
	accept sync.Cond // waits for table.queue

	numbered uint16 // of the last lane that joined; the accepting end's
	joining  int    // lanes that are being welcomed

	ackTimer *time.Timer
	ticker   *time.Timer
	due      time.Time // when tick is called next; zero while it is not set
	laneless time.Time // when the last lane was lost
	heard    time.Time // when the last frame came

	drain   chan struct{}
	drains  bool
	done    chan struct{}
	ended   bool
	err     error
	reason  *Refusal       // sent to the other end; nil when it knows
	running sync.WaitGroup // lanes, and the dialler's goroutines
	onEnd   func()
}

// newSession returns a session of key without lanes. Its memory counts in b (nil:
// its own budget), for the address that it is from (nil: unknown).
func newSession(id sessionID, key ed25519.PublicKey, log *slog.Logger, b *budget.Budget, from net.Addr) *Session {
	s := &Session{
		id: id, key: key, log: cmp.Or(log, slog.New(slog.DiscardHandler)), table: newStreamTable(), want: laneCount{own: firstLanes, other: firstLanes},
		drain: make(chan struct{}), done: make(chan struct{}), laneless: time.Now(),
	}
	if b == nil {
		b = budget.New(budget.Limits{Total: ownMemory})
	}
	owner := budget.Owner{Address: budget.Network(from), Key: string(key)}
	s.usage = usage{account: b.Open(owner, s.evict), onRoom: s.wakeWritersLocked}
	s.usage.hold(sessionCost)
	s.sched = scheduler{usage: &s.usage, path: path{rtt: firstRTT}, wake: func(l *lane) { s.running.Go(l.write) }}
	s.accept.L = &s.mu
	s.due = s.laneless.Add(ResumeTimeout)
	s.ticker = time.AfterFunc(ResumeTimeout, s.tick)
	s.ackTimer = time.AfterFunc(time.Hour, s.ackDue)
	s.ackTimer.Stop()
	return s
}

// Key is the agent's public key, at both ends.
func (s *Session) Key() ed25519.PublicKey { return s.key }

// Done is closed when the session has ended; then Err says why.
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
// sent to the other end, whose Err it becomes; nil is ErrClosed. It returns
// when every goroutine of the session has ended.
func (s *Session) Close(reason *Refusal) {
	reason = cmp.Or(reason, &Refusal{Code: codeClosed})
	s.mu.Lock()
	s.endLocked(reason.asError(), reason)
	s.mu.Unlock()
	s.running.Wait()
}

// endLocked ends the session with err. A reason is sent to the other end.
func (s *Session) endLocked(err error, reason *Refusal) {
	if s.ended {
		return
	}
	s.ended, s.err, s.reason = true, err, reason
	s.ticker.Stop()
	s.ackTimer.Stop()
	s.usage.end()
	for _, st := range s.table.open {
		st.failLocked(err)
	}
	for _, st := range s.table.queue {
		st.dropReceivedLocked() // no one will read it
	}
	lanes := s.sched.lanes
	s.table.open, s.table.queue = nil, nil
	s.sched.lanes, s.sched.ring, s.sched.resend, s.sched.unsent = nil, nil, nil, nil
	for _, l := range lanes {
		l.dead = true
		s.running.Go(func() {
			if reason == nil {
				l.close()
			} else {
				l.closeWith(reason.frame())
			}
		})
	}
	s.accept.Broadcast()
	if s.dialer != nil {
		s.dialer.stop()
	}
	if s.onEnd != nil {
		s.onEnd()
	}
	close(s.done)
}

// Drain tells the other end that this session takes no new streams: open
// streams continue, and the session ends with ErrDrained after the last.
func (s *Session) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.drains {
		return
	}
	s.drainLocked()
	s.sendLocked(wireFrame{kind: kindDrain})
}

func (s *Session) drainLocked() {
	s.drains = true
	close(s.drain)
	s.armLocked(0)
}

// isDrainedLocked reports whether a draining session has nothing left to do.
func (s *Session) isDrainedLocked() bool {
	return s.drains && len(s.table.open) == 0 && len(s.sched.lanes) > 0 && s.sched.empty()
}

// Open opens a stream with a head of at most MaxHead bytes, which mean nothing here.
// The other end accepts the stream with the first bytes that are written, or once
// this end waits to read. Open does not wait for the other end. It fails when the
// session has ended (with its Err), when either end drains (ErrDraining) or when
// there are MaxStreams (ErrTooManyStreams).
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
	case s.table.ours >= MaxStreams:
		return nil, ErrTooManyStreams
	}
	st := s.addStreamLocked(s.table.number())
	st.known, st.unopened = true, true
	st.setHeadLocked(append([]byte(nil), head...))
	return st, nil
}

func (s *Session) addStreamLocked(id uint64) *Stream {
	st := newStream(s, id)
	s.usage.hold(st.base)
	s.table.open[id] = st
	return st
}

// removeStreamLocked takes a stream out that has ended in both directions.
func (s *Session) removeStreamLocked(st *Stream) {
	st.removed = true
	s.usage.hold(runCost * s.table.remove(st))
	s.usage.granted -= extra(st.window)
	st.releaseBaseLocked()
	st.countLocked()
	if s.drains && len(s.table.open) == 0 {
		s.armLocked(0)
	}
}

// announceLocked hands a stream that the other end opened to Accept. Where no one
// accepts, it is reset: streams that are over do not count in any other limit.
func (s *Session) announceLocked(st *Stream) {
	switch {
	case st.reset:
	case len(s.table.queue) >= MaxStreams:
		st.evictLocked()
	default:
		st.queuedUp = true
		s.table.queue = append(s.table.queue, st)
		s.accept.Signal()
	}
}

// Accept waits for the next stream that the other end opens. It fails when ctx
// ends or the session has.
func (s *Session) Accept(ctx context.Context) (*Stream, error) {
	defer context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accept.Broadcast()
	})()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.table.queue) == 0 {
		if s.ended {
			return nil, s.err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.accept.Wait()
	}
	st := pop(&s.table.queue)
	st.queuedUp = false
	st.releaseBaseLocked()
	return st, nil
}

func (s *Session) wakeWritersLocked() {
	for _, st := range s.table.open {
		st.canWrite.Broadcast()
	}
}

// Stats describes a session at one moment.
type Stats struct {
	// Lanes in use; 0 while the session waits to be resumed.
	Lanes int
	// Streams that are open.
	Streams int
	// RTT is the smoothed round trip.
	RTT time.Duration
	// Sent counts payload bytes of streams; Resent the bytes of them that were sent
	// again or twice.
	Sent, Resent uint64
	// Heard is when the last frame came from the other end, on any lane; zero before
	// the first.
	Heard time.Time
	// Lossy is true while the path is seen to lose packets.
	Lossy bool
}

// Stats returns the session's figures.
func (s *Session) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	lanes, _ := s.sched.inUse(now)
	return Stats{
		Lanes: lanes, Streams: len(s.table.open), RTT: s.sched.path.rtt, Lossy: s.sched.path.lossy(now),
		Sent: s.usage.sent, Resent: s.sched.resent, Heard: s.heard,
	}
}
