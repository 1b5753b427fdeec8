package tunnel

import (
	"cmp"
	"math/bits"
	"slices"
	"time"
)

// scheduler decides which lane carries which frame, and when a frame is sent again.
// Short items are pushed: each goes to the lane that will deliver it first. Pieces of
// long messages are pulled: a lane with nothing else to do takes the next.
//
// A scheduler starts nothing itself: wake has a lane call fill until that returns
// nothing.
type scheduler struct {
	lanes  []*lane   // that work, oldest first
	ring   []*sender // with bytes for any lane, in turn
	resend []*item   // long items to send again, over any lane
	unsent []*item   // short items, while no lane can take them
	least  bool      // the last turn was that of the stream that has sent the least

	path    path
	rate    rate
	counted time.Time // when the kernel was last asked for its losses
	usage   *usage
	wake    func(*lane)
	resent  uint64 // payload bytes that were sent again or twice
}

// lane returns the lane with this number; nil if it has been removed.
func (q *scheduler) lane(number uint64) *lane {
	i := slices.IndexFunc(q.lanes, func(l *lane) bool { return uint64(l.number) == number })
	if i < 0 {
		return nil
	}
	return q.lanes[i]
}

// push gives a short item to the lane that will deliver it first, and on a path
// with losses to a second one: then a lost packet does not cost a timeout.
func (q *scheduler) push(it *item) {
	q.usage.charge(it)
	now := time.Now()
	best := q.best(nil, now)
	if best == nil {
		q.unsent = append(q.unsent, it)
		return
	}
	q.enqueue(best, it)
	if it.size() <= hedgeBytes && q.path.lossy(now) {
		if second := q.best(best, now); second != nil && second.unacked < shortBytes {
			q.again(it)
			q.enqueue(second, it)
		}
	}
}

func (q *scheduler) enqueue(l *lane, it *item) {
	l.load(it)
	l.queue = append(l.queue, it)
	q.kick(l)
}

// again counts an item that is sent once more.
func (q *scheduler) again(it *item) { q.resent += uint64(len(it.frame.data)) }

// kick starts a lane that does not write.
func (q *scheduler) kick(l *lane) {
	if !l.writing && !l.dead {
		l.writing = true
		q.wake(l)
	}
}

// pick returns, of the eligible lanes, the one that is better than all others; nil
// without an eligible lane.
func (q *scheduler) pick(eligible func(*lane) bool, better func(a, b *lane) bool) (best *lane) {
	for _, l := range q.lanes {
		if eligible(l) && (best == nil || better(l, best)) {
			best = l
		}
	}
	return best
}

// best returns the lane, other than the one given, with the least to deliver before
// an item that it is given now. A lane whose oldest frame should have been
// acknowledged by now comes last. It returns nil without a lane.
func (q *scheduler) best(except *lane, now time.Time) *lane {
	cost := func(l *lane) int {
		late := l.stalled(now) - q.path.late()
		if late <= 0 {
			return l.unacked
		}
		return l.unacked + lateCost + int(late/time.Millisecond)<<10
	}
	return q.pick(func(l *lane) bool { return l != except && l.usable() }, func(a, b *lane) bool { return cost(a) < cost(b) })
}

// forAcks returns the lane, other than the one given, that is to carry
// acknowledgements: the one with the least to deliver of those that were just heard
// from. An acknowledgement is not acknowledged, so a lane that fell silent would
// lose it unnoticed.
func (q *scheduler) forAcks(except *lane, now time.Time) *lane {
	isFresh := func(l *lane) bool { return now.Sub(l.heard) < q.path.late() }
	return q.pick(func(l *lane) bool { return l != except && l.usable() }, func(a, b *lane) bool {
		fresh := isFresh(a)
		switch {
		case fresh && a.unacked < b.unacked:
			return true
		case fresh != isFresh(b):
			return fresh
		}
		return (!fresh || a.unacked == b.unacked) && a.heard.After(b.heard)
	})
}

// lateCost is added to the bytes that a late lane has to deliver: more than any lane
// has that is not late.
const lateCost = 1 << 30

// free returns how many of n lanes are kept free of long messages, so that a short
// one never waits for them: one of 2, two of 4, and three of 8 or more.
func free(n int) int { return min(bits.Len(uint(n)/2), 3) }

