package forward

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patienceFactor is how many times as long as usual a request waits for the
	// first answer on its connection before it may close an idle one.
	patienceFactor = 4
	// minPatience and maxPatience bound that. Below, a busy machine would look like
	// a server without a free thread; above, people notice. maxPatience also holds
	// for a server that has served as many connections before.
	minPatience = 10 * time.Millisecond
	maxPatience = 250 * time.Millisecond
	// usualWeight is the part of an answer's time in the average: 1/usualWeight.
	usualWeight = 8
	// minIdle is how long a connection must have been idle before it is closed for
	// another: net/http may just have given it to a request.
	minIdle = time.Millisecond

	// maxOpening is how many new connections wait for their first answers before
	// other requests rather wait for a connection to come free than open more.
	// Browsers open six to an origin, and some servers have room for few more that
	// they have not accepted: Python's for five. A connection beyond that stalls
	// for a second, until TCP sends again.
	maxOpening = 6
	// openingTime is how long a new connection makes others wait when the server
	// answers nothing.
	openingTime = 20 * time.Millisecond
	// lastingTime is the same while the server answers other requests, for example
	// during long polls.
	lastingTime = 125 * time.Millisecond
	// lateTime is by how much a timer may be late. When it is later, this machine
	// is too busy to say that a server answers nothing.
	lateTime = 2 * time.Millisecond
)

// connections decides when the requests to a member open HTTP/1.1 connections
// and which idle ones are closed for them; the package comment says why. It is
// safe for concurrent use.
type connections struct {
	late atomic.Int32 // bodies in a row that came late: see delayedack.go

	mu sync.Mutex

	open     int       // connections
	accepted int       // of them, that the server has accepted: it serves so many at once
	slow     int       // of accepted, that have carried no answer
	most     int       // accepted at any time since the server refused or stalled last
	latest   time.Time // when the dial of a connection began that has carried an answer

	gate    list.List // of *dialling that wait for their turn, oldest first
	young   list.List // of *dialling whose turn has come, oldest first
	old     list.List // of *dialling as those, openingTime ago and longer
	lasting list.List // of *dialling as those, lastingTime ago and longer

	hungry int // of gate, that take an idle connection instead

	waiting list.List // of *claim on a connection that has carried no answer, oldest first
	spent   claims    // as those, that have closed an idle connection

	idle  list.List // of *watchedConn that carry no request, longest idle first
	spare list.List // of *watchedConn that were opened and never used

	usual    time.Duration // average time to the first byte of an answer
	shaking  time.Duration // average time of a TLS handshake; 0 without TLS
	lastByte time.Time     // when the last answer began
	timer    *time.Timer   // settles again; nil before the first use
	runs     time.Time     // when timer does; zero when it does not
}

// dialling is a connection that is to be opened, up to the end of the first answer
// on it.
type dialling struct {
	conn     *watchedConn  // nil before it is open
	seat     seat          // in gate, young, old or lasting
	turn     chan struct{} // closed when it may begin, or is not needed any more
	since    time.Time     // when its turn came
	shared   bool          // its request takes an idle connection instead
	unneeded bool
}

// claim is what a request has of a member's connections; connections.mu guards it.
type claim struct {
	using    *watchedConn // nil before it has one
	dialling *dialling    // the last for this request; nil when there was none
	since    time.Time    // when it got its connection
	closed   time.Time    // when it last closed an idle connection; zero when it has not
	seat     seat         // in waiting
	due      time.Time    // when it may close another
	index    int          // in spent, from 1; 0 when it is not there
}

// claims is a heap (container/heap), the claim that is due first in front.
type claims []*claim

