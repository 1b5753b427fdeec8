//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	// visitorsOfEach are how many visitors repeat each kind of request.
	visitorsOfEach = 2
	// visitorBytes are in every answer: more than one frame, a few packets.
	visitorBytes = 20_000
	// messageEvery is between two messages on a WebSocket, each of which is
	// sent whether or not the one before it is back.
	messageEvery = 5 * time.Millisecond
	// afterFailure is how long a visitor rests who was turned away, so that the
	// machine is left to what is to come back.
	afterFailure = 20 * time.Millisecond
)

// dropVisitors send requests without end, and want every response whole. During
// an outage a response may fail, but never be wrong.
type dropVisitors struct {
	*dropNet
	ctx      context.Context
	stop     context.CancelFunc
	group    sync.WaitGroup
	answers  atomic.Int64
	failures atomic.Int64 // in outages
	// outages is odd while there is one.
	outages atomic.Int64
}

// startVisitors has GETs and POSTs asked over HTTP/1.1 and HTTP/2.
func (n *dropNet) startVisitors() *dropVisitors {
	v := &dropVisitors{dropNet: n}
	v.ctx, v.stop = context.WithCancel(context.Background())
	for _, protocol := range []string{"h1", "h2"} {
		client := n.client(protocol)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for range visitorsOfEach {
				v.group.Go(func() { v.repeat(client, protocol, method) })
			}
		}
	}
	n.t.Cleanup(v.end)
	return v
}

// end stops them and waits for their last answers.
func (v *dropVisitors) end() {
	v.stop()
	v.group.Wait()
}

// outage is when requests may fail: it lasts until the function is called.
func (v *dropVisitors) outage() (over func()) {
	v.outages.Add(1)
	return func() { v.outages.Add(1) }
}

func (v *dropVisitors) repeat(client *http.Client, protocol, method string) {
	for number := 0; v.ctx.Err() == nil; number++ {
		before := v.outages.Load()
		start := time.Now()
		err := v.ask(client, method, number)
		var wrong *wrongError
		switch {
		case err == nil:
			v.answers.Add(1)
		case before%2 == 0 && before == v.outages.Load(), errors.As(err, &wrong):
			v.t.Errorf("%s over %s, number %d, after %v: %v", method, protocol, number, time.Since(start), err)
			return
		default:
			v.failures.Add(1)
			time.Sleep(afterFailure)
		}
	}
}

// wrongError is an answer that may never come, whatever breaks.
type wrongError struct{ text string }

func (e *wrongError) Error() string { return e.text }

// ask sends one request, within patience.
func (n *dropNet) ask(client *http.Client, method string, number int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	want, url := numbered(number, visitorBytes), n.url+"/echo"
	var body io.Reader
	if method == http.MethodGet {
		url = fmt.Sprintf("%s/get?n=%d&size=%d", n.url, number, len(want))
	} else {
		body = bytes.NewReader(want)
	}
	response, got, err := roundTrip(ctx, client, method, url, body)
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusBadGateway, response.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%s: %.200q", response.Status, got)
	case response.StatusCode != http.StatusOK || !bytes.Equal(got, want):
		return &wrongError{fmt.Sprintf("%s with %d bytes, %.200q", response.Status, len(got), got)}
	}
	return nil
}

// again wants new visitors to be served, over both protocols.
func (n *dropNet) again(when string) {
	n.t.Helper()
	for _, protocol := range []string{"h1", "h2"} {
		client := n.client(protocol)
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			if err := n.ask(client, method, 1); err != nil {
				n.t.Errorf("%s, a new visitor's %s over %s: %v", when, method, protocol, err)
			}
		}
		client.CloseIdleConnections()
	}
}

// talk is a WebSocket that is written to all the time.
type talk struct {
	conn *websocket.Conn
	stop chan struct{}
	sent atomic.Int64
	back atomic.Int64
	done chan error // how reading ended; nil: with the last message
}

// talk opens one. Every message has to come back, in order.
func (n *dropNet) talk() *talk {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, n.url+"/ws", &websocket.DialOptions{HTTPClient: n.client("h1")})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.CloseNow() })
	k := &talk{conn: conn, stop: make(chan struct{}), done: make(chan error, 1)}
	go k.write()
	go func() { k.done <- k.read() }()
	return k
}