// bulkPatience is how long the oldest frame of a lane may go without an
// acknowledgement before the lane gets no more of long messages: they would stay in
// its queue.
const bulkPatience = time.Second

// carriesLong reports whether l takes long messages now: all lanes do but the oldest
// few. Lanes in trouble do not count, since all lanes that carry may be.
func (q *scheduler) carriesLong(l *lane, now time.Time) bool {
	n, place := 0, 0
	for _, other := range q.lanes {
		if other == l {
			place = n
		}
		if other.usable() && other.stalled(now) < q.path.stuck() {
			n++
		}
	}
	return place >= free(n)
}

// pull notifies a lane that it has bytes to write: of the lanes that could
// write, the one with the least in flight. It reports whether it found one.
func (q *scheduler) pull() bool {
	now := time.Now()
	idle := q.pick(func(l *lane) bool {
		return !l.writing && l.usable() && l.stalled(now) < bulkPatience && q.carriesLong(l, now)
	}, func(a, b *lane) bool { return a.unacked < b.unacked })
	if idle != nil {
		q.kick(idle)
	}
	return idle != nil
}

// pullAll has lanes pull everything that waits. Some may only now carry it: others
// are in trouble or retire, or their queues have emptied.
func (q *scheduler) pullAll() {
	for n := len(q.ring) + len(q.resend); n > 0 && q.pull(); n-- {
	}
}

// offer has lanes pull the pending bytes of a stream.
func (q *scheduler) offer(st *sender) {
	if !st.inRing {
		st.inRing = true
		q.ring = append(q.ring, st)
	}
	q.pull()
}

// fill appends the frames that l is to write next: answers and short items, or else
// a piece of a long message.
func (q *scheduler) fill(l *lane, b []byte, now time.Time) []byte {
	for _, f := range l.answers {
		b = f.append(b)
	}
	l.answers = nil
	alone := len(l.flights) == 0
	for len(l.queue) > 0 && (len(b) == 0 || len(b)+l.queue[0].size() <= batchBytes) {
		b = q.write(l, pop(&l.queue), b, now, alone)
	}
	freeEmpty(&l.queue)
	if len(b) > 0 || !l.usable() {
		return b
	}
	if it := q.nextLong(l, now); it != nil {
		l.load(it)
		b = q.write(l, it, b, now, alone)
	}
	return b
}

// write puts an item into flight on l.
func (q *scheduler) write(l *lane, it *item, b []byte, now time.Time, alone bool) []byte {
	if it.done {
		l.unload(it)
		q.usage.release(it)
		return b
	}
	if len(l.flights) == 0 {
		l.owed = now
	}
	l.wrote(it, now, alone)
	return it.frame.append(b)
}

// nextLong returns the next piece of a long message for l: first one to send again,
// then one of the streams in turn, then one that is late on another lane.
func (q *scheduler) nextLong(l *lane, now time.Time) *item {
	if l.stalled(now) >= bulkPatience || !q.carriesLong(l, now) || q.isFull() {
		return nil
	}
	if it := q.nextResend(l); it != nil {
		return it
	}
	for len(q.ring) > 0 {
		st := q.turn()
		it := st.next()
		if st.inRing = len(st.pending) > 0; st.inRing {
			q.ring = append(q.ring, st)
		}
		if it != nil {
			return it
		}
	}
	q.ring = nil
	return q.nextLate(l, now)
}

// turn takes a stream out of the ring: every second time the one that has sent the
// least. So a new message does not wait for all that are longer, and those go on.
func (q *scheduler) turn() *sender {
	q.least = !q.least
	if !q.least {
		return pop(&q.ring)
	}
	st := slices.MinFunc(q.ring, func(a, b *sender) int { return cmp.Compare(a.offset, b.offset) })
	i := slices.Index(q.ring, st)
	q.ring = slices.Delete(q.ring, i, i+1)
	return st
}

// nextResend takes the first item to send again that l does not carry already.
func (q *scheduler) nextResend(l *lane) *item {
	q.resend = slices.DeleteFunc(q.resend, func(it *item) bool {
		q.usage.release(it) // if it is done
		return it.done
	})
	i := slices.IndexFunc(q.resend, func(it *item) bool { return !l.carries(it) })
	if i < 0 {
		return nil
	}
	it := q.resend[i]
	q.resend = slices.Delete(q.resend, i, i+1)
	it.waiting = false
	q.again(it)
	return it
}

