package relay

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
)

// loopback is the network of every connection in these tests.
func (w *world) loopback() *origin { return w.door.origin(netip.MustParseAddr("127.0.0.1")) }

// leave leaves an allowance of n, which does not grow: tests are slow on a busy
// machine.
func leave(limiter *rate.Limiter, n int) {
	limiter.SetLimit(1e-9)
	limiter.AllowN(time.Now(), int(limiter.Tokens())-n)
}

// TestWaste: a network that gives up requests, or sends too many, loses its
// connections; one that does so now and then does not.
func TestWaste(t *testing.T) {
	t.Run("too many", func(t *testing.T) {
		w := start(t, func(o *Options) { o.Limits = Limits{RequestsPerSecond: 0.001, Burst: 1} })
		c := w.dial(domain)
		ask := func() int {
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", domain)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				return 0
			}
			_, _ = io.Copy(io.Discard, res.Body)
			return res.StatusCode
		}
		leave(w.loopback().waste, 1)
		for i, want := range []int{404, 429} {
			if got := ask(); got != want {
				t.Fatalf("request %d: %d", i, got)
			}
		}
		ask()
		eventually(t, "the connection is closed", func() bool { _, n, _ := w.door.counts(); return n == 0 })
	})
	for name, c := range map[string]struct {
		left int
		want int // connections
	}{"given up": {0, 2}, "given up now and then": {1, 1}} {
		t.Run(name, func(t *testing.T) {
			w := start(t, nil)
			key := testKey("a")
			begun, gone := make(chan struct{}), make(chan struct{}, 1)
			host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					begun <- struct{}{}
					<-r.Context().Done()
					gone <- struct{}{}
				}
			})).grant.Hosts[0]
			client := w.client("h2")
			dials := 0
			transport := client.Transport.(*http.Transport)
			dial := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				dials++
				return dial(ctx, network, addr)
			}
			leave(w.loopback().waste, c.left)
			ctx, cancel := context.WithCancel(t.Context())
			request, _ := http.NewRequestWithContext(ctx, "GET", "https://"+host+"/slow", nil)
			failed := make(chan error, 1)
			go func() {
				_, err := client.Do(request)
				failed <- err
			}()
			within(t, "the request", begun)
			cancel()
			within(t, "its end", failed)
			within(t, "its end at the agent", gone)
			if c.left == 0 {
				eventually(t, "the connection is closed", func() bool { _, n, _ := w.door.counts(); return n == 0 })
			}
			eventually(t, "the next request", func() bool { // fails while the client has not noticed
				res, err := client.Get("https://" + host + "/")
				if err != nil {
					return false
				}
				res.Body.Close()
				return res.StatusCode == 200
			})
			if dials != c.want {
				t.Errorf("%d connections, want %d", dials, c.want)
			}
		})
	}
}

// TestSessionsPerKey: sessions that drain count; the oldest ends.
func TestSessionsPerKey(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	var sessions []*agent
	for i := range sessionsPerKey + 1 {
		begun := make(chan struct{}, maxTries*(sessionsPerKey+1)) // a request whose session ends is sent again
		a := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			begun <- struct{}{}
			<-r.Context().Done()
		}))
		go func() {
			res, err := w.client("h1").Get("https://" + a.grant.Hosts[0] + "/")
			if err == nil {
				res.Body.Close()
			}
		}()
		within(t, "a request", begun)
		a.Drain()
		sessions = append(sessions, a)
		if i < sessionsPerKey {
			for j, other := range sessions {
				if err := other.Err(); err != nil {
					t.Fatalf("session %d has ended with %v beside %d", j, err, i)
				}
			}
		}
	}
	within(t, "the first session's end", sessions[0].Done())
	if codeFrom(sessions[0].Err()) != tunnel.CodeBusy || sessions[1].Err() != nil {
		t.Errorf("the first ended with %v, the second with %v", sessions[0].Err(), sessions[1].Err())
	}
	known := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.sessions[publicKey(key)])
	}
	eventually(t, "the others are known", func() bool { return known() == sessionsPerKey })
	for _, a := range sessions {
		a.Close(nil)
	}
	eventually(t, "none is known", func() bool { return known() == 0 })
	if len(w.sessions) > 0 || len(w.admitted) > 0 {
		t.Errorf("%d keys and %d claims are left", len(w.sessions), len(w.admitted))
	}
}

