package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// The upstreams that speak HTTP/1.1, and the visitors that do.
func upgrades(t *testing.T, run func(t *testing.T, visitor, upstream string)) {
	for _, visitor := range []string{"h1", "h1tls"} {
		for _, upstream := range []string{"http", "https", "unix"} {
			t.Run(visitor+" to "+upstream, func(t *testing.T) { run(t, visitor, upstream) })
		}
	}
}

func dialWebSocket(t *testing.T, p *proxy) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), p.URL, &websocket.DialOptions{HTTPClient: p.client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// echoSocket answers each message, and sends how the socket ended.
func echoSocket(ends chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			ends <- err
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			kind, message, err := c.Read(context.Background())
			if err != nil {
				ends <- err
				return
			}
			if c.Write(context.Background(), kind, message) != nil {
				return
			}
		}
	})
}

func TestAWebSocketPassesAndCloses(t *testing.T) {
	upgrades(t, func(t *testing.T, visitor, upstream string) {
		ends := make(chan error, 1)
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, echoSocket(ends)))
		c := dialWebSocket(t, p)
		c.SetReadLimit(-1)
		for _, message := range []string{"hello", strings.Repeat("x", 200), strings.Repeat("y", 1<<20)} {
			if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != message {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		}
		if n := p.upstream.Streams(); n != 1 {
			t.Errorf("%d streams are open", n)
		}
		if err := c.Close(4000, "done"); err != nil {
			t.Error(err)
		}
		if status := websocket.CloseStatus(<-ends); status != 4000 {
			t.Errorf("the upstream saw close code %d", status)
		}
		report := <-p.report
		if !report.Upgrade || report.Status != 101 || report.BytesIn < 1<<20 || report.BytesOut < 1<<20 {
			t.Errorf("report = %+v", report)
		}
		if n := p.upstream.Streams(); n != 0 {
			t.Errorf("%d streams are still open", n)
		}
	})
}

func TestClosingARouteClosesItsWebSocketsProperly(t *testing.T) {
	upgrades(t, func(t *testing.T, visitor, upstream string) {
		ends := make(chan error, 1)
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, echoSocket(ends)))
		c := dialWebSocket(t, p)
		if n := p.upstream.CloseStreams("another route"); n != 0 {
			t.Errorf("closed %d sockets of another route", n)
		}
		c.Write(t.Context(), websocket.MessageText, []byte("still open"))
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := p.upstream.CloseStreams(p.route.ID); n != 1 {
			t.Errorf("closed %d streams, want 1", n)
		}
		_, _, err := c.Read(t.Context())
		if status := websocket.CloseStatus(err); status != websocket.StatusServiceRestart {
			t.Errorf("the visitor saw %v", err)
		}
		if status := websocket.CloseStatus(<-ends); status != websocket.StatusGoingAway {
			t.Errorf("the upstream saw close code %d", status)
		}
		if n := p.upstream.CloseStreams(p.route.ID); n != 0 {
			t.Errorf("closed %d streams a second time", n)
		}
		<-p.report
	})
}

// An end that never replies is closed under its hands after splice.CloseGrace, and
// a frame that is under way is not cut by the close frame.
func TestASocketThatDoesNotReplyIsClosedAfterAMoment(t *testing.T) {
	half := []byte{0x82, 10, 1, 2, 3} // a binary frame of 10 bytes, 3 of them here
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		readHead(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		c.Write(half)
		io.Copy(io.Discard, r)
	}))
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	readHead(r)
	got := make([]byte, len(half))
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	p.upstream.CloseStreams(p.route.ID)
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Errorf("the frame was cut by % x", rest)
	}
	<-p.report
}

// switchRaw makes an upgraded connection over p, to what serve answers.
func switchRaw(t *testing.T, visitor string, with string, serve func(c *net.TCPConn, r *bufio.Reader)) (*proxy, net.Conn, *bufio.Reader) {
	t.Helper()
	p := newProxy(t, visitor, Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-A: 1\r\n\r\nfirst")
			serve(c, r)
		}
	}))
	c := p.dial(t)
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n%s", with)
	r := bufio.NewReader(c)
	head, err := readHead(r)
	if err != nil || head != "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-A: 1\r\n\r\n" {
		t.Fatalf("got %q %v", head, err)
	}
	return p, c, r
}

