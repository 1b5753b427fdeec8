package handover

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// recordedState records which of its methods were called.
type recordedState struct {
	calls []string
	fails error
}

func (s *recordedState) Suspend() error { s.calls = append(s.calls, "suspend"); return s.fails }
func (s *recordedState) Resume() error  { s.calls = append(s.calls, "resume"); return nil }

// pipe is an end of net.Pipe whose deadlines can be set after the other end was
// closed, as those of a socket.
type pipe struct{ net.Conn }

func (p pipe) SetDeadline(at time.Time) error {
	if err := p.Conn.SetDeadline(at); !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// TestHandOver: the state is given up only to a successor that is ready for it, and
// every other word is an error.
func TestHandOver(t *testing.T) {
	broken := errors.New("disk full")
	for name, test := range map[string]struct {
		says      []string // lines of the successor
		fails     error
		want      string // part of the error; empty for none
		suspended bool
	}{
		"success":            {says: []string{"state", "ready"}, suspended: true},
		"cannot start":       {says: []string{"failed no such key"}, want: "no such key"},
		"cannot serve":       {says: []string{"state", "failed no such port"}, want: "no such port", suspended: true},
		"ends at once":       {want: "it ended before it served"},
		"ends with state":    {says: []string{"state"}, want: "it ended before it served", suspended: true},
		"another word":       {says: []string{"hello"}, want: `it said "hello" instead of "state"`},
		"ready too early":    {says: []string{"ready"}, want: `it said "ready" instead of "state"`},
		"state stays ours":   {says: []string{"state", "ready"}, fails: broken, want: "disk full", suspended: true},
		"half of a word":     {says: []string{"sta\x00"}, want: "it said"},
		"failed, many lines": {says: []string{"failed one two"}, want: "one two"},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				replies := bufio.NewReader(far)
				for _, line := range test.says {
					fmt.Fprintln(far, line)
					if line == "state" && test.fails == nil {
						if reply, err := replies.ReadString('\n'); reply != "yours\n" {
							t.Errorf("the reply to state is %q, %v", reply, err)
						}
					}
				}
			}()
			state := &recordedState{fails: test.fails}
			err := handOver(pipe{near}, state)
			near.Close()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if suspended := len(state.calls) > 0; suspended != test.suspended {
				t.Errorf("called %q, want suspended %v", state.calls, test.suspended)
			}
		})
	}
}

// TestNoPredecessor: a relay that replaces none starts as usual.
func TestNoPredecessor(t *testing.T) {
	var none *Predecessor
	if none.Sockets().Listeners != nil || none.TakeState() != nil || none.Started(nil) != nil {
		t.Error("a relay without a predecessor cannot start")
	}
	failed := errors.New("failed")
	if none.Started(failed) != failed { //nolint:errorlint // it is the same value
		t.Error("the error of starting is lost")
	}
}
