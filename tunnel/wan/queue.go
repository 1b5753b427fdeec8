package wan

import (
	"sync"
	"time"
)

// maxQueued bounds the packets under way in one direction: 48 MB of full ones.
// 100 Mbit/s with 200 ms under way need 1700; an unlimited rate may need more,
// and then it is this that limits it.
const maxQueued = 32 << 10

// queue holds the packets under way in the order they are due. It is a ring
// whose buffers are reused, so that it does not allocate once it has grown.
type queue struct {
	// filled has a token when the queue was empty and is not any more.
	filled chan struct{}

	mu     sync.Mutex
	ring   []packet
	head   int // index of the first
	length int
}

type packet struct {
	due  time.Duration
	data []byte
}

func newQueue() *queue { return &queue{filled: make(chan struct{}, 1)} }

// push copies a packet, which is due no earlier than those before it, and
// reports whether there was room.
func (q *queue) push(due time.Duration, data []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.length == maxQueued {
		return false
	}
	if q.length == len(q.ring) {
		q.growLocked()
	}
	slot := &q.ring[(q.head+q.length)%len(q.ring)]
	slot.due, slot.data = due, append(slot.data[:0], data...)
	q.length++
	if q.length == 1 {
		select {
		case q.filled <- struct{}{}:
		default:
		}
	}
	return true
}

func (q *queue) growLocked() {
	larger := make([]packet, max(64, 2*len(q.ring)))
	n := copy(larger, q.ring[q.head:])
	copy(larger[n:], q.ring[:q.head])
	q.ring, q.head = larger, 0
}

// pop copies the first packet to buf when it is due. Otherwise n is 0, and next
// is when the first is due, if more is set.
func (q *queue) pop(now time.Duration, buf []byte) (n int, next time.Duration, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.length == 0 {
		return 0, 0, false
	}
	first := &q.ring[q.head]
	if first.due > now {
		return 0, first.due, true
	}
	n = copy(buf, first.data)
	q.head = (q.head + 1) % len(q.ring)
	q.length--
	return n, 0, true
}
