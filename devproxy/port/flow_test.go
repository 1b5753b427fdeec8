package port

import (
	"slices"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// TestMakesRoom: flows without an answer, which may have forged addresses, end none that
// has one while they are more than half, nor do answered ones end those that wait.
func TestMakesRoom(t *testing.T) {
	flowOf := func(quiet time.Duration, answered bool) *flow {
		one := &flow{}
		one.last.Store(time.Now().Add(-quiet).UnixNano())
		one.answered.Store(answered)
		return one
	}
	forged, waits := flowOf(2*time.Minute, false), flowOf(time.Second, false)
	player, idle, used := flowOf(20*time.Second, true), flowOf(time.Minute, true), flowOf(time.Second, true)
	for name, test := range map[string]struct {
		flows []*flow
		want  *flow
	}{
		"none":                    {},
		"forged ones":             {[]*flow{player, waits, forged}, forged},
		"half are answered":       {[]*flow{player, idle, waits, forged}, idle},
		"all others are in use":   {[]*flow{used, waits, used}, waits},
		"all are in use":          {[]*flow{used, flowOf(0, true)}, used},
		"all wait for the answer": {[]*flow{waits, flowOf(0, false)}, waits},
	} {
		if got := makesRoom(slices.Values(test.flows)); got != test.want {
			t.Errorf("%s: %v makes room, want %v", name, got, test.want)
		}
	}
}

// TestPending: datagrams that come before it is known where to send them take little memory.
func TestPending(t *testing.T) {
	u := &upstream{}
	u.port.Store(&plan.Port{Members: []plan.Member{{Addrs: []string{"127.0.0.1:1"}}}})
	one := newFlow(t.Context(), u, func([]byte) {})
	for range maxPending {
		one.send(make([]byte, maxDatagram))
	}
	if len(one.pending) != 1 {
		t.Errorf("%d datagrams of 64 KB wait", len(one.pending))
	}
	conn, err := one.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if one.pending != nil || one.waiting != 0 {
		t.Errorf("%d datagrams wait for a connection that is open", len(one.pending))
	}
}
