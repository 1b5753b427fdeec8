package relay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel/splice"
	frames "github.com/devproxy/devproxy/tunnel/websocket"
)

// socketEcho answers WebSocket messages.
func socketEcho(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, message, err := c.Read(context.Background())
		if err != nil || c.Write(context.Background(), kind, message) != nil {
			return
		}
	}
}

// open opens a WebSocket at a share.
func (w *world) open(t testing.TB, host string) *websocket.Conn {
	t.Helper()
	c, res, err := websocket.Dial(t.Context(), "wss://"+host+"/ws", &websocket.DialOptions{HTTPClient: w.client("h1")})
	if err != nil {
		t.Fatalf("%v %v", err, res)
	}
	t.Cleanup(func() { c.CloseNow() })
	c.SetReadLimit(-1)
	return c
}

func say(t testing.TB, c *websocket.Conn, message []byte) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageBinary, message); err != nil {
		t.Fatal(err)
	}
	_, back, err := c.Read(t.Context())
	if err != nil || !bytes.Equal(back, message) {
		t.Fatalf("%d bytes came back of %d: %v", len(back), len(message), err)
	}
}

func TestWebSocket(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(socketEcho)).grant.Hosts[0]
	c := w.open(t, host)
	for _, size := range []int{1, 125, 126, 1 << 16, 1 << 20} {
		say(t, c, bytes.Repeat([]byte("x"), size))
	}
	if err := c.Close(4001, "mine"); err != nil {
		t.Errorf("the close handshake: %v", err)
	}
	eventually(t, "the request is counted out", func() bool { return w.shares.forKey(publicKey(key)).slots.inUse() == 0 })
	eventually(t, "it is counted", func() bool { return counts(w.Relay, `requests_total{class="1xx"} 1`) })
}

// TestSwitchHead: a visitor sees as little of a switch as of any response.
func TestSwitchHead(t *testing.T) {
	w := start(t, nil)
	host := w.byHand(func(string) (string, bool) {
		return "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, X-Hop\r\nUpgrade: shout\r\nX-Hop: 1\r\nX-Own: 1\r\nAlt-Svc: h3\r\n" +
			"Set-Cookie: own=1\r\nSet-Cookie: wide=1; Domain=" + domain + "\r\n\r\nhello", false
	})
	c := w.dial(host)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: Shout\r\n\r\n", host)
	from := bufio.NewReader(c)
	res, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"shout"}, "X-Own": {"1"}, "Set-Cookie": {"own=1"}}
	if res.StatusCode != 101 || !reflect.DeepEqual(res.Header, want) {
		t.Errorf("%d %v, want %v", res.StatusCode, res.Header, want)
	}
	_ = c.CloseWrite()
	if rest, err := io.ReadAll(from); string(rest) != "hello" || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	eventually(t, "the connection is closed", func() bool { _, n, _ := w.conns.counts(); return n == 0 })
}

// end is one end of an upgraded connection. It notes how it is closed.
type end struct {
	net.Conn
	halves, closed atomic.Int32
	fails          error // of CloseWrite
}

func (e *end) Close() error      { e.closed.Add(1); return e.Conn.Close() }
func (e *end) CloseWrite() error { e.halves.Add(1); return e.fails }
func (e *end) Reset()            { _ = e.Close() }

// newUpgrade makes an upgraded connection between two pipes, and returns the far ends.
// The readers yield what the two send; nil reads the pipes.
func newUpgrade(t *testing.T, protocol string, fromVisitor, fromAgent io.Reader) (s *splice.Upgrade, visitor, agent *end, farVisitor, farAgent net.Conn) {
	t.Helper()
	a, farVisitor := net.Pipe()
	b, farAgent := net.Pipe()
	visitor, agent = &end{Conn: a}, &end{Conn: b}
	client, server := splice.Peer{Conn: visitor, From: visitor}, splice.Peer{Conn: resetOnClose{agent}, From: agent}
	if fromVisitor != nil {
		client.From, server.From = fromVisitor, fromAgent
	}
	if protocol == "websocket" {
		client.Frames = frames.NewWriter(visitor)
	}
	s = splice.New(client, server, nil)
	t.Cleanup(func() {
		for _, c := range []net.Conn{a, b, farVisitor, farAgent} {
			c.Close()
		}
	})
	return s, visitor, agent, farVisitor, farAgent
}

