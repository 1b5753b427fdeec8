package relay

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is an app that records its requests, with complete bodies.
type recorder struct {
	mu   sync.Mutex
	seen []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, fmt.Sprintf("%s %s %q", req.Method, req.RequestURI, body))
	fmt.Fprint(w, "ok")
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

// TestSmuggling: whatever the framing, the agent sees one request for each stream, and
// never one that was in another's body.
func TestSmuggling(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	app := &recorder{}
	host := w.agent(key, claimOf(key, ""), app).grant.Hosts[0]
	const inner = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		head, body string
		status     int    // of the first response
		sees       string // what the app sees; empty for nothing
	}{
		"a bodied GET":                {"GET / HTTP/1.1\r\nHost: %s\r\nContent-Length: 35", inner, 200, fmt.Sprintf("GET / %q", inner)},
		"two lengths":                 {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nContent-Length: 35", inner, 400, ""},
		"a list of lengths":           {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0, 35", inner, 400, ""},
		"a signed length":             {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: +35", inner, 400, ""},
		"length and chunks":           {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n" + inner, 400, ""},
		"another coding":              {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 35\r\nTransfer-Encoding: xchunked", inner, 501, ""},
		"chunked twice":               {"POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked, chunked", "0\r\n\r\n" + inner, 400, ""},
		"a blank before the colon":    {"POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding : chunked\r\nContent-Length: 35", inner, 400, ""},
		"a chunk without size":        {"POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked", "zz\r\n" + inner, 400, ""},
		"two hosts":                   {"GET / HTTP/1.1\r\nHost: %s\r\nHost: x", inner, 400, ""},
		"a bare LF in a value":        {"GET / HTTP/1.1\r\nHost: %s\r\nX: a\x00b", inner, 400, ""},
		"a folded length":             {"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length:\r\n 35", inner, 400, ""},
		"a folded field":              {"GET / HTTP/1.1\r\nHost: %s\r\nX: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 35", inner, 400, ""},
		"a space in the target":       {"GET /a HTTP/1.1\r\nX: b HTTP/1.1\r\nHost: %s", "", 200, `GET /a ""`},
		"CONNECT":                     {"CONNECT %s:443 HTTP/1.1\r\nHost: %[1]s", "", 501, ""},
		"HTTP/2 in the clear":         {"PRI * HTTP/2.0\r\nHost: %s", "SM\r\n\r\n", 501, ""},
		"absolute-form":               {"GET https://%s/abs?x HTTP/1.1\r\nHost: %[1]s", "", 200, `GET /abs?x ""`},
		"an address":                  {"GET / HTTP/1.1\r\nHost: [::1]", "", 400, ""},
		"absolute-form, another host": {"GET https://%s/abs?x HTTP/1.1\r\nHost: other", "", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.dial(host)
			fmt.Fprintf(conn, c.head+"\r\n\r\n%s", append([]any{host}, c.body)...)
			from := bufio.NewReader(conn)
			res, err := http.ReadResponse(from, nil)
			if c.status != 0 && (err != nil || res.StatusCode != c.status) {
				t.Errorf("answered with %v, %v; want %d", res, err, c.status)
			}
			if err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				if c.status >= 400 && !res.Close {
					t.Errorf("after %d the connection continues", res.StatusCode)
				}
			}
			conn.Close()
			seen := app.take()
			if got := strings.Join(seen, ", "); got != c.sees {
				t.Errorf("the app saw %s; want %s", got, c.sees)
			}
			for _, request := range seen {
				if strings.HasPrefix(request, "GET /smuggled") {
					t.Errorf("smuggled: %s", request)
				}
			}
		})
	}
}

// TestOtherShareOnConnection: every request goes to its own authority, and
// nowhere if the connection's certificate does not cover that.
func TestOtherShareOnConnection(t *testing.T) {
	w := start(t, nil)
	name := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	a, b := testKey("a"), testKey("b")
	hostA := w.agent(a, claimOf(a, ""), name("a")).grant.Hosts[0]
	hostB := w.agent(b, claimOf(b, "", "admin"), name("b")).grant.Hosts[0] // in its own zone
	c := testKey("c")
	hostC := w.agent(c, claimOf(c, ""), name("c")).grant.Hosts[0]

	conn := w.dial(hostA)
	from := bufio.NewReader(conn)
	for _, step := range []struct {
		host   string
		status int
		body   string
	}{
		{hostA, 200, "a"},
		{hostC, 200, "c"}, // a sibling below one wildcard certificate: browsers coalesce
		{hostB, 421, ""},
		{"www.example.com", 421, ""},
		{domain, 421, ""},
		{hostA + ":444", 200, "a"},
		{strings.ToUpper(hostA) + ".", 200, "a"},
		{"evil." + hostA, 421, ""},
		{hostA, 200, "a"},
	} {
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", step.host)
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatalf("Host %s: %v", step.host, err)
		}
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != step.status || step.body != "" && string(body) != step.body {
			t.Errorf("Host %s: %d %q; want %d %q", step.host, res.StatusCode, body, step.status, step.body)
		}
	}
	// The same by HTTP/2, on the connection that hostA has opened.
	client := w.client("h2")
	get(t, client, "https://"+hostA+"/")
	for host, want := range map[string]int{hostA: 200, hostC: 200, hostB: 421, "www.example.com": 421} {
		r, err := http.NewRequest(http.MethodGet, "https://"+hostA+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host // :authority
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("HTTP/2 with :authority %s: %d, want %d", host, res.StatusCode, want)
		}
	}
	// The certificate of a resumed session counts too.
	config := &tls.Config{RootCAs: w.ca.pool, ServerName: hostA, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for resumed := range 2 {
		conn, err := tls.Dial("tcp", w.addr, config)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hostB)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != 421 {
			t.Errorf("resumed %d (%v): %v, %v; want 421", resumed, conn.ConnectionState().DidResume, res, err)
		}
		if resumed == 1 && !conn.ConnectionState().DidResume {
			t.Error("the session was not resumed: this proves nothing")
		}
		conn.Close()
	}
}

// TestSlowloris: silent and slow connections are closed in time and never keep others
// out.
func TestSlowloris(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Limits = Limits{Handshakes: 10, HandshakeTimeout: time.Minute, HeadTimeout: 200 * time.Millisecond}
	})
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts[0]
	t.Run("before the handshake", func(t *testing.T) {
		for range 30 {
			c := dialTCP(t, w.addr)
			fmt.Fprint(c, "\x16\x03\x01")
		}
		if status, body, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 {
			t.Errorf("behind 30 silent connections: %d %q", status, body)
		}
		if n, _, _ := w.conns.counts(); n > 10 {
			t.Errorf("%d handshakes at once, want at most 10", n)
		}
	})
	t.Run("in a head", func(t *testing.T) {
		c := w.dial(host)
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nX: ", host)
		if _, err := io.ReadAll(c); err != nil { // closed, not by our own deadline
			t.Errorf("a head that does not end: %v", err)
		}
	})
}

