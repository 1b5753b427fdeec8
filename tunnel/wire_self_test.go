package tunnel

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestWire checks the connection that other tests use.
func TestWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := wirePair(always(40*time.Millisecond), 1_000_000)
		start := time.Now()
		near.Write(make([]byte, 10_000))
		if _, err := io.ReadFull(far, make([]byte, 10_000)); err != nil || time.Since(start) != 50*time.Millisecond {
			t.Errorf("10 kB took %v, %v; want 50ms", time.Since(start), err)
		}
		far.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("past the deadline: %v", err)
		}
		far.SetReadDeadline(time.Time{})
		near.hold(true)
		near.Write([]byte("x"))
		time.AfterFunc(time.Minute, func() { near.hold(false) })
		start = time.Now()
		far.Read(make([]byte, 1))
		if time.Since(start) != time.Minute {
			t.Errorf("held for %v; want a minute", time.Since(start))
		}
		near.Write([]byte("last"))
		near.Close()
		if got, err := io.ReadAll(far); string(got) != "last" || err != nil {
			t.Errorf("before the end: %q, %v", got, err)
		}
	})
}
