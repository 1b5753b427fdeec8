package tunnel

import (
	"sync"
	"time"
)

// item is a frame on its way: waiting, or on one or several lanes and not yet
// acknowledged.
type item struct {
	frame wireFrame
	// stream is whose bytes or end the frame carries; nil for the session's.
	stream *Stream
	// copies counts the lanes it is queued or in flight on.
	copies int
	// written is set once a lane has taken it: what it says stands then.
	written bool
	// short items are pushed to the best lane, the others pulled by any.
	short bool
	// copied is when it was last sent again because it took too long.
	copied time.Time
	// waiting is set while it lies in the session's resend.
	waiting bool
	// cost is what it counts for in the queue of a lane.
	cost int
	// charged is what it counts for in the session's account.
	charged int
	// done is set once it was acknowledged or is no longer wanted.
	done bool
}

// overhead is the most that a frame's header takes.
const overhead = 32

// size is about what the item takes on the wire. It stands from the first time
// it is asked for: bytes that are added later count for nothing.
func (it *item) size() int {
	if it.cost == 0 {
		it.cost = len(it.frame.data) + len(it.frame.head) + overhead
	}
	return it.cost
}

// flight is an item that a lane has written.
type flight struct {
	item *item
	at   time.Time
	// alone: nothing else was in flight on the lane, so that the time to its
	// acknowledgement is the round trip.
	alone bool
}

// dataBuffers are the buffers of frames with more than smallData bytes.
var dataBuffers = sync.Pool{New: func() any { return new([MaxData]byte) }}

// smallData is up to where an allocation of the right size is better.
const smallData = 2 << 10

// dataBuffer is a buffer of n bytes.
func dataBuffer(n int) []byte {
	if n <= smallData {
		return make([]byte, n)
	}
	return dataBuffers.Get().(*[MaxData]byte)[:n]
}

// freeData gives a buffer back that nothing refers to any more.
func freeData(b []byte) {
	if cap(b) == MaxData {
		dataBuffers.Put((*[MaxData]byte)(b[:MaxData]))
	}
}
