package forward

import (
	"container/list"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// roomPatience is how long a server answers nothing, on no connection, before
	// requests on new connections may close idle ones. A server that is busy but
	// not short of threads answers something meanwhile, and nothing is closed.
	roomPatience = 4 * time.Millisecond
	// roomLate is by how much a timer may be late. When it is later, this machine
	// was too busy to see the answers that came.
	roomLate = 2 * time.Millisecond
	// roomBusy is how long everything that is ready to run may take. When it takes
	// longer, answers that have come may not have been read.
	roomBusy = 500 * time.Microsecond
	// roomIdle is how long a connection must have been idle before a waiting
	// request may close it. Connections that requests use one after the other are
	// not idle for that long, so only those that are left over are closed.
	roomIdle = time.Millisecond
	// roomStarved is how long a request waits before it may close a connection
	// in the moment in which it becomes idle: others would use it for ever.
	roomStarved = 250 * time.Millisecond
	// roomServed is how long a request waits before it may close a connection
	// although the server seems to have accepted its own: the server may be several
	// processes that accept each for itself (SO_REUSEPORT).
	roomServed = time.Second
)

// connections decides which idle HTTP/1.1 connections of a member are closed to
// make room for a request that waits on a new one; the package comment says why.
// Each such request may close one. It is safe for concurrent use.
type connections struct {
	mu      sync.Mutex
	idle    list.List // of *watchedConn, longest idle first
	surplus list.List // of *watchedConn that were dialled and never used, oldest first
	waiting list.List // of *wait that have closed nothing yet, oldest first
	served  list.List // of *wait as those, whose connection the server has accepted
	spent   list.List // of *wait that have closed one, oldest first
	done    list.List // of *wait that have closed one, and whose connection the server has accepted
	// accepted is the latest beginning of a dial whose connection has carried an
	// answer. Servers accept in the order of the dials, so all connections that
	// were open by then are accepted, too.
	accepted time.Time
	timer    *time.Timer  // runs when the next connection may be closed; nil before the first
	due      time.Time    // of timer; zero when it does not run
	moved    atomic.Int64 // Unix nanoseconds when the server answered last, on any connection
}

// wait is a request on a new connection that has got no byte of an answer.
type wait struct {
	since   time.Time
	conn    *watchedConn
	spentAt time.Time     // when it closed a connection; zero when it has not
	list    *list.List    // waiting, served, spent or done
	place   *list.Element // in list; nil when it has ended
}

func (w *wait) move(to *list.List) {
	if w.place != nil {
		w.list.Remove(w.place)
	}
	w.list, w.place = to, to.PushBack(w)
}

// begin registers a request on the new connection c. end must be called when the
// answer begins, or the attempt has failed.
func (s *connections) begin(c *watchedConn) *wait {
	s.mu.Lock()
	now := time.Now()
	w := &wait{since: now, conn: c}
	w.move(&s.waiting)
	closing := s.settleLocked(now, false)
	s.mu.Unlock()
	closeAll(closing)
	return w
}

// end removes w, which is answered or has failed; a nil w and further calls do
// nothing. Servers may answer in
// another order than ours: when w is answered after an earlier request has closed
// a connection, w was helped by that, and the earlier request may close another.
func (s *connections) end(w *wait, answered bool) {
	if w == nil {
		return
	}
	s.mu.Lock()
	now := time.Now()
	if w.place == nil {
		s.mu.Unlock()
		return
	}
	w.list.Remove(w.place)
	w.place = nil
	if w.spentAt.IsZero() {
		s.passOnLocked(w)
	}
	if answered {
		s.noteAnswerLocked(w)
	}
	closing := s.settleLocked(now, false)
	s.mu.Unlock()
	closeAll(closing)
}

func (s *connections) passOnLocked(w *wait) {
	for at := s.spent.Front(); at != nil; at = at.Next() {
		if other := at.Value.(*wait); other.spentAt.After(w.since) {
			other.spentAt = time.Time{}
			other.list.Remove(at)
			other.list, other.place = &s.waiting, s.waiting.PushFront(other)
			return
		}
	}
}

// noteAnswer says that the server has begun to answer on some connection.
func (s *connections) noteAnswer() { s.moved.Store(time.Now().UnixNano()) }

func (s *connections) noteAnswerLocked(w *wait) {
	if w.conn.dialled.After(s.accepted) {
		s.accepted = w.conn.dialled
	}
	s.moveAcceptedLocked(&s.waiting, &s.served)
	s.moveAcceptedLocked(&s.spent, &s.done)
}

func (s *connections) moveAcceptedLocked(from, to *list.List) {
	for from.Len() > 0 {
		w := from.Front().Value.(*wait)
		if w.conn.connected.After(s.accepted) {
			return
		}
		w.move(to)
	}
}

