package tunnel

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowPath: what is merely slow is not sent again, nor taken for dead.
func TestSlowPath(t *testing.T) {
	for _, rate := range []int{50_000, 400_000} {
		for _, latency := range []time.Duration{time.Millisecond, 40 * time.Millisecond} {
			t.Run(fmt.Sprintf("%dkBs,%v", rate/1000, latency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { slowPath(t, rate, latency) })
			})
		}
	}
}

// slowPath sends 10 s worth of bytes over lanes that share one slow path.
func slowPath(t *testing.T, rate int, latency time.Duration) {
	up, down := &link{rate: rate}, &link{rate: rate}
	n := &network{pipe: func() (near, far net.Conn) { return wirePairOver(always(latency), up, down) }}
	var lost modelLog
	n.log = slog.New(slog.NewTextHandler(&lost, &slog.HandlerOptions{Level: slog.LevelDebug}))
	agent, relay := n.sessions(t)
	st, err := agent.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	size := 10 * rate
	go func() {
		st.Write(make([]byte, size))
		st.Close()
	}()
	far := accept(t, relay)
	start := time.Now()
	if got, err := io.Copy(io.Discard, struct{ io.Reader }{far}); err != nil || got != int64(size) {
		t.Errorf("%d bytes, %v; want %d", got, err, size)
	}
	took, stats := time.Since(start), agent.Stats()
	far.Close()
	if took > 14*time.Second || stats.Resent > stats.Sent/2 {
		t.Errorf("it took %v, and %d %% was sent again", took, stats.Resent*100/stats.Sent)
	}
	if text := lost.String(); strings.Contains(text, "no answer") {
		t.Errorf("lanes were given up:\n%s", text)
	}
}
