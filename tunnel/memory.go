package tunnel

import "github.com/devproxy/devproxy/tunnel/budget"

// The memory that a session makes this end hold is counted in an account of
// Config.Budget or Acceptor.Budget: bytes that came and were not read, bytes
// that were sent and not acknowledged, and a cost for each stream and frame.
// The budget evicts: first the stream that holds the most, and the session when
// no stream holds much.

const (
	// ownMemory bounds a session that is given no budget, in bytes.
	ownMemory = 256 << 20
	// sessionCost is the cost of a session without streams and lanes, in bytes.
	sessionCost = 8 << 10
	// streamCost is the cost of a stream in addition to its head and its bytes.
	streamCost = 2 << 10
	// itemCost is the cost of a sent frame in addition to its bytes, until it is
	// acknowledged.
	itemCost = 256
	// pieceCost is the cost of a received frame in addition to its bytes, until it is
	// read.
	pieceCost = 64
	// runCost is the cost of a gap between the numbers of closed streams.
	runCost = 16
	// evictLeast is the least that a stream holds to be evicted alone. Where no
	// stream holds that much, the session is evicted.
	evictLeast = 4 << 10
	// tightWindow is how far the credit of a stream is kept ahead of its reader
	// while its session's account is tight, in bytes: the same as on a new
	// stream. With less, eight visitors that stop reading would slow a ninth, whose
	// stream holds nothing, to a window for each round trip.
	tightWindow = FirstCredit
)

// errMemory ends a session that holds too much.
var errMemory = &Refusal{CodeBusy, "the session holds too much memory at the other end; try again"}

// usage counts the bytes that a session holds and has carried.
type usage struct {
	account *budget.Account // of everything that the session holds
	held    int             // in account, except unread
	unread  int             // in account: received frames that were not read, with their cost
	granted int             // credit beyond FirstCredit, over all streams
	kept    int             // bytes written that are not acknowledged
	onRoom  func()          // called when kept falls below keptBytes
	ended   bool

	sent uint64 // payload bytes of streams
}

// hold counts n bytes that are held until the session ends, or fewer.
func (u *usage) hold(n int) {
	if !u.ended {
		u.held += n
		u.account.Add(n)
	}
}

// end frees everything that an ended session no longer holds. Bytes that have come
// can still be read.
func (u *usage) end() {
	u.ended = true
	u.account.Add(-u.held)
	u.held = 0
	u.account.Close()
}

// charge counts a frame that is to be sent, once.
func (u *usage) charge(it *item) {
	if it.charged == 0 {
		it.charged = itemCost + cap(it.frame.data)
		u.hold(it.charged)
	}
}

// release frees the bytes of an item that need not be kept any more, and counts the
// item until no lane refers to it.
func (u *usage) release(it *item) {
	if !it.done {
		return
	}
	if it.frame.data != nil {
		full := u.kept >= keptBytes
		if u.kept -= len(it.frame.data); full && u.kept < keptBytes {
			u.onRoom()
		}
		u.hold(-cap(it.frame.data))
		it.charged -= cap(it.frame.data)
		freeData(it.frame.data)
		it.frame.data = nil
	}
	if it.copies == 0 {
		u.hold(-it.charged)
		it.charged = 0
	}
}

// countLocked counts the received bytes that the stream holds now.
func (st *Stream) countLocked() {
	n := st.cost - st.counted
	st.counted = st.cost
	st.usage.unread += n
	st.usage.account.Add(n)
	switch {
	case !st.removed:
	case st.cost == 0:
		delete(st.session.table.left, st)
	default:
		st.session.table.left[st] = struct{}{} // for evict to find
	}
}

// Hold counts n more bytes that the stream's user keeps for it, or fewer if n is
// negative, until the user calls Close or Reset. They count like received bytes: the
// stream that holds the most is reset when memory is short, and counts nothing from
// then on.
func (st *Stream) Hold(n int) {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	if n = max(n, -st.owned); st.closed || st.reset || n == 0 {
		return
	}
	st.owned += n
	st.cost += n
	st.countLocked()
}

// releaseBaseLocked counts that the stream itself is not held any more.
func (st *Stream) releaseBaseLocked() {
	if st.removed && !st.queuedUp {
		st.usage.hold(-st.base)
		st.base = 0
	}
}

// weight returns how many bytes the stream would free if it was evicted.
func (st *Stream) weight() int {
	if st.reset {
		return st.unacked // its user has seen the reset
	}
	return st.cost + st.unacked
}

// evict is called by the budget when the session holds most.
func (s *Session) evict() (whole bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.table.heaviest(); st != nil && st.weight() >= evictLeast {
		s.log.Debug("stream reset for its memory", "stream", st.id, "bytes", st.weight())
		st.evictLocked()
		return false
	}
	s.endLocked(errMemory, errMemory)
	for st := range s.table.left {
		st.evictLocked()
	}
	return true
}
