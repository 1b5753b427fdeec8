package tunnel

import "sync"

// sender is the direction of a stream that this end writes.
type sender struct {
	stream   *Stream
	sched    *scheduler
	usage    *usage
	canWrite sync.Cond
	writeBy  deadline

	credit  uint64 // the offset that may be sent up to
	offset  uint64 // of the next byte that is written
	pending []*item
	queued  int  // bytes in pending
	unacked int  // bytes written and not acknowledged, pending ones included
	flying  int  // short items not acknowledged
	inRing  bool // of the scheduler, to be pulled

	newest   *item // which may still be added to
	unopened bool  // the frame that opens the stream waits for its first bytes
	finished bool  // the end was written
	ended    bool  // and acknowledged, though maybe not all bytes before it
	stopped  bool  // the other end reads no more
	gaveUp   bool  // a reset was sent
	sendOver bool  // the end, or the reset, was acknowledged
}

// Write sends p. It returns when all of it is sent or waits for a lane: at most
// queueBytes wait. It waits while the other end has given no credit.
func (st *Stream) Write(p []byte) (int, error) {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	for written := 0; ; {
		if len(p) > 0 && st.usage.account.Over() {
			st.enforceLocked()
		}
		if err := st.writeErrLocked(); err != nil {
			return written, err
		}
		if len(p) == 0 {
			return written, nil
		}
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

func (st *Stream) writeErrLocked() error {
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

// enforceLocked frees memory, of the session of the budget that holds the most.
// It unlocks the session meanwhile.
func (st *Stream) enforceLocked() {
	st.session.mu.Unlock()
	defer st.session.mu.Lock()
	st.usage.account.Enforce()
}

// CloseWrite ends the direction that this end writes; the other end reads
// io.EOF after the last byte. Reading continues.
func (st *Stream) CloseWrite() error {
	st.session.mu.Lock()
	defer st.session.mu.Unlock()
	if st.failed != nil {
		return st.failed
	}
	st.finish()
	return nil
}

// room returns how many of n bytes may be taken now: within the credit, the queue,
// one frame, and the bytes that the session keeps.
func (out *sender) room(n int) int {
	if out.usage.kept >= keptBytes && out.unacked >= shortBytes {
		return 0
	}
	left := min(out.credit-out.offset, MaxData)
	return min(n, int(left), max(queueBytes-out.queued, 0))
}

// enqueue takes at most one frame's bytes: a short message goes to a lane at
// once, a longer one waits to be pulled.
func (out *sender) enqueue(p []byte) {
	if out.isShort(len(p)) {
		out.pushData(p, 0)
		return
	}
	out.open()
	for len(p) > 0 {
		it := out.tail()
		n := min(len(p), MaxData-len(it.frame.data))
		it.frame.data = append(it.frame.data, p[:n]...)
		p = p[n:]
		out.grew(n)
		out.queued += n
	}
	out.sched.offer(out)
}

// isShort reports whether n bytes more are a short message.
func (out *sender) isShort(n int) bool {
	return len(out.pending) == 0 && out.unacked+n <= shortBytes && out.flying < shortFrames
}

// pushData sends p at once, as one frame, which opens the stream if nothing
// else has.
func (out *sender) pushData(p []byte, flags kind) {
	it := out.newItem(p, len(p))
	it.short = true
	it.frame.kind |= flags
	if out.unopened {
		out.unopened = false
		it.frame.kind |= flagOpen
		it.frame.head = out.stream.head
	}
	if len(p) > 0 {
		out.flying++
	}
	out.newest = it
	out.sched.push(it)
}

// pushControl sends a frame of the stream without bytes.
func (out *sender) pushControl(k kind, number uint64) {
	out.sched.push(&item{stream: out.stream, short: true, frame: wireFrame{kind: k, stream: out.stream.id, number: number}})
}

// open sends the frame that opens the stream, should it still wait.
func (out *sender) open() {
	if out.unopened {
		out.pushData(nil, 0)
	}
}

// tail returns the pending item that takes more bytes: the last, or a new one.
func (out *sender) tail() *item {
	if n := len(out.pending); n > 0 && len(out.pending[n-1].frame.data) < MaxData {
		return out.pending[n-1]
	}
	it := out.newItem(nil, MaxData)
	out.pending = append(out.pending, it)
	return it
}

// newItem returns a data frame at the current offset, with the bytes of p.
func (out *sender) newItem(p []byte, size int) *item {
	data := append(dataBuffer(size)[:0], p...)
	it := &item{stream: out.stream, frame: wireFrame{kind: kindData, stream: out.stream.id, number: out.offset, data: data}}
	out.usage.charge(it)
	out.grew(len(p))
	return it
}

func (out *sender) grew(n int) {
	out.offset += uint64(n)
	out.unacked += n
	out.usage.sent += uint64(n)
	out.usage.kept += n
}

// next takes the next item off the stream.
func (out *sender) next() *item {
	if len(out.pending) == 0 {
		return nil
	}
	it := pop(&out.pending)
	out.queued -= len(it.frame.data)
	out.canWrite.Broadcast()
	return it
}

// finish writes the end: onto the last frame, if no lane has taken it yet.
func (out *sender) finish() {
	if out.finished || out.gaveUp {
		return
	}
	out.finished = true
	out.canWrite.Broadcast()
	last := out.newest
	switch n := len(out.pending); {
	case n > 0:
		out.pending[n-1].frame.kind |= flagFin
	case last != nil && !last.written && last.frame.number+uint64(len(last.frame.data)) == out.offset:
		last.frame.kind |= flagFin
	default:
		out.pushData(nil, flagFin)
	}
}

// abandon drops everything unacknowledged and tells the other end. Frames that
// lanes have are not kept for another try: they would count for the session and for
// no stream, and many such streams would get the session evicted.
func (out *sender) abandon() {
	if out.gaveUp || out.sendOver {
		return
	}
	out.gaveUp = true
	if out.unacked > 0 {
		out.sched.cancel(out.stream)
	}
	out.drop()
	out.pushControl(kindReset, 0)
}

// drop drops the pending items. Items that lanes already took still arrive, and
// are ignored.
func (out *sender) drop() {
	for _, it := range out.pending {
		it.done = true
		out.usage.release(it)
	}
	out.pending, out.queued, out.unacked = nil, 0, 0
	out.writeBy.clear()
}

// arrived notes that the other end has an item of this stream. The end may be
// acknowledged before bytes that are on a slower lane.
func (out *sender) arrived(it *item) {
	switch {
	case it.frame.kind == kindReset:
		out.sendOver = true
	case it.frame.kind.isData() && !out.gaveUp:
		out.unacked -= len(it.frame.data)
		if out.usage.kept >= keptBytes {
			out.canWrite.Broadcast()
		}
		if it.short && len(it.frame.data) > 0 {
			out.flying--
		}
		out.ended = out.ended || it.frame.kind&flagFin != 0
		out.sendOver = out.sendOver || out.ended && out.unacked == 0
	}
	if out.sendOver {
		out.writeBy.clear()
	}
}

// takeCredit notes how far the other end lets the stream send.
func (out *sender) takeCredit(upTo uint64) {
	if upTo > out.credit {
		out.credit = upTo
		out.canWrite.Broadcast()
	}
}
