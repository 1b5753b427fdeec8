package wan

import (
	"encoding/binary"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newPump returns a pump without a device to read from, and what it writes to.
func newPump(t *testing.T, c Config) (*pump, *os.File) {
	t.Helper()
	far, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &pump{
		out: out, shaper: newShaper(c, A), queue: make(chan packet, maxQueued),
		start: time.Now(), cut: new(atomic.Bool), closed: make(chan struct{}),
	}
	t.Cleanup(func() {
		out.Close()
		far.Close()
	})
	return p, far
}

// numbered is a packet of four bytes, which are its number.
func numbered(n uint32) packet {
	p := packet{buffer: new([mtu]byte), size: 4}
	binary.BigEndian.PutUint32(p.buffer[:], n)
	return p
}

// TestPumpKeepsOrder: packets arrive in the order they were sent, none before its
// time, also where they wait for each other and where the queue was empty.
func TestPumpKeepsOrder(t *testing.T) {
	const rtt, jitter, most = 4 * time.Millisecond, 2 * time.Millisecond, 2000
	p, far := newPump(t, Config{RTT: rtt, Jitter: jitter})
	var group sync.WaitGroup
	group.Go(p.write)
	var sent [most]time.Time
	var mu sync.Mutex
	group.Go(func() {
		for n := range uint32(most) {
			mu.Lock()
			sent[n] = time.Now()
			mu.Unlock()
			p.take(numbered(n))
			if n%100 == 0 {
				time.Sleep(rtt + jitter) // the queue runs empty
			}
		}
	})
	for want := range uint32(most) {
		var data [4]byte
		if _, err := io.ReadFull(far, data[:]); err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint32(data[:]); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
		mu.Lock()
		took := time.Since(sent[want])
		mu.Unlock()
		if took < rtt/2 {
			t.Fatalf("packet %d took %v", want, took)
		}
	}
	close(p.closed)
	group.Wait()
	if s := p.stats(); s.Delivered != most || s.DeliveredBytes != 4*most || s.Dropped+s.Lost+s.Cut != 0 {
		t.Errorf("%+v", s)
	}
}

// TestPumpIsBounded: packets beyond maxQueued are dropped until one has left.
func TestPumpIsBounded(t *testing.T) {
	p, far := newPump(t, Config{})
	for n := range uint32(maxQueued) {
		p.take(numbered(n))
	}
	if n := p.stats().Dropped; n != 0 {
		t.Fatalf("%d of %d packets are dropped", n, maxQueued)
	}
	if p.take(numbered(0)); p.stats().Dropped != 1 {
		t.Errorf("room after %d packets", maxQueued)
	}
	<-p.queue
	if p.take(numbered(0)); p.stats().Dropped != 1 {
		t.Error("no room when one has left")
	}
	var group sync.WaitGroup
	group.Go(p.write)
	if _, err := io.CopyN(io.Discard, far, 4*maxQueued); err != nil {
		t.Error(err)
	}
	close(p.closed)
	group.Wait()
}

// TestPumpStops: closing ends a pump that waits for a packet, and one that waits until
// a packet is due.
func TestPumpStops(t *testing.T) {
	for _, packets := range []uint32{0, 1} {
		p, _ := newPump(t, Config{RTT: time.Hour})
		var group sync.WaitGroup
		group.Go(p.write)
		for n := range packets {
			p.take(numbered(n))
		}
		for len(p.queue) > 0 {
			time.Sleep(time.Millisecond)
		}
		close(p.closed)
		group.Wait()
	}
}