func (c claims) Len() int           { return len(c) }
func (c claims) Less(i, j int) bool { return c[i].due.Before(c[j].due) }
func (c claims) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].index, c[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (c *claims) Push(x any) {
	cl := x.(*claim)
	*c = append(*c, cl)
	cl.index = len(*c)
}

// Pop implements heap.Interface.
func (c *claims) Pop() any {
	last := len(*c) - 1
	cl := (*c)[last]
	(*c)[last], *c = nil, (*c)[:last]
	cl.index = 0
	return cl
}

// acceptedLocked reports that the server has accepted the connection of cl: it is
// slow, and waits for no thread.
func (cl *claim) acceptedLocked() bool { return cl.using != nil && cl.using.accepted }

// seat is a place in a list, or in none.
type seat struct {
	list *list.List
	at   *list.Element
}

func (s *seat) take(l *list.List, value any) {
	s.leave()
	s.list, s.at = l, l.PushBack(value)
}

func (s *seat) in(l *list.List) bool { return s.at != nil && s.list == l }

func (s *seat) leave() {
	if s.at != nil {
		s.list.Remove(s.at)
		s.at = nil
	}
}

// errUnneeded ends a dial whose request has got another connection meanwhile.
var errUnneeded = errors.New("another connection came free")

// admit waits until a connection may be opened for by: at once, unless maxOpening
// others have carried no answer yet. While it waits, net/http gives a shared
// request the next connection that comes free; then errUnneeded says that none is
// to be opened.
func (s *connections) admit(ctx context.Context, by *claim, shared bool) (*dialling, error) {
	d := &dialling{turn: make(chan struct{}), shared: shared}
	s.mu.Lock()
	if by.using != nil && by.using.counted {
		s.mu.Unlock()
		return nil, errUnneeded
	}
	by.dialling = d
	d.seat.take(&s.gate, d)
	s.hungry += boolToInt(shared)
	s.settleAndUnlock()
	select {
	case <-d.turn:
	case <-ctx.Done():
		s.leave(d)
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.unneeded {
		return nil, errUnneeded
	}
	return d, nil
}

// leave says that d has failed, or that its connection carries any number of
// requests.
func (s *connections) leave(d *dialling) {
	s.mu.Lock()
	defer s.settleAndUnlock()
	s.leaveLocked(d)
}

func (s *connections) leaveLocked(d *dialling) {
	if d.seat.in(&s.gate) {
		s.hungry -= boolToInt(d.shared)
	}
	d.seat.leave()
}

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
	c.seat.leave()
	c.dialling.seat.leave()
	if !c.counted {
		return
	}
	c.counted = false
	s.open--
	if c.accepted {
		s.accepted--
		s.slow -= boolToInt(!c.proven)
	}
}

// take says that the attempt by uses c from now on. It reports whether c has
// carried an answer before.
func (s *connections) take(c *watchedConn, by *attempt) (proven bool) {
	s.mu.Lock()
	defer s.settleAndUnlock()
	c.occupy(by)
	c.seat.leave()
	cl := &by.claim
	now := time.Now()
	if cl.waitsLocked() && cl.dialling == c.dialling && s.usualWaitLocked(cl, now.Sub(cl.since)) {
		average(&s.shaking, now.Sub(cl.since))
	}
	s.endLocked(cl)
	cl.using, cl.since = c, now
	if !c.proven {
		s.waitLocked(cl)
	}
	return c.proven
}

// begin registers a request on a new connection whose TLS handshake is to come, or
// that nothing else is known of.
func (s *connections) begin(cl *claim) {
	s.mu.Lock()
	defer s.settleAndUnlock()
	cl.since = time.Now()
	s.waitLocked(cl)
}

func (s *connections) waitLocked(cl *claim) {
	if cl.closed.IsZero() {
		cl.seat.take(&s.waiting, cl)
	} else { // before it opened its connection
		s.spendLocked(cl, cl.since.Add(s.patienceLocked()))
	}
}

// spendLocked says that cl has closed an idle connection. Should something else
// have had the use of that, cl may close another when it has waited for twice as long.
func (s *connections) spendLocked(cl *claim, now time.Time) {
	cl.seat.leave()
	cl.closed = now
	cl.due = now.Add(now.Sub(cl.since))
	heap.Push(&s.spent, cl)
}

// answered says that the first byte of an answer has come to cl.
func (s *connections) answered(cl *claim) {
	s.mu.Lock()
	defer s.settleAndUnlock()
	c := cl.using
	s.lastByte = time.Now()
	took := s.lastByte.Sub(cl.since)
	if c.proven || s.usualWaitLocked(cl, took) {
		average(&s.usual, took)
	}
	if !c.proven && c.counted {
		s.acceptLocked(c)
		c.proven = true
		s.slow--
		s.acceptEarlierLocked(c.dialled)
	}
	s.endLocked(cl)
}

func (s *connections) acceptLocked(c *watchedConn) {
	if c != nil && c.counted && !c.accepted {
		c.accepted = true
		s.accepted++
		s.slow++
		s.most = max(s.most, s.accepted)
	}
}

// acceptEarlierLocked is called when a connection whose dial began at that time
// carries an answer. Servers accept in the order of the dials, so all connections
// that were open by then are accepted, and their requests are slow: they keep no
// other waiting.
func (s *connections) acceptEarlierLocked(began time.Time) {
	if !began.After(s.latest) {
		return
	}
	s.latest = began
	for _, l := range []*list.List{&s.young, &s.old, &s.lasting} {
		for at := l.Front(); at != nil; {
			d := at.Value.(*dialling)
			at = at.Next()
			if d.conn != nil && d.conn.connected.Before(began) {
				d.seat.leave()
				s.acceptLocked(d.conn)
			}
		}
	}
}

// usualWaitLocked reports that cl, which has waited for took on a new connection,
// has not waited for a thread of the server, too.
func (s *connections) usualWaitLocked(cl *claim, took time.Duration) bool {
	return cl.closed.IsZero() && (took < minPatience || s.open == 1)
}

// average makes took a part of the average.
func average(of *time.Duration, took time.Duration) {
	took = min(took, maxPatience)
	if *of == 0 {
		*of = took
	}
	*of += (took - *of) / usualWeight
}

// waitsLocked reports whether cl is in waiting or spent.
func (c *claim) waitsLocked() bool { return c.seat.at != nil || c.index > 0 }

// end says that the request of cl waits no longer. Further calls do nothing.
func (s *connections) end(cl *claim) {
	s.mu.Lock()
	defer s.settleAndUnlock()
	s.endLocked(cl)
}

func (s *connections) endLocked(cl *claim) {
	if d := cl.dialling; d != nil && d.seat.in(&s.gate) {
		s.leaveLocked(d)
		d.unneeded = true
		close(d.turn)
	}
	if cl.index > 0 {
		heap.Remove(&s.spent, cl.index-1)
	}
	if cl.seat.at != nil {
		cl.seat.leave()
		s.giveBackLocked()
	}
}

// giveBackLocked is called when a request ends that has closed nothing. When
// another has closed an idle connection a moment ago, its server may have accepted
// this request's connection for that. Then the other may close one more.
func (s *connections) giveBackLocked() {
	for i, cl := range s.spent {
		if !cl.acceptedLocked() && time.Since(cl.closed) < s.patienceLocked() {
			heap.Remove(&s.spent, i)
			cl.seat = seat{&s.waiting, s.waiting.PushFront(cl)}
			return
		}
	}
}

// put lists c as idle after the attempt by has ended, or, with a nil by, as spare
// when it was opened for a request that uses another. When another attempt uses c
// already, nothing happens.
func (s *connections) put(c *watchedConn, by *attempt) {
	s.mu.Lock()
	if c.seat.at == nil && c.release(by) {
		c.dialling.seat.leave()
		c.idleSince = time.Now()
		switch {
		case !c.proven:
			c.seat.take(&s.spare, c)
		case !c.private: // a login is not closed for others
			c.seat.take(&s.idle, c)
		}
	}
	if s.hungry > 0 { // one of those gets c, and opens none
		s.mu.Unlock()
		return
	}
	s.settleAndUnlock()
}

// makeRoom closes the connection that is idle for longest for the request of cl,
// which opens one of its own, unless the server is known to serve one more.
func (s *connections) makeRoom(cl *claim) {
	s.mu.Lock()
	var c *watchedConn
	for c == nil && s.open >= s.most && s.idle.Len() > 0 {
		c = s.retireLocked(&s.idle)
	}
	if c != nil {
		cl.closed = time.Now()
	}
	s.mu.Unlock()
	if c != nil {
		_ = c.Close()
	}
}

// forgetMost says that another server may listen now.
func (s *connections) forgetMost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = s.accepted
}

