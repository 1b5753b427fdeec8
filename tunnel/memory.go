package tunnel

import (
	"net"

	"github.com/devproxy/devproxy/tunnel/budget"
)

// What a session makes this end hold is counted in an account of
// Config.Budget or Acceptor.Budget: what came and was not read, what was sent
// and not acknowledged, and what streams and frames cost besides their bytes.
// The budget evicts: first the stream that holds most, and the session when no
// stream holds much.

const (
	// ownMemory bounds a session that is given no budget, in bytes.
	ownMemory = 256 << 20
	// sessionCost is what a session costs without streams and lanes, in bytes.
	sessionCost = 8 << 10
	// streamCost is what a stream costs besides its head and its bytes.
	streamCost = 2 << 10
	// itemCost is what a frame that is sent costs besides its bytes, until it
	// is acknowledged.
	itemCost = 256
	// pieceCost is what a frame that came costs besides its bytes, until it is
	// read.
	pieceCost = 64
	// runCost is what a gap between the numbers of closed streams costs.
	runCost = 16
	// shedLeast is the least that a stream holds to be evicted alone. Where no
	// stream holds that much, the session is evicted.
	shedLeast = 4 << 10
	// tightWindow is how far the credit of a stream is kept ahead of what was
	// read while its session's account is tight, in bytes: what a new stream
	// has. With less, eight visitors that stop reading would slow a ninth, whose
	// stream holds nothing, to a window for each round trip.
	tightWindow = FirstCredit
)

// errMemory ends a session that holds too much.
var errMemory = &Refusal{CodeBusy, "the session holds too much memory at the other end; try again"}

// openAccount counts the session in b; nil is a budget of its own.
func (s *Session) openAccount(b *budget.Budget, from net.Addr) {
	if b == nil {
		b = budget.New(budget.Limits{Total: ownMemory})
	}
	s.account = b.Open(budget.Owner{Address: budget.Network(from), Key: string(s.key)}, s.evict)
	s.holdLocked(sessionCost) // nobody else knows the session yet
}

// holdLocked counts n bytes that end with the session: all but unread ones.
func (s *Session) holdLocked(n int) {
	if !s.ended {
		s.held += n
		s.account.Add(n)
	}
}

// endAccountLocked counts what an ended session no longer holds. What has come
// on streams can still be read.
func (s *Session) endAccountLocked() {
	s.account.Add(-s.held)
	s.held = 0
	s.account.Close()
}

// charge counts n bytes that came on the stream, or are no longer held.
func (st *Stream) charge(n int) {
	s := st.session
	st.cost += n
	s.unread += n
	s.account.Add(n)
	if st.cost == 0 {
		delete(s.left, st)
	}
}

// Hold counts n bytes that the stream's user holds for it, until that calls
// Close or Reset. They count like bytes that came on it: the stream that holds
// most is reset when memory is short, and counts nothing from then on.
func (st *Stream) Hold(n int) {
	s := st.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.closed || st.reset || n <= 0 {
		return
	}
	if st.cost == 0 && s.streams[st.id] != st {
		s.left[st] = struct{}{} // over already, and to be found by evict
	}
	st.owned += n
	st.charge(n)
}

// dropOwned counts that the stream's user is done with it.
func (st *Stream) dropOwned() {
	owned := st.owned
	st.owned = 0
	st.charge(-owned)
}

// dropBase counts that the stream itself is held no longer.
func (st *Stream) dropBase() {
	if st.forgotten && !st.queuedUp {
		st.session.holdLocked(-st.base)
		st.base = 0
	}
}

// weight is what the stream holds and would give up, in bytes.
func (st *Stream) weight() int {
	if st.reset {
		return st.unacked // its user has been told
	}
	return st.cost + st.unacked
}

// evict is called by the budget when the session holds most.
func (s *Session) evict() (whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := s.heaviestLocked(); most != nil && most.weight() >= shedLeast {
		s.log.Debug("stream reset for its memory", "stream", most.id, "bytes", most.weight())
		most.shed()
		return false
	}
	s.endLocked(errMemory, errMemory)
	for st := range s.left {
		st.shed()
	}
	return true
}

// heaviestLocked is the stream that holds most; nil when there is none.
func (s *Session) heaviestLocked() *Stream {
	var most *Stream
	heavier := func(st *Stream) {
		if most == nil || st.weight() > most.weight() {
			most = st
		}
	}
	for _, st := range s.streams {
		heavier(st)
	}
	for st := range s.left {
		heavier(st)
	}
	return most
}

// shed gives the stream up at both ends, with everything that it holds. What
// its user holds counts no longer: it is about to go, and nobody else should be
// evicted in its place.
func (st *Stream) shed() {
	st.reset = true
	st.dropOwned()
	if st.failed != nil {
		st.dropReceived()
		st.canRead.Broadcast()
		return
	}
	st.stopped = true
	st.abandon()
	st.stopReading()
	st.settle()
}

// dropSentLocked frees the bytes of a stream that was given up, also those of
// frames that are not acknowledged: they are not sent again.
func (s *Session) dropSentLocked(st *Stream) {
	drop := func(it *item) {
		if it.stream == st && it.frame.kind.isData() && !it.done {
			it.done = true
			s.releaseLocked(it)
		}
	}
	for _, l := range s.lanes {
		for _, fl := range l.flights {
			drop(fl.item)
		}
		for _, it := range l.queue {
			drop(it)
		}
	}
	for _, it := range s.resend {
		drop(it)
	}
	for _, it := range s.orphans {
		drop(it)
	}
}

// countItemLocked counts a frame that is to be sent, once.
func (s *Session) countItemLocked(it *item) {
	if it.charged == 0 {
		it.charged = itemCost + cap(it.frame.data)
		s.holdLocked(it.charged)
	}
}

// releaseLocked frees the bytes of an item that need to be kept no longer, and
// counts the item until no lane refers to it.
func (s *Session) releaseLocked(it *item) {
	if !it.done {
		return
	}
	if it.frame.data != nil {
		s.keepLessLocked(len(it.frame.data))
		s.holdLocked(-cap(it.frame.data))
		it.charged -= cap(it.frame.data)
		freeData(it.frame.data)
		it.frame.data = nil
	}
	if it.copies == 0 {
		s.holdLocked(-it.charged)
		it.charged = 0
	}
}

// keepLessLocked notes that n bytes need to be kept no longer.
func (s *Session) keepLessLocked(n int) {
	full := s.kept >= keptBytes
	s.kept -= n
	if full && s.kept < keptBytes {
		for _, st := range s.streams {
			st.canWrite.Broadcast()
		}
	}
}

// extra is what a window counts for in the session's growth.
func extra(window int) int { return max(window-FirstCredit, 0) }

// setWindow changes how far the stream's credit is kept ahead of what was read.
func (st *Stream) setWindow(n int) {
	st.session.granted += extra(n) - extra(st.window)
	st.window = n
}