// TestClaimsPerSession: an agent changes its share as often as people do.
func TestClaimsPerSession(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), &recorder{})
	claim := claimOf(key, "")
	leave(w.table.ofKey(publicKey(key)).claims, claimsBurst)
	for i := range claimsBurst {
		if reply := a.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != 0 {
			t.Fatalf("change %d: %+v", i+1, reply)
		}
	}
	if reply := a.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != tunnel.CodeBusy {
		t.Errorf("change %d: %+v", claimsBurst+1, reply)
	}
}

// TestNameRates: what costs something of a network's allowance, and what does not.
func TestNameRates(t *testing.T) {
	w := start(t, nil)
	try := func(key ed25519.PrivateKey, claim tunnel.Claim) tunnel.Code {
		t.Helper()
		a, err := w.tryAgent(key, claim, &recorder{})
		if err == nil {
			a.Close(nil)
			<-a.Done()
		}
		return codeFrom(err)
	}
	plain := func(name string) tunnel.Claim { return tunnel.Claim{Name: name, Hosts: []string{""}} }
	a, b := testKey("a"), testKey("b")
	if code := try(a, plain("one")); code != 0 {
		t.Fatal(code)
	}
	leave(w.loopback().plain, 0)
	for name, c := range map[string]struct {
		key   ed25519.PrivateKey
		claim tunnel.Claim
		want  tunnel.Code
	}{
		"its own name":                 {a, plain("one"), 0},
		"its own name with more hosts": {a, tunnel.Claim{Name: "one", Hosts: []string{"", "x"}}, 0},
		"a new plain name":             {a, plain("two"), tunnel.CodeBusy},
		"another key's name":           {b, plain("one"), tunnel.CodeBusy},
		"a link":                       {b, claimOf(b, ""), 0},
	} {
		if code := try(c.key, c.claim); code != c.want {
			t.Errorf("%s: %d, want %d", name, code, c.want)
		}
	}
	if code := try(a, plain("one")); code != 0 {
		t.Fatal(code)
	}
	if err := w.opts.Registry.Release(t.Context(), publicKey(a), []string{"one." + domain}); err != nil {
		t.Fatal(err)
	}
	leave(w.loopback().names, 0)
	if code := try(a, plain("one")); code != tunnel.CodeBusy {
		t.Errorf("its own name that has ended: %d", code)
	}
	until := claimOf(b, "")
	until.Until = time.Now().Add(time.Hour)
	next := claimOf(b, "")
	next.Link = tunnel.Link(b, 1)
	for name, c := range map[string]struct {
		claim tunnel.Claim
		want  tunnel.Code
	}{
		"the same link":     {claimOf(b, ""), 0},
		"with another end":  {until, tunnel.CodeBusy},
		"another link":      {next, tunnel.CodeBusy},
		"nothing, to enrol": {tunnel.Claim{Hosts: []string{}}, 0},
		"in another shape":  {claimOf(b, "", "x"), tunnel.CodeBusy}, // a zone is new
	} {
		if code := try(b, c.claim); code != c.want {
			t.Errorf("%s: %d, want %d", name, code, c.want)
		}
	}
}

// TestRefusalsAreNoted: in the log, with the address, and in the metrics.
func TestRefusalsAreNoted(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) { o.Log, o.Open = slog.New(slog.NewJSONHandler(&log, nil)), false })
	key := testKey("a")
	if _, err := w.tryAgent(key, claimOf(key, ""), &recorder{}); codeFrom(err) != tunnel.CodeUnknownKey {
		t.Fatal(err)
	}
	for _, part := range []string{`"msg":"agent refused"`, publicKey(key).String(), `"from":"127.0.0.1:`} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("no %s in %s", part, log.String())
		}
	}
	admin := httptest.NewServer(w.Admin())
	defer admin.Close()
	if _, body, _ := get(t, admin.Client(), admin.URL+"/metrics"); !strings.Contains(body, `devproxy_relay_refused_total{code="64"} 1`) {
		t.Error("the refusal is not counted")
	}
}

