package tunnel

import (
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
