package forward

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/plan"
)

// pool is a server with a fixed number of threads, each of which serves one
// connection at a time until that closes or was idle for keepAlive.
type pool struct {
	threads   int
	processes int           // that listen on one port, with so many threads each; 0 is one
	keepAlive time.Duration // 0 closes each connection after its answer, negative never
	announced bool          // in Keep-Alive
	backlog   int           // connections that wait to be accepted, 0 is the system's limit
	accepting time.Duration // before each connection is accepted
	work      time.Duration // for each request
	secure    *tls.Config   // for a handshake in the thread; nil without TLS

	accepted, requests atomic.Int64
	polling            chan struct{} // closed when a request for /poll has come; it is answered at the end of the test
	release            chan struct{}
	once               sync.Once
}

// start serves until the test ends.
func (p *pool) start(t *testing.T) plan.Member {
	t.Helper()
	listeners := listenShared(t, max(p.processes, 1))
	if p.backlog > 0 {
		for _, ln := range listeners {
			setBacklog(t, ln, p.backlog)
		}
	}
	p.polling, p.release = make(chan struct{}), make(chan struct{})
	var (
		threads sync.WaitGroup
		mu      sync.Mutex
		open    = map[net.Conn]bool{}
		over    bool
	)
	for i := range p.threads * len(listeners) {
		ln := listeners[i%len(listeners)]
		threads.Go(func() {
			for {
				time.Sleep(p.accepting)
				c, err := ln.Accept()
				if err != nil {
					return
				}
				p.accepted.Add(1)
				mu.Lock()
				open[c] = true
				if over {
					c.Close()
				}
				mu.Unlock()
				p.serve(c)
				mu.Lock()
				delete(open, c)
				mu.Unlock()
				c.Close()
			}
		})
	}
	t.Cleanup(func() {
		for _, ln := range listeners {
			ln.Close()
		}
		mu.Lock()
		over = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		close(p.release)
		threads.Wait()
	})
	m := plan.Member{Scheme: plan.SchemeHTTP, Network: "tcp", Addrs: []string{listeners[0].Addr().String()}, Text: ":pool"}
	if p.secure != nil {
		m.Scheme, m.SkipVerify, m.ServerName = plan.SchemeHTTPS, true, "localhost"
	}
	return m
}