// TestSessionsAreNoted: an agent's session is in the log from its beginning to its end.
func TestSessionsAreNoted(t *testing.T) {
	var log syncBuffer
	w := start(t, func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	key := testKey("a")
	a := w.agent(key, claimOf(key, "", "x"), &recorder{})
	a.ask(tunnel.Request{Op: "end"})
	a.Close(nil)
	// A lane that was being dialled may have its own line, which knows no key.
	var lines []string
	eventually(t, "three lines of the key", func() bool {
		lines = nil
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, publicKey(key).String()) {
				lines = append(lines, line)
			}
		}
		return len(lines) == 3
	})
	for i, line := range lines {
		want := [][]string{{`"msg":"agent connected"`, `"hosts":2`}, {`"msg":"share ended"`}, {`"msg":"agent gone"`, `"reason":`}}[i]
		for _, part := range append(want, `"from":"127.0.0.1/32"`) {
			if !strings.Contains(line, part) {
				t.Errorf("no %s in %s", part, line)
			}
		}
	}
}

// TestEnrolmentRate: one token does not make keys without end. A key that is
// known does not need the allowance.
func TestEnrolmentRate(t *testing.T) {
	w := start(t, func(o *Options) { o.Open, o.Tokens = false, []string{"token-for-this-test"} })
	try := func(name string) tunnel.Code {
		a, err := w.tryAgent(testKey(name), tunnel.Claim{Enrol: "token-for-this-test", Hosts: []string{}}, &recorder{})
		if err == nil {
			a.Close(nil)
			<-a.Done()
		}
		return codeFrom(err)
	}
	if code := try("a"); code != 0 {
		t.Fatal(code)
	}
	leave(w.loopback().names, 0)
	if code := try("b"); code != tunnel.CodeBusy {
		t.Errorf("a new key: %d", code)
	}
	if code := try("a"); code != 0 {
		t.Errorf("a key that is known: %d", code)
	}
}

// TestNamesPerKey: the quota of the relay's limits counts.
func TestNamesPerKey(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.Names = Quota{PlainPerKey: 2} })
	for i, want := range []tunnel.Code{0, 0, tunnel.CodeBadClaim} {
		a, err := w.tryAgent(testKey("a"), tunnel.Claim{Name: fmt.Sprint("name-", i), Hosts: []string{""}}, &recorder{})
		if codeFrom(err) != want || err != nil && !strings.Contains(err.Error(), "2 plain names") {
			t.Errorf("name %d: %v", i+1, err)
		}
		if err == nil {
			a.Close(nil)
		}
	}
}

// TestDescriptors: the total bound is reached with real connections. Agents and
// visitors of one address leave no room for more of it, and nothing breaks.
func TestDescriptors(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Limits = Limits{Descriptors: 40, Connections: 40, ConnectionsPerAddress: 40, Handshakes: 40}
	})
	if w.door.most != 20 {
		t.Fatalf("connections may have %d descriptors", w.door.most)
	}
	key := testKey("a")
	hold := make(chan struct{})
	var begun sync.WaitGroup
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			begun.Done()
			<-hold
		}
	})).grant.Hosts[0]
	eventually(t, "two lanes", func() bool { _, _, n := w.door.counts(); return n == 2 })
	var group sync.WaitGroup
	for range 18 {
		begun.Add(1)
		group.Go(func() {
			if res, err := w.client("h1").Get("https://" + host + "/hold"); err == nil {
				res.Body.Close()
			} else {
				t.Errorf("one of those that fit: %v", err)
			}
		})
		begun.Wait()
	}
	c := dialTCP(t, w.addr)
	if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("one more than fit: %v, want it closed", err)
	}
	if !counts(w.Relay, `limited_total{limit="connections"} 1`) {
		t.Error("the one that was refused is not counted")
	}
	if h, v, l := w.door.counts(); h+v+l > 20 {
		t.Errorf("%d + %d + %d connections of 20", h, v, l)
	}
	close(hold)
	group.Wait()
	if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}