// put lists c as idle after its attempt by has ended, or when it was dialled for
// an attempt that uses another connection: then by is nil. When another attempt
// uses c already, nothing happens.
func (s *connections) put(c *watchedConn, by *attempt) {
	s.mu.Lock()
	if c.place != nil || !c.release(by) {
		s.mu.Unlock()
		return
	}
	now := time.Now()
	if c.idleSince, c.list = now, &s.idle; by == nil {
		c.list = &s.surplus
	}
	c.place = c.list.PushBack(c)
	closing := s.settleLocked(now, false)
	s.mu.Unlock()
	closeAll(closing)
}

// take says that by uses c from now on.
func (s *connections) take(c *watchedConn, by *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.occupy(by)
	s.unlistLocked(c)
}

// remove forgets c, which was closed.
func (s *connections) remove(c *watchedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlistLocked(c)
}

func (s *connections) unlistLocked(c *watchedConn) {
	if c.place != nil {
		c.list.Remove(c.place)
		c.place = nil
	}
}

// makeRoom closes the connection that is idle for longest, if there is one.
func (s *connections) makeRoom() {
	s.mu.Lock()
	var c *watchedConn
	for c == nil && s.idle.Len() > 0 {
		c = s.retireLocked(&s.idle)
	}
	s.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
}

// retireLocked takes the connection that is longest in from out of use. It
// returns nil when a request has begun to use it.
func (s *connections) retireLocked(from *list.List) *watchedConn {
	c := from.Front().Value.(*watchedConn)
	s.unlistLocked(c)
	if !c.retire() {
		return nil
	}
	return c
}

// settleLocked returns the connections that are to be closed now, and sets the
// timer for the next. Only the timer knows that nothing was answered meanwhile:
// without it, those are closed that a starved request waits for.
func (s *connections) settleLocked(now time.Time, timed bool) (closing []*watchedConn) {
	// Each list has its most pressing request in front.
	next := never
	for _, list := range []*list.List{&s.waiting, &s.served} {
		for list.Len() > 0 && s.idle.Len() > 0 {
			w := list.Front().Value.(*wait)
			if left := s.roomLeftLocked(w, s.idle.Front().Value.(*watchedConn), now); left > 0 || !timed && left == 0 {
				next = min(next, left)
				break
			}
			if c := s.retireLocked(&s.idle); c != nil {
				closing = append(closing, c)
				w.spentAt = now
				w.move(&s.spent)
			}
		}
	}
	// A surplus connection was dialled for a request that had closed nothing for
	// it, so whoever waits may close it.
	for _, list := range []*list.List{&s.waiting, &s.spent} {
		for list.Len() > 0 && s.surplus.Len() > 0 {
			c := s.surplus.Front().Value.(*watchedConn)
			left := s.roomLeftLocked(list.Front().Value.(*wait), c, now)
			if left < 0 {
				left = max(roomStarved-now.Sub(c.idleSince), 0)
			}
			if left > 0 || !timed && left == 0 {
				next = min(next, left)
				break
			}
			if c := s.retireLocked(&s.surplus); c != nil {
				closing = append(closing, c)
			}
		}
	}
	s.wakeIn(next, now)
	return closing
}

const never = time.Duration(1<<63 - 1)

// roomLeftLocked is how long it takes until w may close c: negative when w has
// waited for so long that it need not be asked whether the server answers others.
func (s *connections) roomLeftLocked(w *wait, c *watchedConn, now time.Time) time.Duration {
	waited := now.Sub(w.since)
	switch {
	case w.list == &s.served:
		return max(roomServed-waited, 0)
	case waited >= roomStarved:
		return -1
	}
	stalled := min(waited, time.Duration(now.UnixNano()-s.moved.Load()))
	return max(roomPatience-stalled, roomIdle-now.Sub(c.idleSince), 0)
}

func (s *connections) wakeIn(d time.Duration, now time.Time) {
	switch {
	case d == never:
		if s.due = (time.Time{}); s.timer != nil {
			s.timer.Stop()
		}
		return
	case !s.due.IsZero():
		return // it runs already, and looks again then
	case s.timer == nil:
		s.timer = time.AfterFunc(d, s.wake)
	default:
		s.timer.Reset(d)
	}
	s.due = now.Add(d)
}

func (s *connections) wake() {
	start := time.Now()
	for range 2 {
		runtime.Gosched() // whoever has an answer to read comes first
	}
	s.mu.Lock()
	now := time.Now()
	if now.Sub(start) > roomBusy || !s.due.IsZero() && now.Sub(s.due) > roomLate {
		s.moved.Store(now.UnixNano())
	}
	s.due = time.Time{}
	closing := s.settleLocked(now, true)
	s.mu.Unlock()
	closeAll(closing)
}

func closeAll(conns []*watchedConn) {
	for _, c := range conns {
		_ = c.Close()
	}
}
