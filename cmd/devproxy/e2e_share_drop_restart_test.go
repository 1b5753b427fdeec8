//go:build e2e && linux

package main

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	// heldAnswers are under way, half written, when the relay goes.
	heldAnswers = 4
	// backWithin bounds how long an agent needs once its relay listens again.
	// The aim is 2 s; the test says what it was.
	backWithin = 10 * time.Second
	// awayFor is how much longer the relay is away in each round, so that the
	// agent's pauses between attempts are met at different lengths.
	awayFor = 2 * time.Second
)

// TestE2EShareDropRelay: the relay stops, and is killed, under load. Requests
// in progress finish, or fail visibly; the agent is back with the next relay
// under the same name, and from then on nothing fails.
func TestE2EShareDropRelay(t *testing.T) {
	n := newDropNet(t, 0)
	v := n.startVisitors()
	for _, way := range []struct {
		name string
		stop func(*testing.T, *busy)
	}{{"SIGTERM", n.terminate}, {"SIGKILL", n.killRelay}} {
		for round := range roundsOf() {
			b := n.getBusy(round)
			over := v.outage()
			way.stop(t, b)
			<-time.After(time.Duration(round%3) * awayFor)
			back := n.nextRelay(t, over)
			n.again(way.name)
			t.Logf("%s %d: the agent is back %v after the relay", way.name, round+1, back.Round(time.Millisecond))
			b.over(t, n.upstream)
		}
	}
	v.end()
	n.up.same()
	t.Logf("%d answers, %d failures without a relay", v.answers.Load(), v.failures.Load())
	if v.answers.Load() < 300 {
		t.Error("too little happened meanwhile to prove anything")
	}
}

// busy are the requests in progress when the relay stops.
type busy struct {
	talk   *talk
	upload *upload
	held   []*http.Response
	broken bool // the upload was
}

func (n *dropNet) getBusy(round int) *busy {
	n.t.Helper()
	b := &busy{talk: n.talk()}
	for i := range heldAnswers {
		response, err := n.client([]string{"h1", "h2"}[i%2]).Get(n.url + "/held")
		if err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { response.Body.Close() })
		<-n.upstream.held
		b.held = append(b.held, response)
	}
	b.upload = n.upload([]string{"h1", "h2"}[round%2], round, uploadShort)
	b.talk.alive(n.t, "before")
	return b
}

// terminate stops the relay as an update does.
func (n *dropNet) terminate(t *testing.T, b *busy) {
	t.Helper()
	n.relay.signal(syscall.SIGTERM)
	if err := b.talk.ending(t); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("after SIGTERM the WebSocket ended with %v, want close code 1012", err)
	}
	for range b.held {
		n.upstream.release <- struct{}{}
	}
	for i, response := range b.held {
		if text, err := io.ReadAll(response.Body); err != nil || string(text) != "begin\nend\n" {
			t.Errorf("after SIGTERM answer %d under way is %q, %v", i, text, err)
		}
	}
	b.upload.finish(t, n.upstream)
	n.relay.await("stopped")
	n.relay.wait()
}

// killRelay stops the relay as a power failure does.
func (n *dropNet) killRelay(t *testing.T, b *busy) {
	t.Helper()
	n.relay.kill()
	if err := b.talk.ending(t); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("after SIGKILL the WebSocket ended with %v, want no close", err)
	}
	for i, response := range b.held {
		if text, err := io.ReadAll(response.Body); err == nil || string(text) != "begin\n" {
			t.Errorf("after SIGKILL answer %d under way is %q, %v; want it broken off", i, text, err)
		}
	}
	var wrong *wrongError
	b.broken = true
	select {
	case err := <-b.upload.done:
		if err == nil || errors.As(err, &wrong) {
			t.Errorf("after SIGKILL the upload ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("after SIGKILL the upload does not end")
	}
}

// nextRelay starts one, from when on nothing may fail, and returns how long
// after it the first visitor was served. The relay has visitors wait for the
// agent.
func (n *dropNet) nextRelay(t *testing.T, over func()) time.Duration {
	t.Helper()
	n.startRelay()
	ready := time.Now()
	over()
	if err := n.ask(n.client("h2"), http.MethodPost, 7); err != nil {
		t.Fatalf("a visitor of the next relay: %v", err)
	}
	took := time.Since(ready)
	if took > backWithin {
		t.Errorf("the agent is back only %v after the relay", took)
	}
	return took
}

// over wants the upstream of a broken upload to know that it is.
func (b *busy) over(t *testing.T, u *dropUpstream) {
	t.Helper()
	if !b.broken {
		return
	}
	select {
	case seen := <-u.uploads:
		if seen.err == nil || seen.bytes >= b.upload.body.size {
			t.Errorf("to upstream the upload that broke off has %d bytes and ended with %v", seen.bytes, seen.err)
		}
	case <-time.After(2 * patience):
		t.Error("upstream still waits for the upload that broke off")
	}
}