// TestLaneWithoutBinding: a connection that cannot be bound, since it has TLS
// 1.2, is no lane, directly or in a WebSocket.
func TestLaneWithoutBinding(t *testing.T) {
	w := start(t, nil)
	old := &tls.Config{RootCAs: w.ca.pool, ServerName: domain, NextProtos: []string{tunnel.ALPN}, MaxVersion: tls.VersionTLS12}
	c, err := tls.Dial("tcp", w.addr, old)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	key := testKey("a")
	hello, _ := json.Marshal(claimOf(key, ""))
	// The proof is for no binding, as a relay that does not look would check it.
	_, _, err = tunnel.Dial(t.Context(), tunnel.Config{Key: key, Hello: hello, Dial: func(context.Context) (tunnel.Lane, error) {
		return tunnel.Lane{Conn: c, Binding: nil}, nil
	}})
	if err == nil || codeFrom(err) == tunnel.CodeBadProof {
		t.Errorf("a lane over TLS 1.2: %v", err)
	}
	client := w.client("h1")
	client.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	socket, res, err := websocket.Dial(t.Context(), "wss://"+domain+agentPath, &websocket.DialOptions{HTTPClient: client})
	if err == nil {
		socket.CloseNow()
		t.Error("a WebSocket over TLS 1.2 is taken for a lane")
	} else if res == nil || res.StatusCode != 400 {
		t.Errorf("%v %v", res, err)
	}
	if _, _, lanes := w.door.counts(); lanes != 0 {
		t.Errorf("%d lanes", lanes)
	}
}

// brokenRegistry fails where a test says.
type brokenRegistry struct {
	*Memory
	standing, lookup, set, release, renew, sweep error
}

func (b *brokenRegistry) Release(ctx context.Context, owner Key, names []string) error {
	if b.release != nil {
		return b.release
	}
	return b.Memory.Release(ctx, owner, names)
}

func (b *brokenRegistry) Renew(ctx context.Context, owner Key, names []string) error {
	if b.renew != nil {
		return b.renew
	}
	return b.Memory.Renew(ctx, owner, names)
}

func (b *brokenRegistry) Sweep(ctx context.Context) error {
	if b.sweep != nil {
		return b.sweep
	}
	return b.Memory.Sweep(ctx)
}

func (b *brokenRegistry) SetStanding(ctx context.Context, key Key, s Standing) error {
	if b.set != nil {
		return b.set
	}
	return b.Memory.SetStanding(ctx, key, s)
}

func (b *brokenRegistry) Standing(ctx context.Context, key Key) (Standing, error) {
	if b.standing != nil {
		return Unknown, b.standing
	}
	return b.Memory.Standing(ctx, key)
}

func (b *brokenRegistry) Lookup(ctx context.Context, name string) (Record, bool, error) {
	if b.lookup != nil {
		return Record{}, false, b.lookup
	}
	return b.Memory.Lookup(ctx, name)
}

// TestBrokenRegistry: a registry that cannot be read lets nobody in, also where
// everybody else may come in.
func TestBrokenRegistry(t *testing.T) {
	broken := &brokenRegistry{Memory: NewMemory()}
	w := start(t, func(o *Options) { o.Registry = broken })
	key := testKey("a")
	if err := broken.SetStanding(t.Context(), publicKey(key), Revoked); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tryAgent(key, claimOf(key, ""), &recorder{}); codeFrom(err) != tunnel.CodeRevoked {
		t.Errorf("a revoked key: %v", err)
	}
	for name, fault := range map[string]func(error){
		"standing": func(err error) { broken.standing = err },
		"lookup":   func(err error) { broken.lookup = err },
	} {
		for _, kind := range []struct {
			err  error
			code tunnel.Code
		}{{errors.New("the disk is gone"), tunnel.CodeFailed}, {ErrSuspended, tunnel.CodeBusy}} {
			fault(kind.err)
			for _, who := range []string{"a", "b"} {
				if who == "a" && name == "lookup" {
					continue // revoked
				}
				if _, err := w.tryAgent(testKey(who), claimOf(testKey(who), ""), &recorder{}); codeFrom(err) != kind.code {
					t.Errorf("%s fails with %v: key %s gets %v", name, kind.err, who, err)
				}
			}
		}
		fault(nil)
	}
	if _, err := w.tryAgent(testKey("b"), claimOf(testKey("b"), ""), &recorder{}); err != nil {
		t.Errorf("a registry that works again: %v", err)
	}
}

