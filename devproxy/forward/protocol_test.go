package forward

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// noise is size pseudo-random bytes that need no memory.
func noise(size int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{7}), size) }

func TestUploadAndDownloadAtOnceKeepMemoryFlat(t *testing.T) {
	const size = 256 << 20
	const bound = 32 << 20
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})))
	runtime.GC() // what earlier tests have left does not count
	want := sha256.New()
	var most atomic.Uint64
	body := io.TeeReader(noise(size), want)
	req, _ := http.NewRequest(http.MethodPost, p.URL, io.NopCloser(body))
	req.ContentLength = size
	res, err := p.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := sha256.New()
	buffer := make([]byte, 1<<20)
	var total int64
	for round := 0; ; round++ {
		n, err := res.Body.Read(buffer)
		got.Write(buffer[:n])
		total += int64(n)
		if round%512 == 0 {
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			most.Store(max(most.Load(), stats.HeapAlloc))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if total != size || string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Errorf("%d of %d bytes came back", total, size)
	}
	if most.Load() > bound {
		t.Errorf("the heap grew to %d MiB", most.Load()>>20)
	}
}

// What gRPC needs: HTTP/2 both ways, streaming both ways, TE: trailers, and an
// answer that is trailers only.
func TestGRPCPasses(t *testing.T) {
	te := make(chan string, 2)
	p := newProxy(t, "h2", Options{}, startUpstream(t, "h2c", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		te <- r.Header.Get("Te")
		w.Header().Set("Content-Type", "application/grpc")
		if r.URL.Path == "/fails" {
			w.Header().Set("Grpc-Status", "12") // in the head, with the stream's end
			return
		}
		w.Header().Set("Trailer", "Grpc-Status")
		w.WriteHeader(http.StatusOK)
		control := http.NewResponseController(w)
		_ = control.Flush()
		message := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, message); err != nil {
				break
			}
			_, _ = w.Write(message)
			_ = control.Flush()
		}
		w.Header().Set("Grpc-Status", "0")
	})))
	post := func(path string, body io.Reader) *http.Response {
		req, _ := http.NewRequest(http.MethodPost, p.URL+path, body)
		req.Header.Set("Te", "trailers")
		req.Header.Set("Content-Type", "application/grpc")
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-te; got != "trailers" {
			t.Errorf("TE arrived as %q", got)
		}
		return res
	}
	body, send := io.Pipe()
	res := post("/streams", body)
	for i := range 3 {
		fmt.Fprintf(send, "msg %d", i)
		got := make([]byte, 5)
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != fmt.Sprintf("msg %d", i) {
			t.Fatalf("got %q %v", got, err)
		}
	}
	send.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.Trailer.Get("Grpc-Status") != "0" {
		t.Errorf("the trailers were %v, %v", res.Trailer, err)
	}
	res.Body.Close()

	res = post("/fails", http.NoBody)
	rest, err := io.ReadAll(res.Body)
	if err != nil || len(rest) > 0 || res.Header.Get("Grpc-Status") != "12" || res.ContentLength > 0 {
		t.Errorf("trailers only: %v %v, %q", res.Header, err, rest)
	}
	res.Body.Close()
}

func TestAltSvcIsNotPassedOn(t *testing.T) {
	p := newProxy(t, "h1", Options{}, answering(t, "HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":5173\"\r\nContent-Length: 0\r\n\r\n"))
	if res, _ := p.get(t, "/"); res.Header.Get("Alt-Svc") != "" {
		t.Errorf("Alt-Svc: %s", res.Header.Get("Alt-Svc"))
	}
}

func TestADefaultFieldThatARouteRemovesIsGone(t *testing.T) {
	heads := make(chan string, 1)
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if head, err := readHead(r); err == nil {
			heads <- head
			io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		}
	}))
	p.route.RequestHeaders = []plan.Header{{Name: "User-Agent", Remove: true}, {Name: "X-Forwarded-For", Remove: true}, {Name: "Host", Value: "mine"}}
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\nAccept-Encoding: br\r\n\r\n")
	head := <-heads
	for _, unwanted := range []string{"User-Agent", "X-Forwarded-For", "\r\nHost: a\r\n", "gzip"} {
		if strings.Contains(head, unwanted) {
			t.Errorf("%s was sent: %q", unwanted, head)
		}
	}
	for _, wanted := range []string{"\r\nHost: mine\r\n", "\r\nAccept-Encoding: br\r\n"} {
		if !strings.Contains(head, wanted) {
			t.Errorf("%q is missing in %q", wanted, head)
		}
	}
}

