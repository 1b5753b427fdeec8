package forward

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// slowUpstream works on every request until release, whatever its client does,
// and counts how many it works on.
type slowUpstream struct {
	working, most atomic.Int64
	release       chan struct{}
}

func startSlow(t *testing.T) (*slowUpstream, plan.Member) {
	u := &slowUpstream{release: make(chan struct{})}
	return u, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		for {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if request.URL.Path != "/fast" {
				n := u.working.Add(1)
				for most := u.most.Load(); n > most && !u.most.CompareAndSwap(most, n); {
					most = u.most.Load()
				}
				<-u.release
				u.working.Add(-1)
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
}

// rapid is a client that cancels what it asks, on one HTTP/2 connection.
type rapid struct {
	*http2.Framer
	conn  net.Conn
	block bytes.Buffer
	hpack *hpack.Encoder
	next  uint32
}

func startRapid(t *testing.T, p *proxy) *rapid {
	t.Helper()
	conn, err := tls.Dial("tcp", p.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	r := &rapid{Framer: http2.NewFramer(conn, conn), conn: conn, next: 1}
	r.hpack = hpack.NewEncoder(&r.block)
	io.WriteString(conn, http2.ClientPreface)
	r.WriteSettings()
	read := make(chan struct{})
	go func() {
		defer close(read)
		io.Copy(io.Discard, conn)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-read
	})
	return r
}

// ask opens a stream and leaves it to cancel to end it.
func (r *rapid) ask(path string) error {
	r.block.Reset()
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", path}} {
		r.hpack.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	err := r.WriteHeaders(http2.HeadersFrameParam{StreamID: r.next, BlockFragment: r.block.Bytes(), EndHeaders: true, EndStream: true})
	r.next += 2
	return err
}

// cancel resets the last stream, or has the server reset it.
func (r *rapid) cancel(made bool) error {
	if made {
		return r.WriteRawFrame(http2.FrameWindowUpdate, 0, r.next-2, []byte{0, 0, 0, 0}) // an increment of 0 is a stream error
	}
	return r.WriteRSTStream(r.next-2, http2.ErrCodeCancel)
}

// TestRapidReset: a cancelled request counts until the upstream has ended it,
// and other clients are served in the meantime.
func TestRapidReset(t *testing.T) {
	for name, made := range map[string]bool{"rapid reset": false, "made you reset": true} {
		t.Run(name, func(t *testing.T) {
			const most = 20
			u, member := startSlow(t)
			clients := &Clients{MaxPerClient: most}
			p := newProxy(t, "h2", Options{Clients: clients}, member)
			t.Cleanup(clients.Close)
			p.visit = func(x *Exchange) {
				if x.Client = "attacker"; x.Target == "/fast" {
					x.Client = "somebody else"
				}
			}
			r := startRapid(t, p)
			for i := range 10 * most {
				if err := r.ask("/slow"); err != nil {
					t.Fatal(err)
				}
				// Wait for it to be under way: else there is nothing to cancel.
				if i < most {
					eventually(t, func() bool { return u.working.Load() == int64(i+1) })
				}
				if err := r.cancel(made); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, func() bool {
				live, abandoned := clients.count("attacker")
				return live == 0 && abandoned == most
			})
			if n := u.most.Load(); n != most {
				t.Errorf("the upstream worked on %d requests at once, want %d", n, most)
			}
			res, err := p.Client().Get(p.URL + "/fast")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 200 {
				t.Errorf("somebody else gets %d", res.StatusCode)
			}
			close(u.release)
			eventually(t, func() bool { _, abandoned := clients.count("attacker"); return abandoned == 0 })
			eventually(t, func() bool { return clients.empty() })
		})
	}
}

// TestCancelledIsSeenByTheUpstream: the half-close tells an upstream that its
// client has left.
func TestCancelledIsSeenByTheUpstream(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	clients := &Clients{}
	p := newProxy(t, "h1", Options{Clients: clients}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})))
	p.visit = func(x *Exchange) { x.Client = 1 }
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _, _ = p.Client().Do(r) })
	<-arrived
	cancel()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("the upstream did not see that the client has left")
	}
	group.Wait()
	eventually(t, clients.empty)
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 s")
		}
	}
}

// count returns a client's exchanges in progress.
func (c *Clients) count(id any) (live, abandoned int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cl := c.by[id]; cl != nil {
		return cl.live, cl.abandoned
	}
	return 0, 0
}

