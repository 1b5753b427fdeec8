package tunnel

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// endings are the ways in which one end is done with a stream.
var endings = []string{
	"close", "reset", "end,close", "end,reset", "write,close", "write,reset", "write,end,read,close", "read,close", "flood,close", "flood,reset",
}

// TestEndings ends streams in every combination, one end before, with and
// after the other: both sessions forget them, and hold not a byte of them.
func TestEndings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, relay := overWires(40 * time.Millisecond).sessions(t)
		for _, gap := range []time.Duration{-time.Second, -30 * time.Millisecond, 0, 30 * time.Millisecond, time.Second} {
			for _, near := range endings {
				for _, far := range endings {
					if near == "read,close" && far == near {
						continue // each waits for the other
					}
					endBoth(t, relay, agent, near, far, gap)
				}
			}
		}
		wantEmpty(t, agent, relay)
	})
}

func endBoth(t *testing.T, from, to *Session, near, far string, gap time.Duration) {
	t.Helper()
	a, b := pair(t, from, to)
	var group sync.WaitGroup
	group.Go(func() { endBy(a, near, -gap) })
	group.Go(func() { endBy(b, far, gap) })
	group.Wait()
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		if from.Stats().Streams+to.Stats().Streams == 0 {
			return
		}
	}
	t.Fatalf("near %s, far %s %v later: near has %d, far has %d", near, far, gap, from.Stats().Streams, to.Stats().Streams)
}

func endBy(st *Stream, steps string, wait time.Duration) {
	time.Sleep(wait)
	for step := range strings.SplitSeq(steps, ",") {
		switch step {
		case "write":
			st.Write(make([]byte, 1000))
		case "flood":
			st.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			st.Write(make([]byte, 1<<20))
		case "read":
			io.Copy(io.Discard, st)
		case "end":
			st.CloseWrite()
		case "close":
			st.Close()
		case "reset":
			st.Reset()
		}
	}
}

// wantEmpty holds sessions without streams to holding nothing for any, once
// what is under way has arrived.
func wantEmpty(t *testing.T, sessions ...*Session) {
	t.Helper()
	for i, s := range sessions {
		left := s.holds()
		for range 300 {
			if left == "" {
				break
			}
			time.Sleep(200 * time.Millisecond)
			left = s.holds()
		}
		if left != "" {
			t.Errorf("session %d still holds %s", i, left)
		}
		wantQuiet(t, s)
	}
}

// holds is what a session still has of streams; empty when nothing.
func (s *Session) holds() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := len(s.sched.ring) + len(s.sched.resend) + len(s.sched.unsent) + len(s.table.queue)
	unacked := 0
	for _, l := range s.sched.lanes {
		items += len(l.queue) + len(l.flights)
		unacked += l.unacked
	}
	if items == 0 && unacked == 0 && s.usage.kept == 0 && s.usage.unread == 0 && s.usage.granted == 0 && s.table.ours == 0 && len(s.table.open) == 0 && len(s.table.over.runs) <= 1 {
		return ""
	}
	return fmt.Sprintf("%d items, %d bytes of lanes, %d kept, %d unread, %d granted, %d of its streams, %d streams, %d runs",
		items, unacked, s.usage.kept, s.usage.unread, s.usage.granted, s.table.ours, len(s.table.open), len(s.table.over.runs))
}

// TestEndingOvertakes: RESET and STOP may come before the frame that opens the
// stream; then that one opens nothing.
func TestEndingOvertakes(t *testing.T) {
	for name, frames := range map[string][]wireFrame{
		"reset":       {{kind: kindReset, stream: 1}},
		"stop, reset": {{kind: kindStop, stream: 1}, {kind: kindReset, stream: 1}},
		"reset, stop": {{kind: kindReset, stream: 1}, {kind: kindStop, stream: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, dials)
				p.send(frames...)
				p.sleep(10 * time.Millisecond)
				p.send(wireFrame{kind: kindData | flagOpen, stream: 1, data: []byte("x")})
				p.sleep(time.Second)
				p.want(t, kindReset)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if st, err := p.session.Accept(ctx); err == nil {
					t.Errorf("accepted stream %d", st.id)
				}
				if n := p.session.Stats().Streams; n != 0 {
					t.Errorf("%d streams are left", n)
				}
			})
		})
	}
}
