package forward

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	// patienceFactor is how many times the usual time of an answer a request waits
	// on a new connection before it may close an idle one.
	patienceFactor = 4
	// minPatience and maxPatience bound that time. Below, a busy machine would look
	// like a server without a free thread; above, people notice. maxPatience also
	// applies to a server that has served as many connections before.
	minPatience = 10 * time.Millisecond
	maxPatience = 250 * time.Millisecond
	// usualWeight is the weight of one answer in the average: 1/usualWeight.
	usualWeight = 8
	// minIdle is how long a connection must have been idle before it is closed for
	// another: net/http may just have given it to a request.
	minIdle = time.Millisecond
	// timerSlack is how much later than planned the timer may run. If it is later,
	// this machine is too busy to conclude that a server answers nothing.
	timerSlack = 2 * time.Millisecond
)

// connections decides when requests to a member open HTTP/1.1 connections
// (opening.go) and which idle ones are closed for them. The package comment gives
// the rules and the reasons. It is safe for concurrent use.
type connections struct {
	delays bodyDelays

	mu sync.Mutex

	open     int // connections
	accepted int // open connections that the server has accepted
	slow     int // accepted connections that have not carried an answer
	streams  int // open connections with an upgrade or an event stream
	capacity int // the most accepted at once since the server last refused or stalled
	// latestAnswered is the latest time at which the dial of a connection began
	// that has carried an answer.
	latestAnswered time.Time

	queued  queue[*dialling] // may not begin yet
	opening queue[*dialling] // have begun, and carried no answer

	waiting queue[*claim] // on a connection that has carried no answer
	closers queue[*claim] // as waiting, and have closed an idle connection

	idle  queue[*watchedConn] // have carried an answer and no request now
	spare queue[*watchedConn] // were opened and never used

	usualAnswer  time.Duration // average time to the first byte
	usualOpening time.Duration // average time to open a connection, with its TLS handshake
	lastByte     time.Time     // when the last answer began
	timer        *time.Timer   // calls update; nil before the first use
	timerAt      time.Time     // when it does; zero when it is stopped
}

// queue lists values, the one that was added first in front.
type queue[E comparable] []E

func (q *queue[E]) add(e E) { *q = append(*q, e) }

// remove reports whether e was listed. It looks from the end, where net/http takes
// idle connections.
func (q *queue[E]) remove(e E) bool {
	for i, other := range slices.Backward(*q) {
		if other == e {
			*q = slices.Delete(*q, i, i+1)
			return true
		}
	}
	return false
}

// claim is one request's need for a connection to a member. connections.mu
// guards it.
type claim struct {
	using    *watchedConn // nil before the request has a connection
	dialling *dialling    // the last for this request; nil if none
	since    time.Time    // when the request got its connection
	closed   time.Time    // when it last closed an idle connection; zero if never
	due      time.Time    // when it may close another
}

// acceptedLocked reports whether the server has accepted the connection of cl.
// Then the request is slow and does not wait for a thread.
func (cl *claim) acceptedLocked() bool { return cl.using != nil && cl.using.accepted }

// add counts c, which was just opened.
func (s *connections) add(c *watchedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	c.counted, c.dialling.conn = true, c
}

// remove forgets c, which was closed.
func (s *connections) remove(c *watchedConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(c)
}

func (s *connections) removeLocked(c *watchedConn) {
	c.listLocked(nil)
	s.opening.remove(c.dialling)
	if !c.counted {
		return
	}
	c.counted = false
	s.open--
	s.streamLocked(c, false)
	if c.accepted {
		s.accepted--
		s.slow -= boolToInt(!c.answered)
	}
}

// take notes that the attempt by uses c from now on. It reports whether c has
// carried an answer before.
func (s *connections) take(c *watchedConn, by *attempt) (answered bool) {
	s.mu.Lock()
	defer s.updateAndUnlock()
	c.occupy(by)
	c.listLocked(nil)
	cl := &by.claim
	now := time.Now()
	if took := now.Sub(cl.since); s.waitsLocked(cl) && cl.dialling == c.dialling && s.usualWaitLocked(cl, took) {
		average(&s.usualOpening, took)
	}
	s.waiting.remove(cl) // it has not been served, so another may not close one more
	s.endLocked(cl)
	cl.using, cl.since = c, now
	if !c.answered {
		s.waitLocked(cl)
	}
	return c.answered
}

// begin registers a request that waits for a new connection to be opened, or for an
// answer on one of which no more is known.
func (s *connections) begin(cl *claim) {
	s.mu.Lock()
	defer s.updateAndUnlock()
	cl.since = time.Now()
	s.waitLocked(cl)
}

func (s *connections) waitLocked(cl *claim) {
	if cl.closed.IsZero() {
		s.waiting.remove(cl) // a second dial
		s.waiting.add(cl)
	} else { // makeRoom has closed one
		s.noteClosedLocked(cl, cl.since.Add(s.patienceLocked()))
	}
}