// empty reports whether nothing is under way and nothing is remembered.
func (c *Clients) empty() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.by) == 0 && c.abandoned.Len() == 0
}

// begun begins an exchange that must not have to wait.
func begun(t *testing.T, c *Clients, id any) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cl, err := c.begin(ctx, id)
	if err != nil {
		t.Fatalf("an exchange of %v has to wait", id)
	}
	return cl
}

func mustWait(t *testing.T, c *Clients, id any) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.begin(ctx, id); err == nil {
		t.Fatalf("an exchange of %v need not wait", id)
	}
}

// quiet is an upstream's end of a connection that says nothing.
func (c *Clients) quiet(t *testing.T, cl *client) (ours, theirs net.Conn) {
	t.Helper()
	ours, theirs = net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	c.abandon(cl, ours, func() {})
	return ours, theirs
}

func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Clients{MaxPerClient: 3, MaxAbandoned: 4}
		// Without a cancelled exchange no one waits.
		var all []*client
		for range 4 {
			all = append(all, begun(t, c, "a"))
		}
		for _, cl := range all {
			c.end(cl)
		}
		if !c.empty() {
			t.Fatal("a client without exchanges is remembered")
		}
		// With one, live and cancelled ones count together.
		first := begun(t, c, "a")
		_, upstream := c.quiet(t, first)
		c.end(first)
		second, third := begun(t, c, "a"), begun(t, c, "a")
		mustWait(t, c, "a")
		c.end(begun(t, c, "b"))
		// When an exchange ends, a waiting one begins.
		entered := make(chan *client)
		go func() {
			cl, _ := c.begin(t.Context(), "a")
			entered <- cl
		}()
		synctest.Wait()
		c.end(second)
		fourth := <-entered
		mustWait(t, c, "a")
		// An answer of the upstream has the same effect.
		go upstream.Write([]byte("H"))
		synctest.Wait()
		if live, abandoned := c.count("a"); live != 2 || abandoned != 0 {
			t.Fatalf("%d live, %d abandoned", live, abandoned)
		}
		c.end(third)
		c.end(fourth)
		if !c.empty() {
			t.Error("something is remembered")
		}
	})
}

func TestAbandonedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Clients{MaxAbandoned: 4}
		worst, other := begun(t, c, "worst"), begun(t, c, "other")
		_, kept := c.quiet(t, other)
		var firstOfWorst net.Conn
		for i := range 3 {
			_, theirs := c.quiet(t, worst)
			if i == 0 {
				firstOfWorst = theirs
			}
		}
		isClosed := func(conn net.Conn) bool {
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, err := conn.Read(make([]byte, 1))
			return errors.Is(err, io.EOF)
		}
		if isClosed(firstOfWorst) {
			t.Error("closed at the bound")
		}
		c.quiet(t, worst)
		synctest.Wait()
		if !isClosed(firstOfWorst) || isClosed(kept) {
			t.Error("beyond the bound it is the oldest of the worst that is closed")
		}
		if _, n := c.count("worst"); n != 3 {
			t.Errorf("%d are counted", n)
		}
		// An exchange that is never answered is closed in time.
		time.Sleep(abandonedTime - 50*time.Millisecond)
		synctest.Wait()
		if _, n := c.count("other"); n != 1 {
			t.Error("closed too early")
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if _, n := c.count("worst"); n != 0 || c.abandoned.Len() != 0 {
			t.Errorf("%d are still waited for", n)
		}
		c.quiet(t, other)
		c.Close()
		_, late := c.quiet(t, other)
		synctest.Wait()
		if !isClosed(late) || c.abandoned.Len() != 0 {
			t.Error("something is waited for after Close")
		}
		c.end(worst)
		c.end(other)
		if !c.empty() {
			t.Error("something is remembered")
		}
	})
}

// TestDialEndsWithItsRequest: an upstream that does not accept is dialled for
// nobody who has left.
func TestDialEndsWithItsRequest(t *testing.T) {
	dialling, ended := make(chan struct{}), make(chan struct{})
	p := newProxy(t, "h1", Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}}, plan.Member{Text: ":1", Network: "tcp", Addrs: []string{"127.0.0.1:1"}})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _, _ = p.Client().Do(r) })
	<-dialling
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the dial goes on")
	}
	group.Wait()
}