// TestStalledBody: a visitor that stops sending gets a response that says so.
func TestStalledBody(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.StallTimeout = 200 * time.Millisecond })
	key := testKey("a")
	host := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts[0]
	c := w.dial(host)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\nhalf", host)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusRequestTimeout {
		t.Errorf("%v, %v; want 408", res, err)
	}
}

func TestLimits(t *testing.T) {
	t.Run("requests of an address", func(t *testing.T) {
		w := start(t, func(o *Options) { o.Limits = Limits{RequestsPerSecond: 0.001, Burst: 3} })
		key := testKey("a")
		host := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts[0]
		for i := range 5 {
			status, _, header := get(t, w.client("h1"), "https://"+host+"/") // a new connection each
			if want := map[bool]int{true: 200, false: 429}[i < 3]; status != want || want == 429 && header.Get("Retry-After") == "" {
				t.Errorf("request %d: %d %v, want %d", i, status, header, want)
			}
		}
		if !counts(w.Relay, `limited_total{limit="requests"} 2`) {
			t.Error("they are not counted")
		}
	})
	t.Run("body", func(t *testing.T) {
		w := start(t, func(o *Options) { o.Limits.BodyBytes = 10 })
		key := testKey("a")
		host := w.agent(key, claimOf(key, ""), http.HandlerFunc(echo)).grant.Hosts[0]
		for _, protocol := range protocols {
			for body, want := range map[string]int{"0123456789": 200, "0123456789+": 413} {
				for _, reader := range []io.Reader{strings.NewReader(body), io.MultiReader(strings.NewReader(body))} {
					res, err := w.client(protocol).Post("https://"+host+"/", "text/plain", reader)
					if err != nil {
						t.Fatal(err)
					}
					res.Body.Close()
					if res.StatusCode != want {
						t.Errorf("%s, %d bytes: %d, want %d", protocol, len(body), res.StatusCode, want)
					}
				}
			}
		}
	})
	t.Run("connections of an address", func(t *testing.T) {
		w := start(t, func(o *Options) { o.Limits.ConnectionsPerAddress = 5 })
		key := testKey("a")
		host := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts[0]
		// A lane that is still in its handshake counts as one of the address.
		eventually(t, "the agent has its lanes", func() bool { shaking, _, lanes := w.conns.counts(); return shaking == 0 && lanes >= 2 })
		var open []io.Closer
		for range 5 {
			open = append(open, w.dial(host))
		}
		eventually(t, "all are visitors", func() bool { _, n, _ := w.conns.counts(); return n == 5 })
		c := dialTCP(t, w.addr)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !strings.Contains(fmt.Sprint(err), "reset") {
			t.Errorf("the sixth connection: %v, want it closed", err)
		}
		open[0].Close()
		eventually(t, "a place is free again", func() bool { _, n, _ := w.conns.counts(); return n == 4 })
		if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 {
			t.Errorf("with a free place: %d", status)
		}
	})
	t.Run("requests of a share", func(t *testing.T) {
		w := start(t, func(o *Options) {
			o.Limits = Limits{RequestsPerShare: 2, RequestsPerVisitor: 2, Wait: 100 * time.Millisecond}
		})
		key := testKey("a")
		begun, finish := make(chan struct{}, 2), make(chan struct{})
		host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			begun <- struct{}{}
			<-finish
		})).grant.Hosts[0]
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() { get(t, w.client("h1"), "https://"+host+"/") })
			within(t, "a request", begun)
		}
		if status, _, header := get(t, w.client("h2"), "https://"+host+"/"); status != 503 || header.Get("Retry-After") != "1" {
			t.Errorf("the third request: %d %v", status, header)
		}
		close(finish)
		group.Wait()
	})
}

