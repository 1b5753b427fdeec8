package tunnel

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestIsolation: eight streams whose reader stops and eight whose writer stops
// take nothing from the ninth, long or short: bytes, order and time are as alone.
func TestIsolation(t *testing.T) {
	for name, flip := range map[string]bool{"to the agent": false, "to the relay": true} {
		t.Run(name, func(t *testing.T) {
			alone := ninth(t, 0, flip)
			together := ninth(t, 8, flip)
			t.Logf("alone %v, together %v", alone, together)
			if together > alone+alone/10 {
				t.Errorf("with eight and eight others it took %v; alone %v", together, alone)
			}
		})
	}
}

// ninth is how long a message and small ones after it take next to n streams of
// either kind.
func ninth(t *testing.T, n int, flip bool) (took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		up, down := &link{rate: 2_000_000}, &link{rate: 2_000_000}
		wires := &network{pipe: func() (near, far net.Conn) { return wirePairOver(always(20*time.Millisecond), up, down) }}
		agent, relay := wires.sessions(t)
		from, to := relay, agent
		if flip {
			from, to = agent, relay
		}
		for range n {
			unread, _ := pair(t, from, to)
			go unread.Write(make([]byte, 10<<20)) // until the credit is used
			unfinished, reader := pair(t, from, to)
			go unfinished.Write(make([]byte, 100_000)) // more than the first credit, one way
			go io.Copy(io.Discard, struct{ io.Reader }{reader})
		}
		warm(t, from, to)
		near, far := pair(t, from, to)
		want := random(10_000_000, 1)
		start := time.Now()
		go func() {
			near.Write(want)
			near.CloseWrite()
		}()
		if got, err := io.ReadAll(far); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, equal %t, %v", len(got), bytes.Equal(got, want), err)
		}
		echoBubble(to)
		for i := range 20 {
			roundTrip(t, from, random(1000, byte(i)))
		}
		took = time.Since(start)
		for _, s := range []*Session{from, to} {
			s.Close(nil)
		}
	})
	return took
}

// warm has the session have its lanes and what others send arrive.
func warm(t *testing.T, from, to *Session) {
	t.Helper()
	near, far := pair(t, from, to)
	go func() {
		near.Write(make([]byte, 5_000_000))
		near.Close()
	}()
	io.Copy(io.Discard, struct{ io.Reader }{far})
	far.Close()
	time.Sleep(5 * time.Second)
}