// TestTrailersFiltered: trailers that speak of a connection or of the visitor
// are passed on in neither direction.
func TestTrailersFiltered(t *testing.T) {
	bad := []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Upgrade"}
	w := start(t, nil)
	key := testKey("a")
	seen := make(chan http.Header, 1)
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		seen <- r.Trailer
		_, _ = io.WriteString(rw, "body")
		rw.(http.Flusher).Flush()
		for _, name := range append(bad, "X-Mine") {
			rw.Header().Set(http.TrailerPrefix+name, "there")
		}
	})).grant.Hosts[0]
	for _, protocol := range protocols {
		// The scanner refuses the fields of a connection in a trailer; the others
		// are for the filter.
		var fields strings.Builder
		for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Mine"} {
			fmt.Fprintf(&fields, "%s: here\r\n", name)
		}
		if protocol == "h1" { // by hand: net/http's client refuses most of them
			c := w.dial(host)
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: %s\r\nTe: trailers\r\nTrailer: X-Mine, X-Forwarded-For, Forwarded\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n%s\r\n", host, &fields)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			checkTrailer(t, "to an HTTP/1 visitor", res.Trailer, bad, "there")
		} else {
			res, err := w.client(protocol).Post("https://"+host+"/", "", strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			checkTrailer(t, "to an HTTP/2 visitor", res.Trailer, bad, "there")
		}
		got := within(t, "the request", seen)
		if protocol == "h1" {
			checkTrailer(t, "to the app", got, bad, "here")
		}
	}
}

func checkTrailer(t *testing.T, where string, got http.Header, bad []string, want string) {
	t.Helper()
	if got.Get("X-Mine") != want {
		t.Errorf("%s: X-Mine is %q in %v", where, got.Get("X-Mine"), got)
	}
	for _, name := range bad {
		if got.Get(name) != "" {
			t.Errorf("%s: the trailer %s came through", where, name)
		}
	}
}

// TestSlotsAreFreed: with the answer at once, and some time after a visitor has
// given up.
func TestSlotsAreFreed(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	begun := make(chan struct{})
	host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-r.Context().Done()
		}
	})).grant.Hosts[0]
	underWay := w.table.ofKey(publicKey(key)).slots.underWay
	for _, protocol := range protocols {
		get(t, w.client(protocol), "https://"+host+"/")
		eventually(t, "an answered request is counted out", func() bool { return underWay() == 0 })
		ctx, cancel := context.WithCancel(t.Context())
		request, _ := http.NewRequestWithContext(ctx, "GET", "https://"+host+"/slow", nil)
		failed := make(chan error, 1)
		go func() {
			_, err := w.client(protocol).Do(request)
			failed <- err
		}()
		within(t, "the request", begun)
		if underWay() != 1 {
			t.Errorf("%s: %d are under way", protocol, underWay())
		}
		cancel()
		within(t, "its end", failed)
		eventually(t, "one that was given up is counted out", func() bool { return underWay() == 0 })
	}
}

// TestStalledUploadGivesWay: in a full share, a visitor of another network gets
// the place of an upload that rests, whose visitor is told so. No other one is
// given up for it.
func TestStalledUploadGivesWay(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			w := start(t, func(o *Options) { o.Limits = Limits{RequestsPerShare: 2, RequestsPerVisitor: 2} })
			key := testKey("a")
			host := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
			})).grant.Hosts[0]
			slots := w.table.ofKey(publicKey(key)).slots
			type upload struct {
				end    io.Closer // of the body
				status int
			}
			answers := make(chan upload, 2)
			ends := map[io.Closer]bool{}
			for range 2 {
				body, end := io.Pipe()
				ends[end] = true
				go func() {
					res, err := w.client(protocol).Post("https://"+host+"/", "", struct {
						io.Reader
						io.Closer
					}{io.MultiReader(strings.NewReader("half"), body), body})
					if err != nil {
						answers <- upload{end, 0}
						return
					}
					res.Body.Close()
					answers <- upload{end, res.StatusCode}
				}()
			}
			defer func() {
				for end := range ends {
					end.Close()
				}
			}()
			eventually(t, "both are under way", func() bool { return slots.underWay() == 2 })
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			p, err := slots.take(ctx, network(9))
			if err != nil {
				t.Fatal(err)
			}
			first := within(t, "the answer", answers)
			if first.status != 503 || slots.underWay() != 2 {
				t.Errorf("the upload that gave way: %d; %d are under way", first.status, slots.underWay())
			}
			p.release()
			delete(ends, first.end)
			first.end.Close()
			for end := range ends {
				end.Close()
			}
			if second := within(t, "the answer", answers); second.status != 200 {
				t.Errorf("the other upload: %d", second.status)
			}
		})
	}
}

