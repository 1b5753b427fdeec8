package tunnel

import "sync"

// sender is the direction of a stream that this end writes.
type sender struct {
	canWrite sync.Cond
	writeBy  deadline

	credit  uint64 // the offset that may be sent up to
	offset  uint64 // of the next byte that is written
	sent    uint64 // bytes that lanes have taken
	pending []*item
	queued  int  // bytes in pending
	unacked int  // bytes written and not acknowledged, pending ones included
	flying  int  // short items not acknowledged
	inRing  bool // of the session, to be pulled

	last     *item // the newest, which may still be added to
	unopened bool  // the frame that opens the stream waits for its first bytes
	finished bool  // the end was written
	ended    bool  // and acknowledged, though maybe not what is before it
	stopped  bool  // the other end reads no more
	gaveUp   bool  // a reset was sent
	sendOver bool  // the end, or the reset, was acknowledged
}

// Write sends p. It returns when all of it is on its way or waits for a lane:
// at most queueBytes do. It waits while the other end has given no credit.
func (st *Stream) Write(p []byte) (int, error) {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	written := 0
	enforced := false
	for {
		if err := st.writeErr(); err != nil {
			return written, err
		}
		if len(p) == 0 {
			return written, nil
		}
		if st.session.account.Over() && !enforced {
			enforced = true
			st.enforce()
			continue
		}
		enforced = false
		n := st.room(len(p))
		if n == 0 {
			st.canWrite.Wait()
			continue
		}
		st.enqueue(p[:n])
		p = p[n:]
		written += n
	}
}

// enforce frees memory, of whichever session of the budget holds most.
func (st *Stream) enforce() {
	st.session.mu.Unlock()
	defer st.session.mu.Lock()
	st.session.account.Enforce()
}

func (st *Stream) writeErr() error {
	switch {
	case st.failed != nil:
		return st.failed
	case st.closed, st.finished:
		return errClosedHere
	case st.stopped:
		return ErrStopped
	}
	return st.writeBy.err()
}

// room is how much of n bytes may be taken now: within the credit, the queue,
// one frame, and what the session keeps.
func (st *Stream) room(n int) int {
	if st.session.kept >= keptBytes && st.unacked >= shortBytes {
		return 0
	}
	left := min(st.credit-st.offset, MaxData)
	return min(n, int(left), max(queueBytes-st.queued, 0))
}

// enqueue takes at most one frame's bytes: a short message goes to a lane at
// once, what is longer waits to be pulled.
func (st *Stream) enqueue(p []byte) {
	if st.isShort(len(p)) {
		st.pushData(p, 0)
		return
	}
	st.openNow()
	for len(p) > 0 {
		it := st.tail()
		if it == nil {
			it = st.newItem(nil, MaxData)
			st.pending = append(st.pending, it)
		}
		n := min(len(p), MaxData-len(it.frame.data))
		it.frame.data = append(it.frame.data, p[:n]...)
		p = p[n:]
		st.grew(n)
		st.queued += n
	}
	st.offer()
}

// pushData sends p at once, as one frame, which opens the stream if nothing
// else has.
func (st *Stream) pushData(p []byte, flags kind) {
	it := st.newItem(p, len(p))
	it.short = true
	it.frame.kind |= flags
	if st.unopened {
		st.unopened = false
		it.frame.kind |= flagOpen
		it.frame.head = st.head
	}
	if len(p) > 0 {
		st.flying++
	}
	st.push(it)
}

// openNow sends the frame that opens the stream, should it still wait.
func (st *Stream) openNow() {
	if st.unopened {
		st.pushData(nil, 0)
	}
}

// isShort reports whether n bytes more are a short message.
func (st *Stream) isShort(n int) bool {
	return len(st.pending) == 0 && st.unacked+n <= shortBytes && st.flying < shortFrames
}

// tail is the pending item that takes more bytes, if there is one.
func (st *Stream) tail() *item {
	if n := len(st.pending); n > 0 && len(st.pending[n-1].frame.data) < MaxData {
		return st.pending[n-1]
	}
	return nil
}

