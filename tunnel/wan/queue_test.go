package wan

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
)

// TestQueueOrder pushes and pops at random, so that the ring turns and grows.
func TestQueueOrder(t *testing.T) {
	q := newQueue()
	pushed, popped := uint32(0), uint32(0)
	buf := make([]byte, 16)
	for range 20_000 {
		if rand.IntN(5) < 3 && pushed-popped < 500 {
			if !q.push(time.Duration(pushed), binary.BigEndian.AppendUint32(nil, pushed)) {
				t.Fatal("the queue is full")
			}
			pushed++
			continue
		}
		n, _, more := q.pop(time.Duration(pushed), buf)
		if more != (pushed > popped) {
			t.Fatalf("%d pushed, %d popped, and more is %t", pushed, popped, more)
		}
		if n == 0 {
			continue
		}
		if got := binary.BigEndian.Uint32(buf[:n]); got != popped {
			t.Fatalf("got %d, want %d", got, popped)
		}
		popped++
	}
	if popped == 0 {
		t.Error("nothing was popped")
	}
}

func TestQueueWaits(t *testing.T) {
	q := newQueue()
	q.push(5, []byte("a"))
	if n, next, more := q.pop(4, make([]byte, 1)); n != 0 || next != 5 || !more {
		t.Errorf("before its time: %d bytes, next %v, more %t", n, next, more)
	}
	if n, _, _ := q.pop(5, make([]byte, 1)); n != 1 {
		t.Error("it does not come in its time")
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue()
	for i := range maxQueued {
		if !q.push(0, []byte("x")) {
			t.Fatalf("no room after %d packets", i)
		}
	}
	if q.push(0, []byte("x")) {
		t.Errorf("room after %d packets", maxQueued)
	}
	q.pop(0, make([]byte, 1))
	if !q.push(0, []byte("x")) {
		t.Error("no room when one has left")
	}
}

// TestQueueWakes: a goroutine that waits for an empty queue gets one token.
func TestQueueWakes(t *testing.T) {
	q := newQueue()
	for range 3 {
		q.push(0, []byte("x"))
		q.push(0, []byte("x"))
		select {
		case <-q.filled:
		default:
			t.Fatal("no token")
		}
		for _, _, more := q.pop(0, make([]byte, 1)); more; _, _, more = q.pop(0, make([]byte, 1)) {
		}
	}
	select {
	case <-q.filled:
		t.Error("a token without a packet")
	default:
	}
}