// noteClosedLocked notes that cl has closed an idle connection. If another request
// got the benefit, cl may close one more when it has waited for twice as long.
func (s *connections) noteClosedLocked(cl *claim, now time.Time) {
	s.waiting.remove(cl)
	s.closers.remove(cl)
	cl.closed, cl.due = now, now.Add(now.Sub(cl.since))
	s.closers.add(cl)
}

// answered notes the first byte of an answer to cl.
func (s *connections) answered(cl *claim) {
	s.mu.Lock()
	defer s.updateAndUnlock()
	c := cl.using
	s.lastByte = time.Now()
	took := s.lastByte.Sub(cl.since)
	if c.answered || s.usualWaitLocked(cl, took) {
		average(&s.usualAnswer, took)
	}
	if !c.answered && c.counted {
		s.acceptLocked(c)
		c.answered = true
		s.slow--
		s.acceptEarlierLocked(c.dialled)
	}
	s.endLocked(cl)
}

func (s *connections) acceptLocked(c *watchedConn) {
	if c.counted && !c.accepted {
		c.accepted = true
		s.accepted++
		s.slow++
		s.capacity = max(s.capacity, s.accepted)
	}
}

// beginStream notes that c carries an upgrade or an event stream.
func (s *connections) beginStream(c *watchedConn) {
	s.mu.Lock()
	defer s.updateAndUnlock()
	s.opening.remove(c.dialling)
	if c.counted {
		s.streamLocked(c, true)
	}
}

func (s *connections) streamLocked(c *watchedConn, on bool) {
	s.streams += boolToInt(on) - boolToInt(c.streams)
	c.streams = on
}

// acceptEarlierLocked is called when a connection whose dial began at that time
// carries an answer. Servers accept in the order of the dials, so the server has
// accepted every connection that was open by then. Their requests are slow and
// keep no other waiting.
func (s *connections) acceptEarlierLocked(began time.Time) {
	if !began.After(s.latestAnswered) {
		return
	}
	s.latestAnswered = began
	s.opening = slices.DeleteFunc(s.opening, func(d *dialling) bool {
		earlier := d.conn != nil && d.conn.connected.Before(began)
		if earlier {
			s.acceptLocked(d.conn)
		}
		return earlier
	})
}

// usualWaitLocked reports whether cl, which has waited for took on a new
// connection, has not waited for a thread of the server as well.
func (s *connections) usualWaitLocked(cl *claim, took time.Duration) bool {
	return cl.closed.IsZero() && (took < minPatience || s.open == 1)
}

// average adds took to a moving average.
func average(of *time.Duration, took time.Duration) {
	took = min(took, maxPatience)
	*of = cmp.Or(*of, took)
	*of += (took - *of) / usualWeight
}

func (s *connections) waitsLocked(cl *claim) bool {
	return slices.Contains(s.waiting, cl) || slices.Contains(s.closers, cl)
}

// end notes that the request of cl no longer waits. Further calls do nothing.
func (s *connections) end(cl *claim) {
	s.mu.Lock()
	defer s.updateAndUnlock()
	s.endLocked(cl)
}

func (s *connections) endLocked(cl *claim) {
	if d := cl.dialling; d != nil && s.queued.remove(d) {
		d.unneeded = true
		close(d.turn)
	}
	s.closers.remove(cl)
	if s.waiting.remove(cl) {
		s.allowAnotherLocked()
	}
}

// allowAnotherLocked is called when a request stops waiting that has closed
// nothing. If another has just closed an idle connection, the server may have
// accepted this request's connection instead. Then the other may close one more.
func (s *connections) allowAnotherLocked() {
	for _, cl := range s.closers {
		if !cl.acceptedLocked() && time.Since(cl.closed) < s.patienceLocked() {
			s.closers.remove(cl)
			s.waiting = slices.Insert(s.waiting, 0, cl)
			return
		}
	}
}

// put lists c as idle after the attempt by has ended. With a nil by, c was opened
// for a request that uses another connection, and is listed as spare. It does
// nothing when another attempt uses c already.
func (s *connections) put(c *watchedConn, by *attempt) {
	s.mu.Lock()
	if c.list == nil && c.release(by) {
		s.opening.remove(c.dialling)
		c.idleSince = time.Now()
		s.streamLocked(c, false)
		switch {
		case !c.answered:
			c.listLocked(&s.spare)
		case !c.private: // one with a login is not closed for others
			c.listLocked(&s.idle)
		}
	}
	if s.sharesQueuedLocked() { // one of those gets c, and opens none
		s.mu.Unlock()
		return
	}
	s.updateAndUnlock()
}

// makeRoom closes the longest idle connection for the request of cl, which opens
// its own, unless the server is known to serve one more.
func (s *connections) makeRoom(cl *claim) {
	s.mu.Lock()
	var c *watchedConn
	for c == nil && s.open >= s.capacity && len(s.idle) > 0 {
		c = s.retireLocked(s.idle[0])
	}
	if c != nil {
		cl.closed = time.Now()
	}
	s.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
}