// newItem is a data frame at the current offset, holding p.
func (st *Stream) newItem(p []byte, size int) *item {
	data := dataBuffer(size)[:0]
	it := &item{stream: st, frame: wireFrame{kind: kindData, stream: st.id, number: st.offset, data: append(data, p...)}}
	st.session.countItemLocked(it)
	st.grew(len(p))
	return it
}

func (st *Stream) grew(n int) {
	st.offset += uint64(n)
	st.unacked += n
	st.session.stats.Sent += uint64(n)
	st.session.kept += n
}

// push sends a short item.
func (st *Stream) push(it *item) {
	st.last = it
	st.sent += uint64(len(it.frame.data))
	st.session.pushLocked(it)
}

// offer has the lanes pull what is pending.
func (st *Stream) offer() {
	if len(st.pending) == 0 {
		return
	}
	if !st.inRing {
		st.inRing = true
		st.session.ring = append(st.session.ring, st)
	}
	st.session.pullLocked()
}

// nextPending takes the next item off the stream.
func (st *Stream) nextPending() *item {
	if len(st.pending) == 0 {
		return nil
	}
	it := st.pending[0]
	st.pending[0] = nil
	st.pending = st.pending[1:]
	st.queued -= len(it.frame.data)
	st.sent += uint64(len(it.frame.data))
	st.canWrite.Broadcast()
	return it
}

// CloseWrite ends what is sent; the other end reads io.EOF after it. Reading
// goes on.
func (st *Stream) CloseWrite() error {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	if st.failed != nil {
		return st.failed
	}
	st.finish()
	return nil
}

// finish writes the end: onto the last frame, if no lane has taken it yet.
func (st *Stream) finish() {
	if st.finished || st.gaveUp {
		return
	}
	st.finished = true
	st.canWrite.Broadcast()
	switch n := len(st.pending); {
	case n > 0:
		st.pending[n-1].frame.kind |= flagFin
		return
	case st.last != nil && !st.last.written && st.last.frame.number+uint64(len(st.last.frame.data)) == st.offset:
		st.last.frame.kind |= flagFin
		return
	}
	st.pushData(nil, flagFin)
}

// abandon drops what has not been acknowledged and tells the other end. What lies
// on lanes is not kept for another try: it would count for the session and for no
// stream, and many such streams would get the session evicted.
func (st *Stream) abandon() {
	if st.gaveUp || st.sendOver {
		return
	}
	st.gaveUp = true
	if st.unacked > 0 {
		st.session.dropSentLocked(st)
	}
	st.drop()
	st.session.pushLocked(&item{stream: st, short: true, frame: wireFrame{kind: kindReset, stream: st.id}})
}

// drop forgets what is pending. What lies on lanes arrives for nothing.
func (st *Stream) drop() {
	for _, it := range st.pending {
		it.done = true
		st.session.releaseLocked(it)
	}
	st.pending, st.queued, st.unacked = nil, 0, 0
	st.writeBy.clear()
}

// arrived is told that the other end has an item of this stream.
func (st *Stream) arrived(it *item) {
	switch {
	case it.frame.kind == kindReset:
		st.sendOver = true
	case it.frame.kind.isData() && !st.gaveUp:
		st.unacked -= len(it.frame.data)
		if st.session.kept >= keptBytes {
			st.canWrite.Broadcast()
		}
		if it.short && len(it.frame.data) > 0 {
			st.flying--
		}
		if st.endArrived(it) && st.unacked == 0 {
			st.sendOver = true
		}
	}
	if st.sendOver {
		st.writeBy.clear()
		st.settle()
	}
}

// endArrived notes that the end was acknowledged; it may be so before bytes
// that lie on a slower lane are.
func (st *Stream) endArrived(it *item) bool {
	if it.frame.kind&flagFin != 0 {
		st.ended = true
	}
	return st.ended
}

// takeCredit is told how far the other end lets the stream send.
func (st *Stream) takeCredit(upTo uint64) {
	if upTo > st.credit {
		st.credit = upTo
		st.canWrite.Broadcast()
	}
}

// takeStop is told that the other end reads no more.
func (st *Stream) takeStop() {
	st.stopped = true
	if !st.sendOver {
		st.abandon()
	}
	st.settle()
}