// retireLocked takes the connection that is longest in from out of use. It
// returns nil when a request has begun to use it.
func (s *connections) retireLocked(from *list.List) *watchedConn {
	c := from.Front().Value.(*watchedConn)
	c.seat.leave()
	if !c.retire() {
		return nil
	}
	s.removeLocked(c)
	return c
}

// settleAndUnlock gives diallings their turn, closes what is to be closed now,
// and sets the timer for the next time.
func (s *connections) settleAndUnlock() {
	if s.gate.Len() == 0 && s.waiting.Len() == 0 && s.spent.Len() == 0 && s.spare.Len() == 0 && s.runs.IsZero() {
		s.mu.Unlock() // nothing waits, as nearly always
		return
	}
	now := time.Now()
	next := s.admitLocked(now)
	closing, soon := s.closeLocked(now)
	next = min(next, soon)
	switch {
	case next == never:
		if s.runs = (time.Time{}); s.timer != nil {
			s.timer.Stop()
		}
	case s.timer == nil:
		s.runs, s.timer = now.Add(next), time.AfterFunc(next, s.settle)
	default:
		s.runs = now.Add(next)
		s.timer.Reset(next)
	}
	s.mu.Unlock()
	for _, c := range closing {
		_ = c.Close()
	}
}

// settle is what timer calls.
func (s *connections) settle() {
	s.mu.Lock()
	if now := time.Now(); !s.runs.IsZero() && now.Sub(s.runs) > lateTime {
		s.lastByte = now // an answer may have come, and wait to be read
	}
	s.settleAndUnlock()
}