func (p *pool) serve(c net.Conn) {
	if p.secure != nil {
		c = tls.Server(c, p.secure)
	}
	r := bufio.NewReader(c)
	for first := true; ; first = false {
		if !first && p.keepAlive >= 0 {
			_ = c.SetReadDeadline(time.Now().Add(p.keepAlive))
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_ = c.SetReadDeadline(time.Time{})
		if req.Header.Get("Expect") != "" {
			fmt.Fprint(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		p.requests.Add(1)
		n, err := io.Copy(io.Discard, req.Body)
		if err != nil {
			return
		}
		if req.URL.Path == "/poll" {
			p.once.Do(func() { close(p.polling) })
			<-p.release
		}
		time.Sleep(p.work)
		fields := ""
		if p.announced {
			fields = fmt.Sprintf("Keep-Alive: timeout=%d\r\n", int(p.keepAlive/time.Second))
		}
		closing := p.keepAlive == 0 || req.Close
		if closing {
			fields += "Connection: close\r\n"
		}
		text := fmt.Sprint(n)
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(text), text); err != nil || closing {
			return
		}
	}
}

// poolRequest is one request of a pattern.
type poolRequest struct {
	method string
	body   int  // bytes
	chunks bool // of unknown length
	expect bool
}

// send sends r and returns what went wrong.
func (r poolRequest) send(client *http.Client, url string) error {
	var body io.Reader
	if r.body > 0 {
		body = strings.NewReader(strings.Repeat("x", r.body))
		if r.chunks {
			body = struct{ io.Reader }{body}
		}
	}
	req, err := http.NewRequest(r.method, url+"/a", body)
	if err != nil {
		return err
	}
	if r.expect {
		req.Header.Set("Expect", "100-continue")
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || string(got) != fmt.Sprint(r.body) {
		return fmt.Errorf("%s of %d bytes: %s %.200q %w", r.method, r.body, res.Status, got, errors.Join(err))
	}
	return nil
}

// poolPatterns are what visitors send: lists of requests, one list after the
// other, the requests of a list at once.
var poolPatterns = map[string][][]poolRequest{
	"30 at once twice": {slices30(poolRequest{method: "GET"}), slices30(poolRequest{method: "GET"})},
	"GET, POST, GET":   {{{method: "GET"}}, {{method: "POST", body: 5}}, {{method: "GET"}}, {{method: "POST", body: 5}}},
	"chunked POST":     {{{method: "GET"}, {method: "GET"}}, {{method: "POST", body: 9, chunks: true}}, {{method: "GET"}}},
	"long body":        {{{method: "GET"}, {method: "GET"}}, {{method: "PUT", body: maxReplay + 1}}, {{method: "GET"}}},
	"Expect":           {{{method: "GET"}, {method: "GET"}}, {{method: "POST", body: 9, expect: true}}, {{method: "GET"}}},
	"mixed":            {append(slices30(poolRequest{method: "GET"}), slices30(poolRequest{method: "POST", body: 3})...)},
}

func slices30(r poolRequest) []poolRequest {
	all := make([]poolRequest, 30)
	for i := range all {
		all[i] = r
	}
	return all
}

// run sends a pattern, and returns how long it took and what failed.
func runPattern(client *http.Client, url string, pattern [][]poolRequest) (time.Duration, error) {
	start := time.Now()
	var mu sync.Mutex
	var failed error
	for _, list := range pattern {
		var group sync.WaitGroup
		for _, r := range list {
			group.Go(func() {
				if err := r.send(client, url); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed = errors.Join(failed, err)
				}
			})
		}
		group.Wait()
	}
	return time.Since(start), failed
}

// stallLimit ends a request that stalls, so that the test reports it.
const stallLimit = 10 * time.Second

// slowdown is how many times as long as over direct connections a pattern may
// take. A stalled request takes a thousand times as long as one that is not.
const slowdown = 5

// TestFewThreads: servers that bind a thread to each open connection answer all
// requests about as fast as over six connections of which none is kept open.
func TestFewThreads(t *testing.T) {
	if testing.Short() {
		t.Skip("runs many servers")
	}
	type kind struct {
		keepAlive, accepting time.Duration
		announced            bool
		processes            int
		poll                 bool // a long poll holds a thread
		slower               int  // than the others, by this factor; 0 is not
		secure               bool
	}
	for name, k := range map[string]kind{
		"no keep-alive":  {},
		"5 ms":           {keepAlive: 5 * time.Millisecond},
		"5 s, announced": {keepAlive: 5 * time.Second, announced: true},
		"unlimited":      {keepAlive: -1},
		"100 ms":         {keepAlive: 100 * time.Millisecond},
		"slow accept":    {keepAlive: -1, accepting: 5 * time.Millisecond},
		"slower accept":  {keepAlive: -1, accepting: 20 * time.Millisecond},
		"processes":      {keepAlive: -1, processes: sharedPorts(2), slower: 20}, // which of them gets a connection is chance
		"long poll":      {keepAlive: -1, poll: true},
		"TLS":            {keepAlive: -1, secure: true},
	} {
		for _, threads := range []int{1, 2, 8} {
			for about, pattern := range poolPatterns {
				t.Run(fmt.Sprintf("%s/%d threads/%s", name, threads, about), func(t *testing.T) {
					t.Parallel()
					server := pool{threads: threads + boolToInt(k.poll), processes: k.processes, keepAlive: k.keepAlive, accepting: k.accepting, announced: k.announced, work: 5 * time.Millisecond}
					scheme := "http://"
					if k.secure {
						server.secure, scheme = testTLS(t), "https://"
					}
					member := server.start(t)
					p := newProxy(t, "h2", Options{}, member)
					client := p.client()
					client.Timeout = stallLimit
					if err := (poolRequest{method: "GET"}).send(client, p.URL); err != nil { // leaves an idle connection
						t.Fatal(err)
					}
					if k.poll {
						poll(t, p, &server)
					}
					direct := &http.Client{Timeout: stallLimit, Transport: &http.Transport{MaxConnsPerHost: 6, DisableKeepAlives: true, ExpectContinueTimeout: time.Second, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
					var took, want time.Duration
					for range 3 { // the machine may be busy with something else
						var err error
						if took, err = runPattern(client, p.URL, pattern); err != nil {
							t.Fatalf("after %v: %v", took, err)
						}
						p.upstream.closeIdle()
						if want, err = runPattern(direct, scheme+member.Addrs[0], pattern); err != nil {
							t.Fatalf("direct, after %v: %v", want, err)
						}
						if took <= want*slowdown*time.Duration(max(k.slower, 1)) {
							return
						}
					}
					t.Errorf("took %v, direct connections %v", took, want)
				})
			}
		}
	}
}

// TestFullBacklog: a server with one thread and room for few connections that it has
// not accepted drops the requests for more. None of them waits for TCP's own retry.
func TestFullBacklog(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for seconds")
	}
	const tcpRetry = time.Second
	for scheme, secure := range map[string]*tls.Config{"http": nil, "https": testTLS(t)} {
		t.Run(scheme, func(t *testing.T) {
			withBacklog := func(n int) *proxy {
				server := &pool{threads: 1, keepAlive: -1, work: 5 * time.Millisecond, backlog: n, secure: secure}
				return newProxy(t, "h2", Options{}, server.start(t))
			}
			p, roomy := withBacklog(5), withBacklog(100)
			pattern := [][]poolRequest{slices.Concat(slices30(poolRequest{method: "GET"})[:20], slices30(poolRequest{method: "POST", body: 3})[:20])}
			var took, want time.Duration
			for range 3 { // the machine may be busy with something else
				var err error
				if took, err = runPattern(p.client(), p.URL, pattern); err != nil {
					t.Fatalf("after %v: %v", took, err)
				}
				if want, err = runPattern(roomy.client(), roomy.URL, pattern); err != nil {
					t.Fatalf("with room, after %v: %v", want, err)
				}
				if took < max(tcpRetry, 2*want) {
					return
				}
			}
			t.Errorf("took %v, and %v with room for all", took, want)
		})
	}
}

// poll opens a long poll, which ends with the test.
func poll(t *testing.T, p *proxy, server *pool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var polls sync.WaitGroup
	polls.Go(func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/poll", nil)
		if res, err := p.client().Do(req); err == nil {
			res.Body.Close()
		}
	})
	t.Cleanup(func() {
		cancel()
		polls.Wait()
	})
	within(t, "the long poll", server.polling)
}

// TestLongPollCostsOneConnection: an open long poll makes no other request open a
// connection, beyond the one that it may close.
func TestLongPollCostsOneConnection(t *testing.T) {
	server := pool{threads: 64, keepAlive: -1}
	p := newProxy(t, "h2", Options{}, server.start(t))
	client := p.client()
	client.Timeout = 6 * stallLimit
	poll(t, p, &server)
	const requests, workers = 4000, 4
	before := server.accepted.Load()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range requests / workers {
				if err := (poolRequest{method: "GET"}).send(client, p.URL); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if dials := server.accepted.Load() - before; dials > workers+requests/100 {
		t.Errorf("%d requests opened %d connections", requests, dials)
	}
}

// TestLongPollsHoldNobody: while as many long polls wait at an upstream as it
// has connections, other requests take no longer than without them.
func TestLongPollsHoldNobody(t *testing.T) {
	release := make(chan struct{})
	var polling sync.WaitGroup
	polling.Add(maxIdle)
	p := newProxy(t, "h1", Options{}, startUpstream(t, "http", pollHandler(release, &polling)))
	median := func() time.Duration { return medianGet(t, p, 9) }
	calm := median()
	var polls sync.WaitGroup
	for range maxIdle {
		polls.Go(func() { get(t, p, "/poll") })
	}
	polling.Wait()
	during := median()
	close(release)
	polls.Wait()
	t.Logf("%v calm, %v during %d long polls", calm, during, maxIdle)
	if during > 2*(calm+15*time.Millisecond) {
		t.Errorf("a request takes %v during %d long polls, %v without", during, maxIdle, calm)
	}
}

// TestStalledRequestsHoldNobody: while a client begins new requests all the time
// that are not answered, those of others take no longer than without them.
func TestStalledRequestsHoldNobody(t *testing.T) {
	p := newProxy(t, "h2", Options{}, startUpstream(t, "http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.URL.Path == "/poll" {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, "ok")
	})))
	calm := medianGet(t, p, 31)
	const atOnce = 200
	ctx, cancel := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	attacker := newClient(t, p)
	var begun atomic.Int64
	for i := range atOnce {
		attack.Go(func() {
			for ctx.Err() == nil {
				once, end := context.WithTimeout(ctx, time.Second)
				method, body := http.MethodGet, io.Reader(nil)
				if i%2 > 0 {
					method, body = http.MethodPost, stalled{once}
				}
				req, _ := http.NewRequestWithContext(once, method, p.URL+"/poll", body)
				begun.Add(1)
				if res, err := attacker.Do(req); err == nil {
					res.Body.Close()
				}
				end()
			}
		})
	}
	eventually(t, func() bool { return begun.Load() >= atOnce })
	var took []time.Duration
	for range 31 {
		before := begun.Load()
		eventually(t, func() bool { return begun.Load() >= before+2 })
		start := time.Now()
		get(t, p, "/")
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	during := took[len(took)/2]
	cancel()
	attack.Wait()
	t.Logf("%v calm, %v with %d stalled requests", calm, during, begun.Load())
	if during > 2*(calm+15*time.Millisecond) {
		t.Errorf("a request takes %v with stalled ones, %v without", during, calm)
	}
}

// stalled is a body of which nothing comes.
type stalled struct{ context.Context }

// Read implements io.Reader.
func (s stalled) Read([]byte) (int, error) {
	<-s.Done()
	return 0, s.Err()
}