// TestUpgradeEnds: each direction ends by itself, and a failure ends both.
func TestUpgradeEnds(t *testing.T) {
	broken := errors.New("broken")
	late := func(text string) io.Reader {
		r, w := io.Pipe()
		time.AfterFunc(time.Second, func() { _, _ = io.WriteString(w, text); w.Close() })
		return r
	}
	for name, c := range map[string]struct {
		fromVisitor, fromAgent func() io.Reader
		in, out                int64
		halves                 int32 // of each end
		cut                    bool
	}{
		"both end":                      {func() io.Reader { return strings.NewReader("abc") }, func() io.Reader { return strings.NewReader("de") }, 3, 2, 1, false},
		"the visitor goes on":           {func() io.Reader { return late("abc") }, func() io.Reader { return strings.NewReader("de") }, 3, 2, 1, false},
		"the agent goes on":             {func() io.Reader { return strings.NewReader("abc") }, func() io.Reader { return late("de") }, 3, 2, 1, false},
		"reading the visitor fails":     {func() io.Reader { return iotest.ErrReader(broken) }, func() io.Reader { return strings.NewReader("") }, 0, 0, 0, true},
		"the visitor's side has no end": {func() io.Reader { return late("abc") }, func() io.Reader { return strings.NewReader("de") }, 0, 2, 1, true},
		"reading the agent fails":       {func() io.Reader { return strings.NewReader("") }, func() io.Reader { return iotest.ErrReader(broken) }, 0, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, visitor, agent, farVisitor, farAgent := newUpgrade(t, "shout", c.fromVisitor(), c.fromAgent())
				if name == "the visitor's side has no end" {
					visitor.fails = broken
				}
				go io.Copy(io.Discard, farVisitor)
				go io.Copy(io.Discard, farAgent)
				var l lifecycle
				l.begin()
				in, out, _ := l.runUpgrade(s)
				if in != c.in || out != c.out {
					t.Errorf("%d bytes in, %d out; want %d, %d", in, out, c.in, c.out)
				}
				if cut := visitor.closed.Load() > 0 && agent.closed.Load() > 0; cut != c.cut {
					t.Errorf("cut: %t", cut)
				}
				if !c.cut && (visitor.halves.Load() != c.halves || agent.halves.Load() != c.halves) {
					t.Errorf("the visitor's side is ended %d times, the agent's %d times", visitor.halves.Load(), agent.halves.Load())
				}
				if l.upgrades.Load() > 0 {
					t.Error("it is still known")
				}
				farVisitor.Close()
				farAgent.Close()
			})
		})
	}
}

// TestRestartEnds: a restart ends upgraded connections, also later ones. The visitor of a
// WebSocket has a moment to close the connection.
func TestRestartEnds(t *testing.T) {
	for name, c := range map[string]struct {
		protocol string
		before   bool // the restart comes before the upgrade
		answers  bool // the visitor closes the connection after the close frame
		took     time.Duration
	}{
		"another protocol":              {"shout", false, false, 0},
		"another protocol, later":       {"shout", true, false, 0},
		"a WebSocket":                   {"websocket", false, true, 0},
		"a WebSocket, later":            {"websocket", true, true, 0},
		"a visitor who does not answer": {"websocket", false, false, splice.CloseGrace},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, visitor, agent, farVisitor, farAgent := newUpgrade(t, c.protocol, nil, nil)
				var l lifecycle
				l.begin()
				if c.before {
					l.endUpgrades()
				}
				got := make(chan []byte, 1)
				go func() {
					frame := make([]byte, 4)
					n, _ := io.ReadFull(farVisitor, frame)
					got <- frame[:n]
					if c.answers {
						farVisitor.Close()
						farAgent.Close() // as the app does, which sees the visitor's end
					}
				}()
				over := make(chan struct{})
				go func() {
					defer close(over)
					l.runUpgrade(s)
				}()
				synctest.Wait()
				began := time.Now()
				if !c.before {
					l.endUpgrades()
				}
				<-over
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if visitor.closed.Load() == 0 || agent.closed.Load() == 0 {
					t.Error("it continues")
				}
				want := []byte(nil)
				if c.protocol == "websocket" {
					want = frames.CloseFrame(frames.ServiceRestart, false)
				}
				if frame := <-got; !bytes.Equal(frame, want) {
					t.Errorf("the visitor gets % x, want % x", frame, want)
				}
			})
		})
	}
}

// TestMovingBytes: an upgraded connection on which bytes move is not stalled.
func TestMovingBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTaker(t, 1, 1)
		p := k.atOnce(1)
		p.onEviction(func() {})
		time.Sleep(stalledExchange)
		if _, rests := p.stalledFor(); !rests {
			t.Error("it moves")
		}
		_, _ = activityReader{strings.NewReader("x"), p}.Read(make([]byte, 1))
		if rest, rests := p.stalledFor(); rests || rest != 0 {
			t.Errorf("it has rested for %v", rest)
		}
		p.release()
	})
}