// TestKeysReloaded: a key that is barred in the file loses its session, also if
// it was enrolled; a registry that cannot be written is told of.
func TestKeysReloaded(t *testing.T) {
	a, b := publicKey(testKey("a")), publicKey(testKey("b"))
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# none\n")
	broken := &brokenRegistry{Memory: NewMemory()}
	if err := broken.SetStanding(t.Context(), a, Enrolled); err != nil {
		t.Fatal(err)
	}
	k, err := newKeys(&Options{AuthorizedKeys: path, Registry: broken})
	if err != nil {
		t.Fatal(err)
	}
	write("revoked " + a.String() + "\n" + b.String() + "\n")
	var told []Change
	defer broken.Watch(func(c Change) { told = append(told, c) })()
	if err := errors.Join(k.reload(t.Context()), k.reload(t.Context())); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0] != (Change{Key: a, Standing: Revoked}) {
		t.Errorf("told %v", told)
	}
	write("revoked " + a.String() + "\nrevoked " + b.String() + "\n")
	if err := k.reload(t.Context()); err != nil || len(told) < 2 || slices.ContainsFunc(told[1:], func(c Change) bool { return c.Key != b }) {
		t.Errorf("%v; told %v", err, told)
	}
	c, d := publicKey(testKey("c")), publicKey(testKey("d"))
	write(c.String() + "\n" + d.String() + "\n")
	if err := k.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	told = nil
	write("# c is gone\n" + d.String() + "\n")
	if err := errors.Join(k.reload(t.Context()), k.reload(t.Context())); err != nil || len(told) != 1 || told[0] != (Change{Key: c, Standing: Revoked}) {
		t.Errorf("a key that is no longer in the file: %v; told %v", err, told)
	}
	broken.set = errors.New("the disk is full")
	write("# d is gone\n")
	if err := k.reload(t.Context()); err != nil {
		t.Errorf("the first look: %v", err)
	}
	if err := k.reload(t.Context()); !errors.Is(err, broken.set) {
		t.Errorf("a key that could not be taken out: %v", err)
	}
	broken.set = errors.New("the disk is full")
	write("revoked " + publicKey(testKey("c")).String() + "\n")
	if err := k.reload(t.Context()); !errors.Is(err, broken.set) {
		t.Errorf("a key that could not be barred: %v", err)
	}
	if err := k.admit(t.Context(), publicKey(testKey("c")), "", nil); codeFrom(err) != tunnel.CodeRevoked {
		t.Errorf("it comes in: %v", err)
	}
}

// TestKeysWatched: the file is followed until the relay ends. What is wrong with it
// is told once for each text, and what was read before goes on counting.
func TestKeysWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys")
		a, b := publicKey(testKey("a")), publicKey(testKey("b"))
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(a.String())
		k, err := newKeys(&Options{AuthorizedKeys: path, Registry: NewMemory()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var noted []error
		done := make(chan struct{})
		go func() {
			defer close(done)
			k.watch(ctx, func(err error) { noted = append(noted, err) })
		}()
		for _, step := range []struct {
			text  string
			a, b  bool // may come in
			notes int
		}{
			{a.String(), true, false, 0},
			{"nonsense", true, false, 1},
			{a.String() + "\n" + b.String(), true, true, 0},
			{b.String(), false, true, 0},
		} {
			noted = nil
			write(step.text)
			time.Sleep(3 * keysPoll)
			synctest.Wait()
			if len(noted) != step.notes {
				t.Errorf("%q: noted %v", step.text, noted)
			}
			for key, may := range map[Key]bool{a: step.a, b: step.b} {
				if err := k.admit(t.Context(), key, "", nil); (err == nil) != may {
					t.Errorf("%q: %v", step.text, err)
				}
			}
		}
		cancel()
		<-done
		k.path = ""
		k.watch(t.Context(), func(err error) { t.Error(err) }) // nothing to follow
	})
}
