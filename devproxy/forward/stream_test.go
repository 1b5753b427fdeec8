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
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBodiesGoBothWaysAtOnce(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			_ = control.EnableFullDuplex()
			w.WriteHeader(http.StatusOK)
			_ = control.Flush()
			lines := bufio.NewScanner(r.Body)
			for lines.Scan() {
				fmt.Fprintln(w, "echo", lines.Text())
				_ = control.Flush()
			}
		})))
		body, send := io.Pipe()
		req, _ := http.NewRequest(http.MethodPost, p.URL, body)
		res, err := p.client().Do(req) // answered before anything was sent
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		for i := range 3 {
			fmt.Fprintln(send, i)
			if !lines.Scan() || lines.Text() != fmt.Sprint("echo ", i) {
				t.Fatalf("got %q %v", lines.Text(), lines.Err())
			}
		}
		send.Close()
		if lines.Scan() || lines.Err() != nil {
			t.Errorf("the answer did not end: %q %v", lines.Text(), lines.Err())
		}
	})
}

func TestTrailersPassBothWays(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Trailer", "Announced")
			fmt.Fprintf(w, "%s %s", body, r.Trailer.Get("Sum"))
			w.Header().Set("Announced", "1")
			w.Header().Set(http.TrailerPrefix+"Unannounced", "2")
		})))
		req, _ := http.NewRequest(http.MethodPost, p.URL, struct{ io.Reader }{strings.NewReader("data")})
		req.Trailer = http.Header{"Sum": {"42"}}
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != "data 42" {
			t.Errorf("got %q %v", body, err)
		}
		if diff := cmp.Diff(http.Header{"Announced": {"1"}, "Unannounced": {"2"}}, res.Trailer); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnUnannouncedRequestTrailerPassesOverHTTP1(t *testing.T) {
	got := make(chan string, 1)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got <- r.Trailer.Get("Sum")
	})))
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSum: 42\r\n\r\n")
	if sum := <-got; sum != "42" {
		t.Errorf("the trailer was %q", sum)
	}
}

func TestEarlyHintsPassBeforeTheAnswer(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		release := make(chan bool)
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			<-release
			w.Header().Del("Link")
			fmt.Fprint(w, "page")
		})))
		req, _ := http.NewRequest(http.MethodGet, p.URL, nil)
		var link string
		req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				link = fmt.Sprint(code, " ", header.Get("Link"))
				close(release)
				return nil
			},
		}))
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); string(body) != "page" || link != "103 </a.css>; rel=preload" || res.Header.Get("Link") != "" {
			t.Errorf("got %q, hints %q, Link %q", body, link, res.Header.Get("Link"))
		}
	})
}

func TestTheBodyIsSentOnlyWhenTheUpstreamSaysContinue(t *testing.T) {
	p := newProxy(t, "h1", Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
		head, err := readHead(r)
		if err != nil {
			return
		}
		if !strings.Contains(head, "Expect: 100-continue") {
			t.Error("Expect did not pass")
		}
		if strings.HasPrefix(head, "POST /no") {
			io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		body := make([]byte, 4)
		io.ReadFull(r, body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%s", body)
	}))
	for path, want := range map[string]string{"/yes": "HTTP/1.1 100 Continue", "/no": "HTTP/1.1 417 Expectation Failed"} {
		c := p.dial(t)
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", path)
		r := bufio.NewReader(c)
		head, _ := readHead(r)
		if !strings.HasPrefix(head, want) {
			t.Errorf("%s: got %q", path, head)
		}
		if path == "/yes" {
			fmt.Fprint(c, "data")
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(res.Body); string(body) != "data" {
				t.Errorf("got %q", body)
			}
		}
		c.Close()
	}
}

