//go:build e2e && linux

package main

import (
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/wan"
)

const (
	// dropRounds are of each thing that happens; dropSoak with SOAK.
	dropRounds, dropSoak = 3, 20
	// cutFor is how long the link is cut: shorter than tunnel's silence, so
	// that the lanes themselves live through it.
	cutFor = 5 * time.Second
)

// roundsOf is how often each thing happens.
func roundsOf() int {
	if os.Getenv("SOAK") != "" {
		return dropSoak
	}
	return dropRounds
}

// TestE2EShareDropNothing: while visitors ask, a WebSocket talks and 200 MB are
// on their way up, the link between agent and relay is cut, the agent's address
// changes, and the relay is replaced. No request fails, no message is lost, and
// the bytes are the same.
func TestE2EShareDropNothing(t *testing.T) {
	t.Parallel() // with TestE2EShareAsleep, which only waits
	n := newDropNet(t, 0)
	v := n.startVisitors()
	through := n.talk() // all of it
	seed := 0
	for _, event := range []struct {
		name   string
		happen func(t *testing.T, round int)
	}{{"cut", n.cut}, {"address", n.move}, {"SIGHUP", n.hangUp}} {
		for round := range roundsOf() {
			seed++
			n.unnoticed(t, event.name, round, seed, event.happen)
			through.alive(t, event.name)
		}
	}
	through.finish(t)
	v.end()
	n.up.same()
	t.Logf("%d answers, %d messages", v.answers.Load(), through.back.Load())
	if v.answers.Load() < 1000 || through.back.Load() < 1000 {
		t.Error("too little happened meanwhile to prove anything")
	}
}

// unnoticed has something happen that no visitor may notice.
func (n *dropNet) unnoticed(t *testing.T, name string, round, seed int, happen func(*testing.T, int)) {
	t.Helper()
	start := time.Now()
	protocol := []string{"h1", "h2"}[round%2]
	talking, up := n.talk(), n.upload(protocol, seed, uploadBytes)
	begun := time.Now()
	happen(t, round)
	happened := time.Now()
	n.again(name)
	talking.alive(t, name)
	served := time.Now()
	up.finish(t, n.upstream)
	talking.finish(t)
	t.Logf("%s %d, upload over %s: served again %v after it, all of it took %v, of that %v before and %v for the rest of the upload",
		name, round+1, protocol, served.Sub(happened).Round(time.Millisecond), time.Since(start).Round(time.Millisecond),
		begun.Sub(start).Round(time.Millisecond), time.Since(served).Round(time.Millisecond))
}

// cut cuts the link for a while.
func (n *dropNet) cut(t *testing.T, _ int) {
	before := n.link.Stats(wan.B).Cut
	n.link.Cut()
	<-time.After(cutFor)
	n.link.Restore()
	if n.link.Stats(wan.B).Cut == before {
		t.Error("the cut link has lost nothing, so nothing is proved")
	}
}

// move gives the agent's machine another address.
func (n *dropNet) move(t *testing.T, round int) {
	next := netip.AddrFrom4([4]byte{198, 18, 0, byte(10 + round)})
	if err := n.link.SetAddr(t.Context(), wan.B, next); err != nil {
		t.Fatal(err)
	}
}

// hangUp replaces the relay's process.
func (n *dropNet) hangUp(t *testing.T, _ int) {
	before := n.relay.pid
	n.relay.signal(syscall.SIGHUP)
	if e := n.relay.await("ready"); e.PID == before {
		t.Errorf("after SIGHUP the relay is still %d: %s", before, e.Line)
	}
	if e := n.relay.await("handover"); e.PID != n.relay.pid {
		t.Errorf("%d serves, and the one before it says %s", n.relay.pid, e.Line)
	}
}
