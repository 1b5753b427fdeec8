package tunnel

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestDatagrams: datagrams arrive whole and in order, short, empty and long ones.
func TestDatagrams(t *testing.T) {
	agent, relay := new(network).sessions(t)
	near, far := pair(t, relay, agent)
	from := NewDatagramReader(far)
	for i, size := range []int{1, 0, 1200, MaxData - lengthBytes, MaxData, MaxDatagram, 3} {
		want := random(size, byte(i))
		if sent, err := near.WriteDatagram(want); err != nil || !sent {
			t.Fatalf("%d bytes: sent %v, %v", size, sent, err)
		}
		if got, err := from.Next(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came as %d, %v", size, len(got), err)
		}
	}
	if sent, err := near.WriteDatagram(make([]byte, MaxDatagram+1)); err != nil || sent {
		t.Errorf("a datagram that is too long: sent %v, %v", sent, err)
	}
	near.Close()
	if got, err := from.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %d bytes, %v", len(got), err)
	}
	if sent, err := near.WriteDatagram(nil); err == nil || sent {
		t.Errorf("on a closed stream: sent %v, %v", sent, err)
	}
}

// TestDatagramsDropped: a stream that is backed up drops datagrams and holds few of them.
// What it took arrives whole, and new ones pass once there is room.
func TestDatagramsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := overWires(time.Millisecond)
		agent, relay := n.sessions(t)
		near, far := pair(t, relay, agent)
		synctest.Wait()
		n.cut()
		synctest.Wait()
		taken := 0
		for range 1000 {
			sent, err := near.WriteDatagram(random(1000, byte(taken)))
			if err != nil {
				t.Fatal(err)
			}
			if sent {
				taken++
			}
		}
		relay.mu.Lock()
		waits := near.unacked
		relay.mu.Unlock()
		if most := shortBytes + 2*MaxData + datagramQueue; waits > most || taken == 0 || taken > most/1000 {
			t.Errorf("%d datagrams are taken and %d bytes wait; want %d at most", taken, waits, most)
		}
		n.repair()
		from := NewDatagramReader(far)
		for i := range taken {
			if got, err := from.Next(); err != nil || !bytes.Equal(got, random(1000, byte(i))) {
				t.Fatalf("datagram %d came as %d bytes, %v", i, len(got), err)
			}
		}
		if sent, err := near.WriteDatagram([]byte("again")); err != nil || !sent {
			t.Errorf("with room again: sent %v, %v", sent, err)
		}
		if got, err := from.Next(); err != nil || string(got) != "again" {
			t.Errorf("it came as %q, %v", got, err)
		}
	})
}

// FuzzDatagrams: what is read as datagrams is their one form, and nothing is allocated
// beyond the longest one.
func FuzzDatagrams(f *testing.F) {
	f.Add(appendDatagram(appendDatagram(nil, []byte("ping")), nil))
	f.Add([]byte{0xff, 0xff, 1})
	f.Add([]byte{0, 9, 1})
	f.Add(appendDatagram(nil, make([]byte, MaxDatagram)))
	f.Fuzz(func(t *testing.T, b []byte) {
		from := newGreedy(b)
		r := NewDatagramReader(from)
		for at := 0; ; {
			datagram, err := r.Next()
			if from.most > MaxDatagram || len(datagram) > MaxDatagram {
				t.Fatalf("%d bytes were asked for at once", from.most)
			}
			if err != nil {
				if errors.Is(err, io.EOF) != (at == len(b)) {
					t.Errorf("after %d of %d bytes: %v", at, len(b), err)
				}
				return
			}
			again := appendDatagram(nil, datagram)
			if !bytes.HasPrefix(b[at:], again) {
				t.Fatalf("%x is read as %x", b[at:], datagram)
			}
			at += len(again)
		}
	})
}

// TestDatagramMemory: the buffer for a long datagram counts as the stream's memory, also
// while most of the datagram does not come, until a short one follows.
func TestDatagramMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, relay := overWires(time.Millisecond).sessions(t)
		near, far := pair(t, agent, relay)
		owned := func() int {
			time.Sleep(time.Second) // of the test's own clock
			synctest.Wait()
			relay.mu.Lock()
			defer relay.mu.Unlock()
			return far.owned
		}
		far.Hold(100)
		framed := appendDatagram(nil, make([]byte, MaxDatagram))
		if _, err := near.Write(framed[:lengthBytes]); err != nil {
			t.Fatal(err)
		}
		from := NewDatagramReader(far)
		read := make(chan int)
		go func() {
			defer close(read)
			for {
				datagram, err := from.Next()
				if err != nil {
					return
				}
				read <- len(datagram)
			}
		}()
		if n := owned(); n != 100+MaxDatagram-datagramBuffer {
			t.Errorf("%d bytes count for a long datagram", n)
		}
		if _, err := near.Write(framed[lengthBytes:]); err != nil || <-read != MaxDatagram {
			t.Fatal("the long datagram did not come", err)
		}
		if _, err := near.WriteDatagram([]byte("short")); err != nil || <-read != len("short") {
			t.Fatal("the short datagram did not come", err)
		}
		if n := owned(); n != 100 {
			t.Errorf("%d bytes count after a short datagram", n)
		}
		near.Close()
		<-read
	})
}