func TestAnswersWithoutABodyStayWithoutOne(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(http.StatusNoContent)
			case "/304":
				w.Header().Set("Etag", `"1"`)
				w.WriteHeader(http.StatusNotModified)
			case "/head":
				w.Header().Set("Content-Length", "1234")
			}
		})))
		for path, method := range map[string]string{"/204": "GET", "/304": "GET", "/head": "HEAD"} {
			req, _ := http.NewRequest(method, p.URL+path, nil)
			res, err := p.client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(res.Body); len(body) > 0 || err != nil {
				t.Errorf("%s: %q %v", path, body, err)
			}
			res.Body.Close()
			if path == "/head" && res.ContentLength != 1234 {
				t.Errorf("Content-Length of HEAD is %d", res.ContentLength)
			}
		}
	})
}

func TestAnAnswerThatBreaksOffIsNeverComplete(t *testing.T) {
	for name, answer := range map[string]string{
		"shorter than its length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
		"without its last chunk":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
		"with a bad chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nzz\r\n",
	} {
		for _, visitor := range visitorModes {
			p := newProxy(t, visitor, Options{}, answering(t, answer))
			res, err := p.client().Get(p.URL)
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if err == nil {
				t.Errorf("%s, %s: the visitor took it for the whole", name, visitor)
			}
			if err := <-p.errs; !errors.Is(err, ErrAborted) || errors.Is(err, ErrClientGone) {
				t.Errorf("%s, %s: Forward returned %v", name, visitor, err)
			}
		}
	}
}

// pattern is size pseudo-random bytes that need no memory.
func pattern(size int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), size) }

func TestLargeBodiesStreamThroughFlatMemory(t *testing.T) {
	const size = 128 << 20
	const bound = 24 << 20 // of heap in use above what there was before
	sum := func(r io.Reader) string {
		h := sha256.New()
		n, _ := io.Copy(h, r)
		return fmt.Sprintf("%d %x", n, h.Sum(nil))
	}
	want := sum(pattern(size))
	for _, mode := range [][2]string{{"h1", "http"}, {"h2", "h2c"}} {
		p := newProxy(t, mode[0], Options{}, startUpstream(t, mode[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				fmt.Fprint(w, sum(r.Body))
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(size))
			io.Copy(w, pattern(size))
		})))
		stop := watchHeap(t, bound)
		res, err := p.client().Post(p.URL, "application/octet-stream", pattern(size))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(res.Body); string(got) != want {
			t.Errorf("%v: the upload arrived as %q", mode, got)
		}
		res.Body.Close()
		if res, err = p.client().Get(p.URL); err != nil {
			t.Fatal(err)
		}
		if got := sum(res.Body); got != want {
			t.Errorf("%v: the download arrived as %q", mode, got)
		}
		res.Body.Close()
		stop()
	}
}

// watchHeap fails the test when the heap grows by more than bound until the
// returned function is called.
func watchHeap(t *testing.T, bound uint64) (stop func()) {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	before, most := stats.HeapAlloc, uint64(0)
	done := make(chan bool)
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			default:
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
			for range 100 {
				runtime.Gosched()
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		if most > before+bound {
			t.Errorf("the heap grew from %d to %d MiB", before>>20, most>>20)
		}
	}
}

func TestAVisitorWhoLeavesCancelsTheUpstreamsRequest(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		for _, begun := range []bool{false, true} {
			arrived, cancelled := make(chan bool), make(chan bool)
			p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if begun {
					fmt.Fprint(w, "x")
					http.NewResponseController(w).Flush()
				}
				close(arrived)
				<-r.Context().Done()
				close(cancelled)
			})))
			ctx, leave := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
			gone := make(chan bool)
			go func() {
				defer close(gone)
				if res, err := p.client().Do(req); err == nil {
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}()
			<-arrived
			leave()
			<-cancelled
			<-gone
			if err := <-p.errs; !errors.Is(err, ErrClientGone) {
				t.Errorf("Forward returned %v", err)
			}
		}
	})
}

