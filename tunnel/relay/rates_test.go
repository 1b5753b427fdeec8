package relay

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/devproxy/devproxy/tunnel"
)

// loopback is the network of every connection in these tests.
func (w *world) loopback() *network { return w.conns.network(netip.MustParseAddr("127.0.0.1")) }

// leave leaves an allowance of n, which does not grow: tests are slow on a busy
// machine.
func leave(limiter *rate.Limiter, n int) {
	limiter.SetLimit(1e-9)
	limiter.AllowN(time.Now(), int(limiter.Tokens())-n)
}

// TestWaste: a network that cancels many requests, or sends too many, loses its
// connections; one that does so occasionally does not.
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
		eventually(t, "the connection is closed", func() bool { _, n, _ := w.conns.counts(); return n == 0 })
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
				eventually(t, "the connection is closed", func() bool { _, n, _ := w.conns.counts(); return n == 0 })
			}
			eventually(t, "the next request", func() bool { // fails until the client has noticed
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
					t.Fatalf("session %d has ended with %v next to %d", j, err, i)
				}
			}
		}
	}
	within(t, "the first session's end", sessions[0].Done())
	if codeFrom(sessions[0].Err()) != tunnel.CodeBusy || sessions[1].Err() != nil {
		t.Errorf("the first ended with %v, the second with %v", sessions[0].Err(), sessions[1].Err())
	}
	known := func() int {
		w.agents.mu.Lock()
		defer w.agents.mu.Unlock()
		return len(w.agents.sessions[publicKey(key)])
	}
	eventually(t, "the others are known", func() bool { return known() == sessionsPerKey })
	for _, a := range sessions {
		a.Close(nil)
	}
	eventually(t, "none is known", func() bool { return known() == 0 })
	if len(w.agents.sessions) > 0 || len(w.agents.pending) > 0 {
		t.Errorf("%d keys and %d claims are left", len(w.agents.sessions), len(w.agents.pending))
	}
}

// TestClaimsPerSession: an agent changes its share as often as people do.
func TestClaimsPerSession(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), &recorder{})
	claim := claimOf(key, "")
	leave(w.shares.forKey(publicKey(key)).claims, claimsBurst)
	for i := range claimsBurst {
		if reply := a.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != 0 {
			t.Fatalf("change %d: %+v", i+1, reply)
		}
	}
	if reply := a.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != tunnel.CodeBusy {
		t.Errorf("change %d: %+v", claimsBurst+1, reply)
	}
}

// TestNameRates: what counts against a network's allowance, and what does not.
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

// TestEnrolmentRate: one token cannot enrol any number of keys. A known key does not
// need the allowance.
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