const never = time.Duration(1<<63 - 1)

// admitLocked gives diallings their turn, and returns when it is to be called
// again.
func (s *connections) admitLocked(now time.Time) time.Duration {
	for s.gate.Len() > 0 {
		age(&s.young, &s.old, now, openingTime)
		age(&s.old, &s.lasting, now, lastingTime)
		if may, next := s.mayOpenLocked(now); !may {
			return next
		}
		d := s.gate.Front().Value.(*dialling)
		s.leaveLocked(d)
		d.since = now
		d.seat.take(&s.young, d)
		close(d.turn)
	}
	return never
}

// mayOpenLocked reports whether one more connection may be opened, and when to ask
// again. When the server answers nothing for as long as two answers usually take, it
// is slow, and not busy: it is asked on twice as many connections.
func (s *connections) mayOpenLocked(now time.Time) (may bool, next time.Duration) {
	if s.open+s.young.Len() < s.most {
		return true, 0 // it has accepted more
	}
	patience := min(max(2*s.usual, openingTime), lastingTime)
	full := s.open-s.slow-s.lasting.Len() >= maxIdle // one more would be closed after one answer
	if full {
		patience = lastingTime
	}
	next = patience - now.Sub(s.lastByte)
	limit := max(maxOpening, s.slow) // a server that accepts while it works accepts as many more
	if silent := next <= 0; silent {
		may, next = s.young.Len() < max(limit, s.old.Len()), never
	} else {
		may = !full && s.young.Len()+s.old.Len() < limit
	}
	return may, min(next, untilAge(&s.young, now, openingTime), untilAge(&s.old, now, lastingTime))
}