func TestABodyThatBreaksOffIsNeverCompletedUpstream(t *testing.T) {
	ends := make(chan error, 1)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		ends <- err
	})))
	c := p.dial(t)
	defer c.Close()
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
	if err := <-ends; err == nil {
		t.Error("the upstream saw a complete body")
	}
	var broken *BodyError
	if err := <-p.errs; !errors.As(err, &broken) {
		t.Errorf("Forward returned %v, want a *BodyError", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil && !res.Close {
		t.Error("the visitor's connection stays open")
	}
}

// The visitor waits for an answer and sends nothing more: nobody but the
// upstream's connection tells that there will be none.
func TestAnUpstreamThatDiesDuringAnUploadIsNoticedAtOnce(t *testing.T) {
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, rawUpstream(t, func(c *net.TCPConn, r *bufio.Reader) {
			readHead(r)
			r.ReadByte()
		}))
		body, send := io.Pipe()
		go io.WriteString(send, "some")
		req, _ := http.NewRequest(http.MethodPost, p.URL, body)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatalf("%s: %v", visitor, err)
		}
		res.Body.Close()
		send.Close()
		if res.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: got %s", visitor, res.Status)
		}
	}
}

func TestAnEarlyAnswerEndsTheUpload(t *testing.T) {
	for _, visitor := range visitorModes {
		p := newProxy(t, visitor, Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		})))
		body, send := io.Pipe()
		go io.WriteString(send, "some")
		req, _ := http.NewRequest(http.MethodPost, p.URL, body)
		res, err := p.client().Do(req)
		if err != nil {
			t.Fatalf("%s: %v", visitor, err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		send.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge || res.ProtoMajor == 1 && !res.Close {
			t.Errorf("%s: got %s; the connection is to be closed: %v", visitor, res.Status, res.Close)
		}
	}
}

func TestAColdLoadReusesConnections(t *testing.T) {
	const modules = 1000
	var conns atomic.Int64
	up := startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "export {}") }))
	counted := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conns.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	p := newProxy(t, "h2", Options{Dial: counted}, up)
	// One connection with all requests on it, as a browser has.
	visitor, err := p.Client().Transport.(*http.Transport).NewClientConn(t.Context(), "https", p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	get := func() error {
		req, _ := http.NewRequest(http.MethodGet, p.URL, nil)
		res, err := visitor.RoundTrip(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "export {}" {
			return fmt.Errorf("%s %q: %w", res.Status, body, errors.Join(err))
		}
		return nil
	}
	load := func() {
		results := make(chan error, modules)
		for range modules {
			go func() { results <- get() }()
		}
		for range modules {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
	}
	load()
	first := conns.Load()
	load()
	second := conns.Load() - first
	t.Logf("%d connections for the first load, %d more for the second", first, second)
	if second > maxIdle { // how many the first takes depends on the machine
		t.Errorf("%d connections for %d modules, %d more for the second load", first, modules, second)
	}
}

// TestFlushedHeadWithoutBody flushes the head of a response that has no body. Over
// HTTP/2 the stream of such a response ends later than its head.
func TestFlushedHeadWithoutBody(t *testing.T) {
	matrix(t, func(t *testing.T, visitor, upstream string) {
		for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
			p := newProxy(t, visitor, Options{}, startUpstream(t, upstream, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_ = http.NewResponseController(w).Flush()
			})))
			res, err := p.client().Get(p.URL)
			if err != nil {
				t.Errorf("%d: %v", status, err)
				continue
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != status {
				t.Errorf("%d: got %s, %v", status, res.Status, err)
			}
			res.Body.Close()
			select {
			case err := <-p.errs:
				t.Errorf("%d: %v", status, err)
			default:
			}
		}
	})
}

// TestHeadOfEventStream asks for the head of an event stream, after which its connection
// is idle and counts as one that the pool keeps.
func TestHeadOfEventStream(t *testing.T) {
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
	})))
	res, err := p.client().Head(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	conns := &p.upstream.members.shared[0].conns
	conns.mu.Lock()
	defer conns.mu.Unlock()
	if conns.streams != 0 || len(conns.idle) != 1 {
		t.Errorf("%d streams and %d idle connections are counted", conns.streams, len(conns.idle))
	}
}