func TestAnyUpgradePassesWithWhatWasSentAheadAndHalfCloses(t *testing.T) {
	for _, visitor := range []string{"h1", "h1tls"} {
		p, c, r := switchRaw(t, visitor, "ahead", func(c *net.TCPConn, r *bufio.Reader) {
			all, _ := io.ReadAll(r) // to the visitor's half-close
			fmt.Fprintf(c, " got %s", all)
		})
		fmt.Fprint(c, " and after")
		splice.CloseWrite(c)
		if got, err := io.ReadAll(r); string(got) != "first got ahead and after" || err != nil {
			t.Errorf("%s: got %q %v", visitor, got, err)
		}
		if report := <-p.report; report.BytesIn != 15 || report.BytesOut != 25 {
			t.Errorf("report = %+v", report)
		}
	}
}

func TestTheUpstreamMayCloseItsHalfFirst(t *testing.T) {
	got := make(chan string, 1)
	_, c, r := switchRaw(t, "h1", "", func(c *net.TCPConn, r *bufio.Reader) {
		c.CloseWrite()
		all, _ := io.ReadAll(r)
		got <- string(all)
	})
	if first, err := io.ReadAll(r); string(first) != "first" || err != nil {
		t.Fatalf("got %q %v", first, err)
	}
	fmt.Fprint(c, "late")
	splice.CloseWrite(c)
	if late := <-got; late != "late" {
		t.Errorf("the upstream got %q", late)
	}
}

func TestClosingARouteClosesOtherUpgradesToo(t *testing.T) {
	p, _, r := switchRaw(t, "h1", "", func(c *net.TCPConn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	if _, err := r.Discard(len("first")); err != nil { // the tunnel runs
		t.Fatal(err)
	}
	if n := p.upstream.CloseStreams(p.route.ID); n != 1 {
		t.Errorf("closed %d streams", n)
	}
	io.Copy(io.Discard, r)
	<-p.report
}

func TestAStreamThatBeginsAfterItsRouteWasClosedIsClosed(t *testing.T) {
	here := &plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:3000", "[::1]:3000"}}
	next := &plan.Upstream{Members: []plan.Member{{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:3000"}}}}
	for name, test := range map[string]struct {
		close func(*streams)
		ends  bool
	}{
		"gone":                      {func(s *streams) { s.closeRoute("a route", nil) }, true},
		"moved":                     {func(s *streams) { s.closeRoute("a route", &plan.Upstream{}) }, true},
		"the member stays":          {func(s *streams) { s.closeRoute("a route", next) }, false},
		"the member stays, no more": {func(s *streams) { s.closeRoute("a route", next); s.closeRoute("a route", nil) }, true},
		"another route":             {func(s *streams) { s.closeRoute("another route", nil) }, false},
		"all":                       {func(s *streams) { s.closeAll() }, true},
	} {
		var s streams
		mark := s.mark("a route")
		test.close(&s)
		ended := false
		s.add("a route", mark, here, func() { ended = true })
		if ended != test.ends || len(s.open) == 1 == test.ends {
			t.Errorf("%s: ended %v, %d open", name, ended, len(s.open))
		}
	}
}

func TestAnUpgradeThatIsDeclinedIsAnAnswer(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.NotFoundHandler()))
	_, res, err := websocket.Dial(t.Context(), p.URL, nil)
	if err == nil || res == nil || res.StatusCode != http.StatusNotFound {
		t.Errorf("got %v %v", res, err)
	}
}

func TestASwitchThatNobodyAskedForIsABadAnswer(t *testing.T) {
	for _, asked := range []string{"", "Connection: Upgrade\r\nUpgrade: other\r\n"} {
		p := newProxy(t, "h1", Options{}, answering(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
		c := p.dial(t)
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", asked)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusBadGateway {
			t.Errorf("got %v %v", res, err)
		}
		c.Close()
	}
}

func TestAnUpgradeToAnUpstreamWithoutItSaysWhatToWrite(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startUpstream(t, "h2c", http.NotFoundHandler()))
	websocket.Dial(t.Context(), p.URL, nil)
	var bad *UpstreamError
	if err := <-p.errs; !errors.As(err, &bad) || !strings.Contains(bad.Hint, "http://") {
		t.Errorf("got %v", err)
	}
}

// ALPN chose HTTP/2 before; the upgrade needs a connection of its own.
func TestAnUpgradeNeedsHTTP1EvenWhereHTTP2IsSpoken(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startUpstream(t, "https", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			fmt.Fprint(w, r.Proto)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, b, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.Copy(c, b)
	})))
	if _, proto := p.get(t, "/"); proto != "HTTP/2.0" {
		t.Fatalf("ALPN chose %s", proto)
	}
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(c)
	if head, _ := readHead(r); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("got %q", head)
	}
	fmt.Fprint(c, "hello")
	splice.CloseWrite(c)
	if got, _ := io.ReadAll(r); string(got) != "hello" {
		t.Errorf("got %q", got)
	}
}