// forgetCapacity is called when another server may be listening.
func (s *connections) forgetCapacity() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capacity = s.accepted
}

// retireLocked removes c from the pool and returns it. It returns nil if a
// request has begun to use c.
func (s *connections) retireLocked(c *watchedConn) *watchedConn {
	c.listLocked(nil)
	if !c.retire() {
		return nil
	}
	s.removeLocked(c)
	return c
}

const never = time.Duration(1<<63 - 1)

// updateAndUnlock lets queued requests open connections, closes the idle ones that
// must go now, and sets the timer for the next change.
func (s *connections) updateAndUnlock() {
	if len(s.queued)+len(s.waiting)+len(s.closers)+len(s.spare) == 0 && s.timerAt.IsZero() {
		s.mu.Unlock() // nothing waits, as nearly always
		return
	}
	now := time.Now()
	next := s.admitLocked(now)
	closing, soon := s.closeLocked(now)
	next = min(next, soon)
	switch {
	case next == never:
		if s.timerAt = (time.Time{}); s.timer != nil {
			s.timer.Stop()
		}
	case s.timer == nil:
		s.timerAt, s.timer = now.Add(next), time.AfterFunc(next, s.update)
	default:
		s.timerAt = now.Add(next)
		s.timer.Reset(next)
	}
	s.mu.Unlock()
	for _, c := range closing {
		_ = c.Close()
	}
}

// update is called by the timer.
func (s *connections) update() {
	s.mu.Lock()
	if now := time.Now(); !s.timerAt.IsZero() && now.Sub(s.timerAt) > timerSlack {
		s.lastByte = now // an answer may be there and not read yet
	}
	s.updateAndUnlock()
}

// closeLocked removes connections from the pool for the caller to close, and
// returns when to call it again.
func (s *connections) closeLocked(now time.Time) (closing []*watchedConn, next time.Duration) {
	if s.sharesQueuedLocked() { // those get the idle connections
		return nil, never
	}
	cl, left := s.mostPressingLocked(now)
	for next = s.spareLeftLocked(now, left <= 0); next <= 0; next = s.spareLeftLocked(now, left <= 0) {
		if c := s.retireLocked(s.spare[0]); c != nil {
			closing = append(closing, c)
		}
	}
	for left <= 0 {
		if wait := untilIdle(s.idle, minIdle, now); wait > 0 {
			return closing, min(next, wait)
		}
		if s.open <= s.capacity && !cl.acceptedLocked() {
			s.capacity = 0 // it no longer serves that many
		}
		if c := s.retireLocked(s.idle[0]); c != nil {
			closing = append(closing, c)
			s.noteClosedLocked(cl, now)
		}
		cl, left = s.mostPressingLocked(now)
	}
	return closing, min(next, left)
}

// spareLeftLocked is how long the first spare connection may stay. A thread may be
// waiting for a request on it, and a server in Go waits for one before it stops.
// It was not opened in place of another, so no count limits its closing: it goes
// soon when a request is pressing, and when the server answers nothing although a
// request is in progress. A request on a connection that has carried an answer may
// wait for a thread, too, where each request gets one (gunicorn's gthread).
func (s *connections) spareLeftLocked(now time.Time, pressing bool) time.Duration {
	soon := untilIdle(s.spare, minPatience, now)
	if soon == never || pressing {
		return soon
	}
	left := untilIdle(s.spare, maxPatience, now)
	if s.open > len(s.idle)+len(s.spare) {
		left = min(left, max(soon, minPatience-now.Sub(s.lastByte)))
	}
	return left
}

// untilIdle is how long it takes until the first of q has been idle for d; never
// when q is empty.
func untilIdle(q queue[*watchedConn], d time.Duration, now time.Time) time.Duration {
	if len(q) == 0 {
		return never
	}
	return d - now.Sub(q[0].idleSince)
}

// mostPressingLocked is the request that may close an idle connection first, and
// how long it takes until it may; never when no request may.
func (s *connections) mostPressingLocked(now time.Time) (cl *claim, left time.Duration) {
	left = never
	if len(s.waiting) > 0 {
		cl = s.waiting[0]
		left = s.patienceLocked() - now.Sub(cl.since)
	}
	if len(s.closers) > 0 && left > 0 {
		first := slices.MinFunc(s.closers, func(a, b *claim) int { return a.due.Compare(b.due) })
		if again := first.due.Sub(now); again < left {
			return first, again
		}
	}
	return cl, left
}

// patienceLocked is how long a request waits on a new connection before it may
// close an idle one.
func (s *connections) patienceLocked() time.Duration {
	if s.open <= s.capacity {
		return maxPatience
	}
	return min(max(patienceFactor*(s.usualAnswer+s.usualOpening), minPatience), maxPatience)
}