// TestNotAbandoned: what is not cancelled by its client, and what is answered
// already, does not count when it ends.
func TestNotAbandoned(t *testing.T) {
	closed := make(chan error, 1)
	begun := make(chan struct{}, 1)
	member := rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if request.URL.Path == "/answered" {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		}
		begun <- struct{}{}
		_, err = r.ReadByte()
		closed <- err
	})
	t.Run("a timeout of the route", func(t *testing.T) {
		clients := &Clients{}
		p := newProxy(t, "h1", Options{Clients: clients}, member)
		p.route.Timeout = 50 * time.Millisecond
		p.visit = func(x *Exchange) { x.Client = 1 }
		res, err := p.Client().Post(p.URL+"/silent", "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusGatewayTimeout {
			t.Errorf("answered with %s", res.Status)
		}
		<-begun
		<-closed
		eventually(t, clients.empty)
	})
	t.Run("an answer under way", func(t *testing.T) {
		clients := &Clients{}
		p := newProxy(t, "h1", Options{Clients: clients}, member)
		p.visit = func(x *Exchange) { x.Client = 1 }
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/answered", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := p.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		if _, err := io.ReadFull(res.Body, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		most := make(chan int, 1)
		go func() { // it counts at no moment
			worst := 0
			for {
				live, abandoned := clients.count(1)
				if worst = max(worst, abandoned); live == 0 && abandoned == 0 {
					most <- worst
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		cancel()
		res.Body.Close()
		<-closed
		if n := <-most; n != 0 {
			t.Errorf("%d counted as abandoned", n)
		}
	})
	t.Run("nobody counts", func(t *testing.T) {
		clients := &Clients{}
		p := newProxy(t, "h1", Options{Clients: clients}, member)
		p.visit = func(x *Exchange) { x.Client = nil }
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/silent", nil)
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		group.Go(func() { _, _ = p.Client().Do(r) })
		<-begun
		cancel()
		<-closed
		group.Wait()
		if !clients.empty() {
			t.Error("an exchange without a client counts")
		}
	})
}

// wholeConn cannot close one direction alone.
type wholeConn struct {
	net.Conn
	closed atomic.Int64
}

func (c *wholeConn) Close() error {
	c.closed.Add(1)
	return c.Conn.Close()
}

// TestTakenOver: a connection that is taken over is not closed, and not read by
// anybody else from then on.
func TestTakenOver(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	raw := &wholeConn{Conn: ours}
	c := newWatchedConn(raw, &connections{}, &dialling{}, time.Now())
	var idle func()
	c.onAbandon(func(c *watchedConn) bool {
		idle = c.stopReading()
		return true
	})
	reading, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		buf := make([]byte, 1)
		if _, err := c.Read(buf); err != nil {
			failed <- err
			return
		}
		close(reading)
		_, err := c.Read(buf)
		failed <- err
	}()
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-reading
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if <-failed == nil {
		t.Error("the read goes on")
	}
	idle()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a later read: %v", err)
	}
	if n := raw.closed.Load(); n != 0 {
		t.Errorf("closed %d times", n)
	}
	// A connection that is not taken over is closed.
	other := newWatchedConn(raw, &connections{}, &dialling{}, time.Now())
	other.onAbandon(func(*watchedConn) bool { return false })
	_ = other.Close()
	if n := raw.closed.Load(); n != 1 {
		t.Errorf("closed %d times, want once", n)
	}
}

// TestCannotHalfClose: an upstream that cannot be told otherwise that its client
// has left is told by the close.
func TestCannotHalfClose(t *testing.T) {
	clients := &Clients{}
	raw := make(chan *wholeConn, 1)
	arrived, left := make(chan struct{}), make(chan struct{})
	p := newProxy(t, "h1", Options{Clients: clients, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			in := bufio.NewReader(theirs)
			if _, err := http.ReadRequest(in); err == nil {
				close(arrived)
			}
			_, _ = in.ReadByte()
			close(left)
		}()
		c := &wholeConn{Conn: ours}
		raw <- c
		return c, nil
	}}, plan.Member{Text: ":1", Network: "tcp", Addrs: []string{"127.0.0.1:1"}})
	p.visit = func(x *Exchange) { x.Client = 1 }
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { _, _ = p.Client().Do(r) })
	<-arrived
	cancel()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("the connection is still open")
	}
	group.Wait()
	eventually(t, clients.empty)
}
