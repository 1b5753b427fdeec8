package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/hcl"
)

const impatientNode = `
const server = require('http').createServer((q, s) => { q.on('data', d => s.write(d)); q.on('end', () => s.end('.')) })
server.keepAliveTimeout = 5
server.keepAliveTimeoutBuffer = 0
server.listen(0, '127.0.0.1', () => console.log(server.address().port))`

// Node closes a connection 5 ms after its last answer, just when the next
// request is on its way.
func TestNoRequestFailsAgainstAnUpstreamThatClosesIdleConnections(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startProgram(t, "node", "-e", impatientNode))
	var group sync.WaitGroup
	var failed atomic.Int64
	for range 4 {
		group.Go(func() {
			for i := range 500 {
				method, body, want := http.MethodGet, io.Reader(nil), "."
				if i%2 == 1 {
					method, body, want = http.MethodPost, strings.NewReader("form"), "form."
				}
				req, _ := http.NewRequest(method, p.URL, body)
				res, err := p.client().Do(req)
				if err != nil {
					t.Errorf("%s %d: %v", method, i, err)
					continue
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || string(got) != want {
					failed.Add(1)
					t.Errorf("%s %d: %s %.200q %v", method, i, res.Status, got, err)
				}
				if i%10 == 0 {
					<-time.After(5 * time.Millisecond) // the timeout itself
				}
			}
		})
	}
	group.Wait()
}

// An upstream that takes each request and hangs up is not asked for ever, and
// is asked once where asking twice could do the work twice.
func TestResendsAreBoundedAndOnlyForWhatMayBeRepeated(t *testing.T) {
	for method, want := range map[string][2]int64{"GET": {2, 5}, "PUT": {2, 5}, "POST": {1, 1}, "PATCH": {1, 1}} {
		var asked atomic.Int64
		p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
			if head, err := readHead(r); err == nil {
				if strings.Contains(head, "Content-Length: 4") {
					_, _ = io.CopyN(io.Discard, r, 4)
				}
				asked.Add(1)
			}
		}))
		var body io.Reader
		if method != "GET" {
			body = strings.NewReader("data")
		}
		req, _ := http.NewRequest(method, p.URL, body)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if n := asked.Load(); res.StatusCode != http.StatusBadGateway || n < want[0] || n > want[1] {
			t.Errorf("%s: %s after %d requests, want %d to %d", method, res.Status, n, want[0], want[1])
		}
		var bad *UpstreamError
		if err := <-p.errs; !errors.As(err, &bad) {
			t.Errorf("%s: Forward returned %T: %v", method, err, err)
		}
	}
}

// The upstream hangs up on whatever comes second on a connection, as one does
// whose keep-alive has just run out. A form cannot be sent again, so it must
// not meet that; a GET can.
func TestAFormNeverTravelsOnAConnectionThatMayBeClosing(t *testing.T) {
	var hungUp atomic.Int64
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil {
			return
		}
		if strings.HasPrefix(head, "POST") {
			_, _ = io.CopyN(io.Discard, r, 4)
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		if _, err := readHead(r); err == nil {
			hungUp.Add(1)
		}
	}))
	client := p.client()
	for i := range 20 {
		for _, method := range []string{http.MethodGet, http.MethodGet, http.MethodPost} {
			var body io.Reader
			if method == http.MethodPost {
				body = strings.NewReader("form")
			}
			req, _ := http.NewRequest(method, p.URL, body)
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s %d: %s", method, i, res.Status)
			}
		}
	}
	if hungUp.Load() == 0 {
		t.Error("no connection was used twice: the test proves nothing")
	}
}

// An upload too long to be kept is sent once.
func TestALongBodyIsNotSentAgain(t *testing.T) {
	const long = 64<<10 + 1 // the documented bound, and a byte
	var asked atomic.Int64
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			asked.Add(1)
			_, _ = io.CopyN(io.Discard, r, long)
		}
	}))
	req, _ := http.NewRequest(http.MethodPut, p.URL, strings.NewReader(strings.Repeat("x", long)))
	res, err := p.client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if n := asked.Load(); n != 1 || res.StatusCode != http.StatusBadGateway {
		t.Errorf("%s after %d requests", res.Status, n)
	}
}

// flapping accepts each second connection only: the probe's, never the
// request's.
type flapping struct{ dials atomic.Int64 }

func (f *flapping) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if f.dials.Add(1)%2 == 1 {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	here, there := net.Pipe()
	there.Close()
	return here, nil
}

func TestAnUpstreamThatOpensAndRefusesAtOnceIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flapping{}
		u := New(&plan.Upstream{Members: []plan.Member{{Scheme: hcl.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:1"}, Text: ":1"}}},
			Options{Instance: "x", Dial: f.dial})
		start := time.Now()
		err := forwardGet(t.Context(), u, 10*time.Second)
		var unavailable *UnavailableError
		if !errors.As(err, &unavailable) || time.Since(start) > 11*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		// A look and an attempt each time, and what falls together at the end.
		if most := 2*int64(10*time.Second/probeFirst) + 10; f.dials.Load() > most {
			t.Errorf("%d dials in 10 s", f.dials.Load())
		}
		u.Retire()
		synctest.Wait()
	})
}

func forwardGet(ctx context.Context, u *Upstream, hold time.Duration) error {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	return u.Forward(httptest.NewRecorder(), r, Exchange{
		Match: plan.Match{Route: &plan.Route{ID: "r", Path: "/", Hold: hold}}, Target: "/", Scheme: "http", Report: &Report{},
	})
}

func refuse(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

func refusing(opts Options) *Upstream {
	opts.Instance, opts.Dial = "x", refuse
	return New(&plan.Upstream{Members: []plan.Member{{Scheme: hcl.SchemeHTTP, Network: "tcp", Addrs: []string{"127.0.0.1:1"}, Text: ":1"}}}, opts)
}

func TestTheThousandAndFirstIsNotHeldUntilOneLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := refusing(Options{})
		ctx, leave := context.WithCancel(t.Context())
		results := make(chan error, 1001)
		go func() { results <- forwardGet(ctx, u, time.Minute) }()
		for range 999 {
			go func() { results <- forwardGet(t.Context(), u, time.Minute) }()
		}
		synctest.Wait()
		var unavailable *UnavailableError
		if err := forwardGet(t.Context(), u, time.Minute); !errors.As(err, &unavailable) || !unavailable.Full {
			t.Fatalf("the 1,001st got %v", err)
		}
		leave()
		if err := <-results; !errors.Is(err, ErrAborted) {
			t.Errorf("the visitor who left got %v", err)
		}
		synctest.Wait()
		go func() { results <- forwardGet(t.Context(), u, time.Minute) }()
		synctest.Wait()
		u.Retire()
		for range 1000 {
			if err := <-results; !errors.Is(err, ErrRetired) {
				t.Fatalf("a held request got %v", err)
			}
		}
		synctest.Wait()
	})
}

// A stream and a held request end with their visitor.
func TestAVisitorWhoLeavesAnEventStreamEndsItUpstream(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		ended := make(chan bool)
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})))
		ctx, leave := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		leave()
		<-ended
		res.Body.Close()
		if err := <-p.errs; !errors.Is(err, ErrAborted) {
			t.Errorf("Forward returned %v", err)
		}
		if n := p.upstream.Streams(); n != 0 {
			t.Errorf("%d streams are still listed", n)
		}
	})
}