// write numbers messages until stop; the last says that it is.
func (k *talk) write() {
	tick := time.NewTicker(messageEvery)
	defer tick.Stop()
	for n, last := int64(0), false; !last; n++ {
		text := strconv.AppendInt(nil, n, 10)
		select {
		case <-k.stop:
			last, text = true, fmt.Appendf(nil, "last %d", n)
		case <-tick.C:
		}
		if err := k.conn.Write(context.Background(), websocket.MessageText, text); err != nil {
			return // the reader says why
		}
		k.sent.Store(n + 1)
	}
}

// read wants the messages in order, until the last.
func (k *talk) read() error {
	for n := int64(0); ; n++ {
		_, text, err := k.conn.Read(context.Background())
		if err != nil {
			return err
		}
		k.back.Store(n + 1)
		switch string(text) {
		case strconv.FormatInt(n, 10):
		case fmt.Sprintf("last %d", n):
			return nil
		default:
			return &wrongError{fmt.Sprintf("message %d is %.40q", n, text)}
		}
	}
}

// alive wants messages sent from now on to come back.
func (k *talk) alive(t *testing.T, when string) {
	t.Helper()
	from := k.sent.Load() + 1
	for deadline := time.Now().Add(patience); k.back.Load() <= from; time.Sleep(messageEvery) {
		select {
		case err := <-k.done:
			t.Fatalf("%s, the WebSocket ended after %d messages: %v", when, k.back.Load(), err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, %d of %d messages of the WebSocket are back", when, k.back.Load(), k.sent.Load())
		}
	}
}

// finish stops writing and wants every message back.
func (k *talk) finish(t *testing.T) {
	t.Helper()
	close(k.stop)
	if err := k.ending(t); err != nil {
		t.Errorf("the WebSocket ended after %d of %d messages: %v", k.back.Load(), k.sent.Load(), err)
	}
	_ = k.conn.Close(websocket.StatusNormalClosure, "")
}

// ending is how reading ended.
func (k *talk) ending(t *testing.T) error {
	t.Helper()
	select {
	case err := <-k.done:
		var wrong *wrongError
		if errors.As(err, &wrong) {
			t.Errorf("the WebSocket: %v", err)
		}
		return err
	case <-time.After(patience):
		t.Fatalf("the WebSocket does not end; %d of %d messages are back", k.back.Load(), k.sent.Load())
		return nil
	}
}

// upload is one under way.
type upload struct {
	body *heldBody
	done chan error
}

// upload begins one, and returns when upstream has the first part of it.
func (n *dropNet) upload(protocol string, seed int, size int64) *upload {
	n.t.Helper()
	up := &upload{body: newHeldBody(seed, size), done: make(chan error, 1)}
	n.t.Cleanup(up.body.letGo)
	client := n.client(protocol)
	go func() { up.done <- up.send(client, fmt.Sprintf("%s/upload?size=%d", n.url, size)) }()
	select {
	case <-n.upstream.begun:
	case err := <-up.done:
		n.t.Fatalf("the upload ended before it was to: %v", err)
	case <-time.After(2 * patience):
		n.t.Fatal("the upload does not begin")
	}
	return up
}

// send wants upstream's sum of the bytes to be ours.
func (up *upload) send(client *http.Client, url string) error {
	request, err := http.NewRequest(http.MethodPost, url, up.body)
	if err != nil {
		return err
	}
	if up.body.size == uploadBytes {
		request.ContentLength = uploadBytes
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("%x", up.body.sum.Sum(nil)); response.StatusCode != http.StatusOK || string(got) != want {
		return &wrongError{fmt.Sprintf("%s, upstream's sum is %.200q, ours %s", response.Status, got, want)}
	}
	return nil
}

// finish sends the rest, and wants all of it to have arrived.
func (up *upload) finish(t *testing.T, u *dropUpstream) {
	t.Helper()
	up.body.letGo()
	select {
	case err := <-up.done:
		if err != nil {
			t.Errorf("the upload: %v", err)
		}
	case <-time.After(2 * patience):
		t.Fatal("the upload does not end")
	}
	if seen := <-u.uploads; seen.bytes != up.body.size || seen.err != nil {
		t.Errorf("upstream has seen %d bytes, %v; want %d", seen.bytes, seen.err, up.body.size)
	}
}
