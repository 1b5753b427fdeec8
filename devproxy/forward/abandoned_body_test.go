package forward

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// serverLog collects what net/http complains of.
type serverLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logged serves p once more, on a server whose complaints are kept.
func logged(t *testing.T, p *proxy) (addr string, complaints *serverLog) {
	t.Helper()
	complaints = &serverLog{}
	srv := httptest.NewUnstartedServer(p)
	srv.Config.ErrorLog = log.New(complaints, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), complaints
}

func dialAddr(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(8 * time.Second)) // a hang is a failure, not a stuck run
	return c, bufio.NewReader(c)
}

// A body that nobody read must not be left to net/http: in full duplex it
// panics over it at the next request (golang/go#68560).
func TestABodyThatWasNeverReadLeavesTheConnectionUsable(t *testing.T) {
	d := &gate{}
	d.shut()
	p := newProxy(t, "h1", Options{Dial: d.dial}, startUpstream(t, "http", http.NotFoundHandler()))
	p.route.Hold = 0
	addr, complaints := logged(t, p)
	for range 20 {
		c, r := dialAddr(t, addr)
		for i := range 3 {
			fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\ndata")
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("request %d on one connection: %v; the server says %.80q", i, err, complaints)
			}
			io.Copy(io.Discard, res.Body)
			if res.StatusCode != http.StatusServiceUnavailable {
				t.Fatalf("got %s", res.Status)
			}
			if res.Close {
				break
			}
		}
		c.Close()
	}
	if text := complaints.String(); text != "" {
		t.Errorf("net/http complains: %.80s", text)
	}
}

// The same when the upstream takes the connection and dies of the head.
func TestABodyThatTheUpstreamDidNotWantLeavesTheServerAlone(t *testing.T) {
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		_, _ = r.ReadByte()
		_ = c.SetLinger(0)
	}))
	addr, complaints := logged(t, p)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 25 {
				c, r := dialAddr(t, addr)
				fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 4096, strings.Repeat("x", 4096))
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Errorf("%v; the server says %.80q", err, complaints)
					return
				}
				io.Copy(io.Discard, res.Body)
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if !res.Close {
					if res, err = http.ReadResponse(r, nil); err != nil {
						t.Errorf("the second request: %v; the server says %.80q", err, complaints)
						return
					}
					io.Copy(io.Discard, res.Body)
				}
				c.Close()
			}
		})
	}
	group.Wait()
	if text := complaints.String(); strings.Contains(text, "panic") {
		t.Errorf("net/http panicked: %.80s", text)
	}
}

// The visitor has sent a part and waits. The whole answer must come, and the
// rest of the body must never be taken for a request.
func TestAnEarlyAnswerDoesNotWaitForTheBodyNorBelieveIt(t *testing.T) {
	for _, mode := range []string{"http", "h2c", "https", "unix"} {
		t.Run(mode, func(t *testing.T) {
			var mu sync.Mutex
			var paths []string
			p := newProxy(t, "h1", Options{}, startUpstream(t, mode, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				paths = append(paths, r.URL.Path)
				mu.Unlock()
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("Connection", "close")
				_ = http.NewResponseController(w).EnableFullDuplex()
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, "not you")
			})))
			addr, complaints := logged(t, p)
			rest := "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
			c, r := dialAddr(t, addr)
			fmt.Fprintf(c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\nx", 1+len(rest))
			start := time.Now()
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("no answer: %v; the server says %.80q", err, complaints)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || string(body) != "not you" || res.StatusCode != http.StatusUnauthorized {
				t.Errorf("got %s %q %v", res.Status, body, err)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("the answer took %v", took)
			}
			fmt.Fprint(c, rest)
			if res, err := http.ReadResponse(r, nil); err == nil {
				t.Errorf("the rest of the body was answered with %s", res.Status)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, path := range paths {
				if path != "/upload" {
					t.Errorf("the upstream was asked for %s", path)
				}
			}
			if text := complaints.String(); strings.Contains(text, "panic") {
				t.Errorf("net/http panicked: %.80s", text)
			}
		})
	}
}

// A visitor who waits for the answer sends nothing more: only the upstream's
// end tells that there will be none.
func TestAnUpstreamThatDiesDuringAStalledUploadIsReported(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
			if _, err := readHead(r); err == nil {
				_, _ = r.ReadByte()
			}
		}))
		addr, complaints := logged(t, p)
		c, r := dialAddr(t, addr)
		fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx", method)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: no answer: %v; the server says %.80q", method, err, complaints)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: got %s %v", method, res.Status, err)
		}
		c.Close()
	}
}

// net/http takes the end of what the visitor sends for its leaving.
func TestAVisitorWhoClosesItsHalfHasLeft(t *testing.T) {
	arrived := make(chan bool)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})))
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	c.(*net.TCPConn).CloseWrite()
	if err := <-p.errs; !errors.Is(err, ErrAborted) {
		t.Errorf("Forward returned %v", err)
	}
}