// age moves those whose turn came at least limit ago.
func age(from, to *list.List, now time.Time, limit time.Duration) {
	for from.Len() > 0 && now.Sub(from.Front().Value.(*dialling).since) >= limit {
		d := from.Front().Value.(*dialling)
		d.seat.take(to, d)
	}
}

// untilAge is how long it takes until age moves the first of l; never when l is
// empty.
func untilAge(l *list.List, now time.Time, limit time.Duration) time.Duration {
	if l.Len() == 0 {
		return never
	}
	return limit - now.Sub(l.Front().Value.(*dialling).since)
}

// closeLocked takes the connections out of use that the caller closes, and returns
// when it is to be called again.
func (s *connections) closeLocked(now time.Time) (closing []*watchedConn, next time.Duration) {
	if s.hungry > 0 { // those get what is idle
		return nil, never
	}
	cl, left := s.pressingLocked(now)
	for next = s.spareLeftLocked(now, left <= 0); next <= 0; next = s.spareLeftLocked(now, left <= 0) {
		if c := s.retireLocked(&s.spare); c != nil {
			closing = append(closing, c)
		}
	}
	for left <= 0 {
		if wait := untilIdle(&s.idle, minIdle, now); wait > 0 {
			return closing, min(next, wait)
		}
		if s.open <= s.most && !cl.acceptedLocked() {
			s.most = 0 // it serves so many no longer
		}
		if c := s.retireLocked(&s.idle); c != nil {
			closing = append(closing, c)
			if cl.index > 0 {
				heap.Remove(&s.spent, cl.index-1)
			}
			s.spendLocked(cl, now)
		}
		cl, left = s.pressingLocked(now)
	}
	return closing, min(next, left)
}

// spareLeftLocked is how long the first spare connection may stay. A thread may wait
// for a request on it, and a server in Go waits for one before it stops. Nothing
// was closed for it, so it is closed without a count: soon when a request is
// pressing, and when the server answers nothing although a request is under way.
// One on a connection that has carried an answer may wait for a thread, too, where
// the server gives a thread to each request (gunicorn's gthread).
func (s *connections) spareLeftLocked(now time.Time, pressing bool) time.Duration {
	soon := untilIdle(&s.spare, minPatience, now)
	switch {
	case soon == never || pressing:
		return soon
	case s.open > s.idle.Len()+s.spare.Len():
		soon = max(soon, minPatience-now.Sub(s.lastByte))
		return min(soon, untilIdle(&s.spare, maxPatience, now))
	}
	return untilIdle(&s.spare, maxPatience, now)
}

// untilIdle is how long it takes until the first of l is idle for d; never when l
// is empty.
func untilIdle(l *list.List, d time.Duration, now time.Time) time.Duration {
	if l.Len() == 0 {
		return never
	}
	return d - now.Sub(l.Front().Value.(*watchedConn).idleSince)
}

// pressingLocked is the request that may close an idle connection first, and how
// long it takes until it may; never when there is none.
func (s *connections) pressingLocked(now time.Time) (cl *claim, left time.Duration) {
	left = never
	if first := s.waiting.Front(); first != nil {
		cl = first.Value.(*claim)
		left = s.patienceLocked() - now.Sub(cl.since)
	}
	if s.spent.Len() > 0 && left > 0 {
		if again := s.spent[0].due.Sub(now); again < left {
			return s.spent[0], again
		}
	}
	return cl, left
}

// patienceLocked is how long a request waits on a new connection before it may
// close an idle one.
func (s *connections) patienceLocked() time.Duration {
	if s.open <= s.most {
		return maxPatience
	}
	return min(max(patienceFactor*(s.usual+s.shaking), minPatience), maxPatience)
}
