package tunnel

import (
	"crypto/ed25519"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// overTLS is a session over loopback, with TLS as lanes have it.
func overTLS(b *testing.B, key ed25519.PrivateKey) (agent, relay *Session) {
	b.Helper()
	n := &network{t: b}
	n.open()
	agent, _, err := Dial(b.Context(), Config{Key: key, Dial: n.dialTLS})
	if err != nil {
		b.Fatal(err)
	}
	relay = <-n.established
	b.Cleanup(func() {
		agent.Close(nil)
		relay.Close(nil)
		n.group.Wait()
	})
	return agent, relay
}

// BenchmarkRoundTrip1K is 1 KB there and back on a stream that is open. The
// ratio is to the same on a TLS connection of its own.
func BenchmarkRoundTrip1K(b *testing.B) {
	agent, relay := overTLS(b, keyOf("agent"))
	echoBubble(agent)
	st, err := relay.Open(nil)
	if err != nil {
		b.Fatal(err)
	}
	near, far := tlsPair(b)
	go io.Copy(struct{ io.Writer }{far}, struct{ io.Reader }{far})
	defer far.Close()
	defer near.Close()
	plain := timed(2000, near, 1000)
	b.ReportAllocs()
	b.SetBytes(2000)
	b.ResetTimer()
	took := timed(b.N, st, 1000)
	b.StopTimer()
	b.ReportMetric(ratio(took, b.N, plain, 2000), "×TLS")
	st.Close()
}

// timed is how long n round trips of a size take on a connection that echoes.
func timed(n int, c io.ReadWriter, size int) time.Duration {
	message, answer := make([]byte, size), make([]byte, size)
	start := time.Now()
	for range n {
		if _, err := c.Write(message); err != nil {
			return 0
		}
		if _, err := io.ReadFull(c, answer); err != nil {
			return 0
		}
	}
	return time.Since(start)
}

func ratio(took time.Duration, n int, plain time.Duration, m int) float64 {
	return float64(took) / float64(n) / (float64(plain) / float64(m))
}

// BenchmarkExchange1K opens a stream for every round trip, as visitors do.
func BenchmarkExchange1K(b *testing.B) {
	agent, relay := overTLS(b, keyOf("agent"))
	echoBubble(agent)
	b.ReportAllocs()
	b.SetBytes(2000)
	for b.Loop() {
		st, err := relay.Open([]byte("head"))
		if err != nil {
			b.Fatal(err)
		}
		if timed(1, st, 1000) == 0 {
			b.Fatal("no answer")
		}
		st.Close()
	}
}

// BenchmarkBulk is one long message. The ratio is to the time on a TLS
// connection of its own.
func BenchmarkBulk(b *testing.B) {
	agent, relay := overTLS(b, keyOf("agent"))
	const block = 256 << 10
	near, far := tlsPair(b)
	defer far.Close()
	defer near.Close()
	plain := poured(400, near, far, block)
	st, err := relay.Open(nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := st.Write(make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	to, err := agent.Accept(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(block)
	b.ResetTimer()
	took := poured(b.N, st, to, block)
	b.StopTimer()
	b.ReportMetric(ratio(took, b.N, plain, 400), "×TLS")
	st.Close()
	to.Close()
}

// poured is how long n blocks take from one end of a connection to the other.
func poured(n int, from, to net.Conn, block int) time.Duration {
	start := time.Now()
	var group sync.WaitGroup
	group.Go(func() {
		b := make([]byte, block)
		for range n {
			if _, err := from.Write(b); err != nil {
				return
			}
		}
	})
	_, _ = io.CopyN(io.Discard, struct{ io.Reader }{to}, int64(n)*int64(block))
	group.Wait()
	return time.Since(start)
}

// BenchmarkSleeping is what a session without streams costs, in heap and
// stack, with its TLS connection: one end of it, as at a relay.
func BenchmarkSleeping(b *testing.B) {
	const sessions = 200
	for b.Loop() {
		before := memory()
		for i := range sessions {
			agent, relay := overTLS(b, keyOf(string(rune(i))))
			doze(agent, relay)
		}
		b.ReportMetric(float64(memory()-before)/(2*sessions), "B/end")
	}
}

// doze has a session keep one lane, as after idleAfter.
func doze(sessions ...*Session) {
	for _, s := range sessions {
		s.mu.Lock()
		s.want.busy = time.Now().Add(-time.Hour)
		s.armLocked(0)
		s.mu.Unlock()
	}
	for _, s := range sessions {
		for s.Stats().Lanes != idleLanes {
			time.Sleep(time.Millisecond)
		}
	}
}

func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
