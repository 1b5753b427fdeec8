package tunnel

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"
)

func TestEcho(t *testing.T) {
	var n network
	agent, relay := n.sessions(t)
	echo(t, agent)
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() { roundTrip(t, relay, random(1+i*37_123, byte(i))) })
	}
	group.Wait()
	noStreams(t, agent, relay)
}

// roundTrip sends want over a stream that echoes, and compares.
func roundTrip(t *testing.T, s *Session, want []byte) {
	t.Helper()
	st, err := s.Open([]byte("head"))
	if err != nil {
		t.Error(err)
		return
	}
	defer st.Close()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		if _, err := st.Write(want); err != nil {
			t.Errorf("write: %v", err)
		}
		st.CloseWrite()
	})
	got, err := io.ReadAll(st)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("echo of %d bytes: %d bytes, equal %t, %v", len(want), len(got), bytes.Equal(got, want), err)
	}
}

// TestLanesBreak breaks lanes, one and all, while bytes flow both ways.
func TestLanesBreak(t *testing.T) {
	var n network
	agent, relay := n.sessions(t)
	echo(t, agent)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { roundTrip(t, relay, random(3_000_000+i, byte(i))) })
	}
	stop := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if i%10 == 9 {
				n.cut()
				time.AfterFunc(30*time.Millisecond, n.repair)
				continue
			}
			n.breakOne(i * 7)
		}
	})
	group.Wait()
	close(stop)
	breaker.Wait()
	n.repair()
	noStreams(t, agent, relay)
	t.Logf("relay %+v dials %d", relay.Stats(), n.dialled())
	if err := errors.Join(agent.Err(), relay.Err()); err != nil {
		t.Error(err)
	}
}

// noStreams waits until both ends have forgotten every stream.
func noStreams(t *testing.T, sessions ...*Session) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for _, s := range sessions {
		for s.Stats().Streams > 0 {
			if time.Now().After(deadline) {
				t.Fatalf("%d streams are left", s.Stats().Streams)
			}
			time.Sleep(time.Millisecond)
		}
	}
}