// nextLate returns the long item that has been late for longest on another lane, for
// a lane that has nothing else to do: the end of a transfer does not wait for the
// slowest lane.
func (q *scheduler) nextLate(l *lane, now time.Time) *item {
	other := q.pick(func(other *lane) bool {
		if other == l || len(other.flights) == 0 {
			return false
		}
		fl := other.flights[0]
		return !fl.item.short && fl.isLate(q.path.lateLong(), now) && !l.carries(fl.item)
	}, func(a, b *lane) bool { return a.flights[0].at.Before(b.flights[0].at) })
	if other == nil {
		return nil
	}
	it := other.flights[0].item
	it.copied = now
	q.again(it)
	return it
}

// maxCopies bounds on how many lanes an item may be at once.
const maxCopies = 4

// isLate reports whether a flight, and the last copy of its item, have taken at least
// d, so that the item may be sent again.
func (fl flight) isLate(d time.Duration, now time.Time) bool {
	it := fl.item
	return !it.done && !it.waiting && it.copies < maxCopies && now.Sub(fl.at) >= d && now.Sub(it.copied) >= d
}

// relieve sends late items of l again, over another lane: short ones, and long
// ones after a time that only a lane in trouble needs. Items that l has not even
// written move to the other lane.
func (q *scheduler) relieve(l *lane, now time.Time) {
	if l.stalled(now) < q.path.late() {
		return
	}
	other := q.best(l, now)
	if other == nil || other.stalled(now) >= q.path.late() {
		return // no lane is better off
	}
	for _, fl := range l.flights {
		if now.Sub(fl.at) < q.path.late() {
			break // the rest is younger
		}
		switch it := fl.item; {
		case it.short && fl.isLate(q.path.lateShort(), now):
			it.copied = now
			if !other.carries(it) {
				q.again(it)
				q.enqueue(other, it)
			}
		case !it.short && fl.isLate(q.path.stuck(), now):
			it.copied = now
			q.sendAgain(it)
		}
	}
	for _, it := range l.queue {
		l.unload(it)
		q.enqueue(other, it)
	}
	l.queue = nil
}

// sendAgain has any lane send a long item once more.
func (q *scheduler) sendAgain(it *item) {
	it.waiting = true
	q.resend = append(q.resend, it)
	q.pull()
}

// add makes l one of the lanes, and gives it the items that waited for one.
func (q *scheduler) add(l *lane) {
	q.lanes = append(q.lanes, l)
	unsent := q.unsent
	q.unsent = nil
	for _, it := range unsent {
		if !it.done {
			q.push(it)
		}
	}
	q.pullAll()
}

// remove takes a lane out. reassign is to follow.
func (q *scheduler) remove(l *lane) {
	q.lanes = slices.DeleteFunc(q.lanes, func(other *lane) bool { return other == l })
}

// reassign moves the items of a removed lane to other lanes.
func (q *scheduler) reassign(l *lane) {
	carried := l.items()
	l.flights, l.queue = nil, nil
	for _, it := range carried {
		l.unload(it)
		switch {
		case it.done:
			q.usage.release(it)
		case it.copies > 0 || it.waiting: // another lane carries it, or is about to
		case it.short:
			q.push(it)
		default:
			q.sendAgain(it)
		}
	}
}

// cancel drops the bytes of a stream that lanes have taken: they are not sent again.
func (q *scheduler) cancel(st *Stream) {
	taken := slices.Concat(q.resend, q.unsent)
	for _, l := range q.lanes {
		taken = append(taken, l.items()...)
	}
	for _, it := range taken {
		if it.stream == st && it.frame.kind.isData() && !it.done {
			it.done = true
			q.usage.release(it)
		}
	}
}

// empty reports whether everything that lanes were given was acknowledged.
func (q *scheduler) empty() bool {
	return len(q.resend)+len(q.unsent) == 0 && !slices.ContainsFunc(q.lanes, func(l *lane) bool { return !l.empty() })
}
