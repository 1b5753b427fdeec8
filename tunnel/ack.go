package tunnel

import (
	"slices"
	"sync"
	"time"
)

// item is a frame to be sent: it waits for a lane, or is on one or several lanes and
// not acknowledged.
type item struct {
	frame wireFrame
	// stream is the stream whose bytes or end the frame carries; nil for the
	// session's frames.
	stream *Stream
	// copies counts the lanes it is queued or in flight on.
	copies int
	// written is set once a lane has written it: the frame does not change then.
	written bool
	// short items are pushed to the best lane, the others are pulled by any.
	short bool
	// copied is when it was last sent again because it was late.
	copied time.Time
	// waiting is set while it is in the scheduler's resend.
	waiting bool
	// cost is how much it adds to the unacknowledged bytes of a lane.
	cost int
	// charged is how much it adds to the session's account.
	charged int
	// done is set once it was acknowledged or is no longer needed.
	done bool
}

// overhead is the most that a frame's header takes.
const overhead = 32

// size is the approximate size of the item on the wire. It is fixed by the
// first call: bytes that are added later count nothing.
func (it *item) size() int {
	if it.cost == 0 {
		it.cost = len(it.frame.data) + len(it.frame.head) + overhead
	}
	return it.cost
}

// dataBuffers are the buffers of frames with more than smallData bytes.
var dataBuffers = sync.Pool{New: func() any { return new([MaxData]byte) }}

// smallData is up to where an allocation of the right size is better.
const smallData = 2 << 10

// dataBuffer returns a buffer of n bytes.
func dataBuffer(n int) []byte {
	if n <= smallData {
		return make([]byte, n)
	}
	return dataBuffers.Get().(*[MaxData]byte)[:n]
}

// freeData returns a buffer to the pool that nothing refers to any more.
func freeData(b []byte) {
	if cap(b) == MaxData {
		dataBuffers.Put((*[MaxData]byte)(b[:MaxData]))
	}
}

// pop takes the first element off a queue.
func pop[T any](queue *[]T) T {
	first := (*queue)[0]
	clear((*queue)[:1])
	*queue = (*queue)[1:]
	return first
}

// freeEmpty frees the memory of a queue that is empty.
func freeEmpty[T any](queue *[]T) {
	if len(*queue) == 0 {
		*queue = nil
	}
}

// flight is an item that a lane has written.
type flight struct {
	item *item
	at   time.Time
	// alone is set when nothing else was in flight on the lane, so that the time to
	// its acknowledgement is the round trip.
	alone bool
}

// outbound is the sending side of a lane: the items on it that the other end has not
// acknowledged. Like all types here without a mutex, it is guarded by the session's.
type outbound struct {
	queue   []*item  // to be written next
	flights []flight // written, in order
	sent    uint64   // counted frames written
	unacked int      // bytes in queue and flights
}

// load counts an item that the lane is to carry.
func (o *outbound) load(it *item) {
	it.copies++
	o.unacked += it.size()
}

// unload counts an item that the lane no longer carries.
func (o *outbound) unload(it *item) {
	it.copies--
	o.unacked -= it.size()
}

// wrote puts an item into flight.
func (o *outbound) wrote(it *item, now time.Time, alone bool) {
	it.written = true
	o.sent++
	o.flights = append(o.flights, flight{it, now, alone})
}

// acknowledge takes off, and returns, the flights that the other end's count of
// frames newly acknowledges.
func (o *outbound) acknowledge(count uint64) ([]flight, error) {
	if count > o.sent {
		return nil, protocolErrorf("an acknowledgement of %d frames on a lane that sent %d", count, o.sent)
	}
	n := len(o.flights) - int(o.sent-count)
	if n <= 0 {
		return nil, nil // out of date
	}
	acked := o.flights[:n]
	o.flights = o.flights[n:]
	freeEmpty(&o.flights)
	for _, fl := range acked {
		o.unload(fl.item)
	}
	return acked, nil
}

// stalled returns for how long the oldest frame in flight has been on its way.
func (o *outbound) stalled(now time.Time) time.Duration {
	if len(o.flights) == 0 {
		return 0
	}
	return now.Sub(o.flights[0].at)
}

// empty reports whether everything was acknowledged.
func (o *outbound) empty() bool { return len(o.flights)+len(o.queue) == 0 }

// items returns everything that is not acknowledged, in the order it was given.
func (o *outbound) items() []*item {
	items := make([]*item, 0, len(o.flights)+len(o.queue))
	for _, fl := range o.flights {
		items = append(items, fl.item)
	}
	return append(items, o.queue...)
}

// carries reports whether an item is in flight.
func (o *outbound) carries(it *item) bool {
	return it.copies > 0 && slices.ContainsFunc(o.flights, func(fl flight) bool { return fl.item == it })
}

// acknowledger counts the frames that this end has to acknowledge. The counted frames
// of all lanes are numbered in the order they are read, so that a lane knows which
// counts have grown since it last carried them.
type acknowledger struct {
	read  uint64 // counted frames
	bytes int    // of data, since the last acknowledgement
	due   bool   // an acknowledgement is to follow within ackDelay
}

// inbound is the receiving side of a lane.
type inbound struct {
	received uint64 // counted frames read
	last     uint64 // the acknowledger's number of the newest one
	told     uint64 // the acknowledger's number when this lane last carried counts
	ackNow   bool   // the lane is to carry counts even without anything else to write
}

// count notes a frame that came on a lane. It reports whether enough has come to be
// acknowledged at once, and not with the next frame or after ackDelay.
func (a *acknowledger) count(in *inbound, size int) (now bool) {
	a.read++
	in.received++
	in.last = a.read
	a.bytes += size
	return a.bytes >= ackBytes
}

// append appends to b the counts that lane l has not carried yet.
func (a *acknowledger) append(b []byte, l *lane, lanes []*lane) []byte {
	l.ackNow = false
	for _, other := range lanes {
		if other.last > l.told {
			f := wireFrame{kind: kindAck, lane: uint64(other.number), number: other.received}
			b = f.append(b)
		}
	}
	l.told = a.read
	return b
}