// TestRestart: WebSockets end with 1012 between two frames, also while one is being
// sent, and a request in progress finishes.
func TestRestart(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	begun, finish := make(chan struct{}), make(chan struct{})
	sending := make(chan *websocket.Conn, 1)
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			close(begun)
			<-finish
			fmt.Fprint(rw, "done")
		case "/busy":
			c, err := websocket.Accept(rw, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			sending <- c
			message := bytes.Repeat([]byte("y"), 100_000)
			for c.Write(r.Context(), websocket.MessageBinary, message) == nil {
			}
		default:
			socketEcho(rw, r)
		}
	})).grant.Hosts[0]
	idle := w.open(t, host)
	say(t, idle, []byte("x"))
	busy, _, err := websocket.Dial(t.Context(), "wss://"+host+"/busy", &websocket.DialOptions{HTTPClient: w.client("h1")})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.CloseNow()
	busy.SetReadLimit(-1)
	<-sending
	slow := make(chan string)
	go func() {
		_, body, _ := get(t, w.client("h2"), "https://"+host+"/slow")
		slow <- body
	}()
	within(t, "the slow request", begun)

	down := make(chan struct{})
	go func() {
		defer close(down)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		w.Shutdown(ctx)
	}()
	if _, _, err := idle.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("the idle WebSocket ended with %v; want 1012", err)
	}
	for {
		_, message, err := busy.Read(t.Context())
		if err == nil {
			if len(message) != 100_000 {
				t.Errorf("a message of %d bytes", len(message))
			}
			continue
		}
		if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("the busy WebSocket ended with %v; want 1012", err)
		}
		break
	}
	close(finish)
	if body := within(t, "the slow answer", slow); body != "done" {
		t.Errorf("the request under way got %q", body)
	}
	within(t, "the shutdown", down)
}

// TestHalfClose: an upgraded connection's directions end one by one.
func TestHalfClose(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		c, buffered, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nhello,")
		all, _ := io.ReadAll(buffered)
		fmt.Fprintf(c, "%s!", strings.ToUpper(string(all)))
	})).grant.Hosts[0]
	c := w.dial(host)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nearly", host)
	from := bufio.NewReader(c)
	res, err := http.ReadResponse(from, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("%v, %v", res, err)
	}
	fmt.Fprint(c, " late")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(from)
	if string(all) != "hello,EARLY LATE!" || err != nil {
		t.Errorf("read %q, %v", all, err)
	}
}

// TestUnwantedSwitch: an agent that changes the protocol without a request for it does
// not get the connection.
func TestUnwantedSwitch(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if c, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
			c.Close()
		}
	})).grant.Hosts[0]
	for _, fields := range [][]string{nil, {"Connection", "Upgrade", "Upgrade", "websocket"}, {"Connection", "Upgrade", "Upgrade", "h2c"}} {
		if status, _, _ := get(t, w.client("h1"), "https://"+host+"/", fields...); status != http.StatusBadGateway {
			t.Errorf("with %q: status %d, want 502", fields, status)
		}
	}
}

func frameOf(size int, masked bool) []byte {
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	frame := []byte{0x82}
	switch {
	case size < 126:
		frame = append(frame, mask|byte(size))
	case size < 1<<16:
		frame = append(frame, mask|126, byte(size>>8), byte(size))
	default:
		frame = append(frame, mask|127, 0, 0, 0, 0, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
	}
	if masked {
		frame = append(frame, 1, 2, 3, 4)
	}
	return append(frame, make([]byte, size)...)
}

// TestStuckVisitor: a visitor that does not read cannot delay a restart.
func TestStuckVisitor(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	agentEnd, pipeEnd := net.Pipe()
	defer agentEnd.Close()
	s := splice.New(splice.Peer{Conn: near, From: near, Frames: frames.NewWriter(near)}, splice.Peer{Conn: resetOnClose{testPipe{pipeEnd}}, From: pipeEnd}, nil)
	var l lifecycle
	l.begin()
	over := make(chan struct{})
	go func() {
		defer close(over)
		l.runUpgrade(s)
	}()
	if _, err := agentEnd.Write(frameOf(10, false)); err != nil { // nothing reads at far
		t.Fatal(err)
	}
	l.endUpgrades()
	select {
	case <-over:
	case <-time.After(patience):
		t.Fatal("it still runs")
	}
}

type testPipe struct{ net.Conn }

func (p testPipe) CloseWrite() error { return nil }
func (p testPipe) Reset()            { p.Close() }
