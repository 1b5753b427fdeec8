package tunnel

import (
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowPath: what is merely slow is not sent again.
func TestSlowPath(t *testing.T) {
	for _, rate := range []int{50_000, 200_000, 1_000_000, 5_000_000} {
		for _, latency := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond} {
			t.Run(fmt.Sprintf("%dkBs,%v", rate/1000, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					up, down := &link{rate: rate}, &link{rate: rate}
					n := &network{pipe: func() (near, far net.Conn) { return wirePairOver(always(latency), up, down) }}
					agent, relay := n.sessions(t)
					st, _ := agent.Open(nil)
					size := 20 * rate
					go func() {
						st.Write(make([]byte, size))
						st.Close()
					}()
					far := accept(t, relay)
					start := time.Now()
					io.Copy(io.Discard, struct{ io.Reader }{far})
					took := time.Since(start)
					far.Close()
					stats := agent.Stats()
					t.Logf("took %v, resent %d %% of %d bytes, %d lanes", took, stats.Resent*100/stats.Sent, stats.Sent, stats.Lanes)
				})
			})
		}
	}
}