// HTTP/1.0 knows neither chunks nor trailers nor 1xx: the end is the end of the
// connection, and an answer that broke off is still an error where it can be.
func TestAnHTTP10VisitorIsAnswered(t *testing.T) {
	for name, answer := range map[string]string{
		"chunked":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"trailers": "HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nSum: 1\r\n\r\n",
		"length":   "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"1xx":      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	} {
		p := newProxy(t, "h1", Options{}, answering(t, answer))
		c := p.dial(t)
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprint(c, "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
		all, err := io.ReadAll(c)
		c.Close()
		head, body, _ := strings.Cut(string(all), "\r\n\r\n")
		if err != nil || body != "hello" || !strings.HasPrefix(head, "HTTP/1.0 200") || strings.Contains(strings.ToLower(head), "transfer-encoding") {
			t.Errorf("%s: got %q %v", name, all, err)
		}
	}
}

var wireTargets = []string{
	"/", "/?", "/a%2Fb", "/a;b", "/a%20b", "//x", "//x%2Fy", "/%E4%F6", "/%e4%f6", "/?q=%zz", "/?a;b", "/é", "/é?é", "/a/../b", "/./a", "/a//b",
	"/%2e%2e/a", "/*", "/a:b", "/[x]", "/a|b", "/{a}", "/^", "/`", "/'", "/a%00b", "/?a#b", "/%41%7E", "/" + strings.Repeat("long/", 1000),
}

func TestTargetsReachTheWireAsTheyCame(t *testing.T) {
	lines := make(chan string, 1)
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if head, err := readHead(r); err == nil {
			line, _, _ := strings.Cut(head, "\r\n")
			lines <- line
			io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		}
	}))
	srv := httptest.NewUnstartedServer(p)
	srv.Config.DisableGeneralOptionsHandler = true // net/http would answer OPTIONS * itself
	srv.Start()
	t.Cleanup(srv.Close)
	ask := func(request string) int {
		c, _ := dialAddr(t, srv.Listener.Addr().String())
		defer c.Close()
		fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", request)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%.40s: %v", request, err)
			return 0
		}
		return res.StatusCode
	}
	for _, request := range append([]string{"OPTIONS *"}, wireTargets...) {
		if !strings.HasPrefix(request, "OPTIONS") {
			request = "GET " + request
		}
		switch status := ask(request); status {
		case http.StatusNoContent:
			if got := <-lines; got != request+" HTTP/1.1" {
				t.Errorf("%.60q arrived as %.60q", request, got)
			}
		default:
			t.Errorf("%.60q: status %d", request, status)
		}
	}
}

// Half of a large frame has passed when its route is closed: the rest follows,
// then the close frame. The other direction, where nothing is under way, ends
// at once.
func TestAFrameUnderWayIsFinishedBeforeTheCloseFrame(t *testing.T) {
	type ending struct {
		size int
		code websocket.StatusCode
	}
	endings, begun := make(chan ending, 1), make(chan bool)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		_, message, err := c.Reader(context.Background())
		if err != nil {
			endings <- ending{-1, websocket.CloseStatus(err)}
			return
		}
		close(begun)
		n, _ := io.Copy(io.Discard, message)
		_, _, err = c.Read(context.Background())
		endings <- ending{int(n), websocket.CloseStatus(err)}
	})))
	c := p.dial(t)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	r := bufio.NewReader(c)
	if head, err := readHead(r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101") {
		t.Fatalf("got %q %v", head, err)
	}
	const size = 1 << 20
	frame := append([]byte{0x82, 0xff, 0, 0, 0, 0, 0, size >> 16, 0, 0, 0, 0, 0, 0}, make([]byte, size)...)
	if _, err := c.Write(frame[:size/2]); err != nil {
		t.Fatal(err)
	}
	<-begun
	if n := p.upstream.CloseStreams(p.route.ID); n != 1 {
		t.Fatalf("closed %d streams", n)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "\x88\x02\x03\xf4" {
		t.Fatalf("the visitor got % x %v, want a close frame with 1012", got, err)
	}
	if _, err := c.Write(frame[size/2:]); err != nil {
		t.Fatal(err)
	}
	if e := <-endings; e.size != size || e.code != websocket.StatusGoingAway {
		t.Errorf("the upstream got a message of %d bytes, then close code %d", e.size, e.code)
	}
}

// A peer that neither reads nor answers costs splice.CloseGrace, no more.
func TestAPeerThatDoesNotReadIsCutAfterTheGrace(t *testing.T) {
	release := make(chan bool)
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		<-release
	}))
	defer close(release)
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(c)
	if _, err := readHead(r); err != nil {
		t.Fatal(err)
	}
	_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = c.Write([]byte{0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0})
	junk := make([]byte, 1<<20)
	for {
		if _, err := c.Write(junk); err != nil {
			break // every buffer between here and there is full
		}
	}
	start := time.Now()
	p.upstream.CloseStreams(p.route.ID)
	<-p.report
	if took := time.Since(start); took > splice.CloseGrace+2*time.Second {
		t.Errorf("the tunnel ended after %v", took)
	}
}

// An upgrade that was on its way when its route was closed must not live on.
func TestAnUpgradeThatCompletesAfterItsRouteWasClosedIsClosed(t *testing.T) {
	asked, answer := make(chan bool), make(chan bool)
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		close(asked)
		<-answer
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(io.Discard, r)
	}))
	c := p.dial(t)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	<-asked
	p.upstream.CloseStreams(p.route.ID)
	close(answer)
	var slow net.Error
	if _, err := io.Copy(io.Discard, c); errors.As(err, &slow) && slow.Timeout() {
		t.Error("the stream stays open")
	}
}