// TestManyVisitors: 500 at once are served, and one that reads slowly does not slow
// down another.
func TestManyVisitors(t *testing.T) {
	w := start(t, func(o *Options) { // 500 at once take long with the race detector
		o.Limits.HandshakeTimeout, o.Limits.HeadTimeout, o.Limits.Wait = 10*patience, 10*patience, 10*patience
	})
	key := testKey("a")
	all := make(chan struct{})
	arrived := make(chan struct{}, 1000) // or failed
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/endless" {
			for chunk := make([]byte, 1<<16); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}
		arrived <- struct{}{}
		<-all // until all have arrived
		fmt.Fprint(w, "ok")
	})).grant.Hosts[0]
	for range 8 {
		c := w.dial(host)
		fmt.Fprintf(c, "GET /endless HTTP/1.1\r\nHost: %s\r\n\r\n", host) // and reads nothing
	}
	var group sync.WaitGroup
	for i := range 500 {
		client := w.client(protocols[i%2])
		client.Timeout = 10 * patience
		group.Go(func() {
			served := false
			defer func() {
				if !served {
					arrived <- struct{}{} // nothing waits for it
				}
			}()
			status, body, _ := get(t, client, "https://"+host+"/")
			if served = status == 200 && body == "ok"; !served {
				t.Errorf("%d %q", status, body)
			}
		})
	}
	for range 500 {
		<-arrived
	}
	close(all)
	group.Wait()
}
