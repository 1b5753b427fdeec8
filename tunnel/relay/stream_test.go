package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// TestWaitsForAgent: a visitor that comes just before the agent is served.
func TestWaitsForAgent(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	claim := claimOf(key, "")
	first := w.agent(key, claim, &recorder{})
	host := first.grant.Hosts[0]
	first.Close(nil)
	eventually(t, "the session is known to be over", func() bool { return len(w.shares.all()) == 0 })
	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer, 2)
	for _, protocol := range protocols {
		client := w.client(protocol)
		go func() {
			status, body, _ := get(t, client, "https://"+host+"/")
			answers <- answer{status, body}
		}()
	}
	eventually(t, "both wait", func() bool { _, n, _ := w.conns.counts(); return n == 2 })
	w.agent(key, claim, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "back") }))
	for range 2 {
		if a := within(t, "an answer", answers); a.status != 200 || a.body != "back" {
			t.Errorf("%+v", a)
		}
	}
}

// TestAbsent: the answers for names that no share has.
func TestAbsent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	file, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := start(t, func(o *Options) { o.Registry, o.Limits.Wait = file, 100*time.Millisecond })
	key := testKey("a")
	agent := w.agent(key, claimOf(key, "", "*.x"), &recorder{})
	host := agent.grant.Hosts[0]
	agent.Close(nil)
	eventually(t, "the session is over", func() bool { return len(w.shares.all()) == 0 })

	status, body, header := get(t, w.client("h1"), "https://"+host+"/", "Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Dest", "document")
	if status != 503 || !strings.Contains(body, "<h1>This share is asleep.</h1>") || header.Get("X-Robots-Tag") != "noindex" || header.Get("Retry-After") == "" {
		t.Errorf("a navigation: %d %v %s", status, header, body)
	}
	if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(body, "src=") {
		t.Errorf("the page loads something: %q %s", policy, body)
	}
	status, body, header = get(t, w.client("h1"), "https://"+host+"/")
	if status != 503 || !strings.HasPrefix(body, "This share is asleep.\n") || header.Get("Retry-After") != "10" {
		t.Errorf("a script: %d %v %q", status, header, body)
	}
	status, body, _ = get(t, w.client("h1"), "https://shop-0123456789abcdef."+domain+"/", "Accept", "text/html")
	if status != 404 || !strings.Contains(body, "This link does not exist.") {
		t.Errorf("an unknown name: %d %s", status, body)
	}

	// The name survives a restart of the relay, and so does its owner.
	w.Close()
	if err := file.Suspend(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	w = start(t, func(o *Options) { o.Registry, o.Limits.Wait = again, 100*time.Millisecond })
	if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 503 {
		t.Errorf("after a restart: %d", status)
	}
	if status, _, _ := get(t, w.client("h1"), "https://y--x--"+host+"/"); status != 503 {
		t.Errorf("a wildcard's name after a restart: %d", status)
	}
	if _, err := w.tryAgent(testKey("b"), claimOf(key, "", "*.x"), &recorder{}); codeFrom(err) != 67 {
		t.Errorf("another key after a restart: %v", err)
	}
}

// TestFind: how long a request waits for a share, and the error that it gets then.
func TestFind(t *testing.T) {
	const wait = 5 * time.Second
	gone := errors.New("the disk is gone")
	name := token
	root, _ := tunnel.Root(name, domain)
	for what, c := range map[string]struct {
		held  bool          // by a session without lanes
		known bool          // to the registry
		since time.Duration // the session was lost, or else the relay was started
		lost  bool
		bye   bool                 // the agent has said goodbye
		page  bool                 // a person waits
		until time.Duration        // from now, or never
		fault error                // of the registry
		later func(*Relay, *share) // after a second
		took  time.Duration
		want  error
	}{
		"lanes may come back":                    {held: true, took: wait, want: errAsleep},
		"another session may come":               {held: true, lost: true, since: recentlyGone - 2*time.Second, took: 2 * time.Second, want: errAsleep},
		"no other session is to be expected":     {held: true, lost: true, since: recentlyGone + 1, want: errAsleep},
		"lanes may come back, for a page":        {held: true, page: true, took: pageAfter, want: errAway},
		"another session, for a page":            {held: true, lost: true, page: true, took: pageAfter, want: errAway},
		"it has said goodbye":                    {held: true, lost: true, bye: true, took: restartGrace, want: errAsleep},
		"it has said goodbye before":             {held: true, lost: true, bye: true, since: restartGrace, want: errAsleep},
		"it has said goodbye, for a page":        {held: true, lost: true, bye: true, page: true, want: errAsleep},
		"the relay has just started, for a page": {known: true, page: true, took: pageAfter, want: errAway},
		"nobody has the name, for a page":        {page: true, want: errUnknownName},
		"it has ended":                           {held: true, until: -1, want: &EndedError{}},
		"it ends now":                            {held: true, until: 0, want: &EndedError{}},
		"it ends while somebody waits":           {held: true, until: 3 * time.Second, took: 3 * time.Second, want: &EndedError{}},
		"it is dropped meanwhile":                {held: true, later: func(r *Relay, _ *share) { r.shares.end(root) }, took: time.Second, want: errUnknownName},
		"it goes elsewhere meanwhile": {held: true, later: func(r *Relay, _ *share) {
			dial := func(context.Context) (net.Conn, error) { return nil, gone }
			r.successor.Store(&dial)
		}, took: time.Second, want: errAsleep},
		"nobody has the name":             {want: errUnknownName},
		"the relay has just started":      {known: true, since: recentlyGone - 2*time.Second, took: 2 * time.Second, want: errAsleep},
		"the relay has run for some time": {known: true, since: recentlyGone + 1, want: errAsleep},
		"the registry fails":              {fault: gone, want: gone},
		"the registry is somebody else's": {fault: ErrSuspended, want: errAsleep},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry := &brokenRegistry{Memory: NewMemory(), lookup: c.fault}
				r, err := New(Options{Domain: domain, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }, Registry: registry, Limits: Limits{Wait: wait}})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				owner := Key{1}
				if c.known {
					if err := registry.Claim(t.Context(), NameClaim{Owner: owner, Names: []string{root}}); err != nil {
						t.Fatal(err)
					}
				}
				s := &share{key: owner, session: &tunnel.Session{}}
				if c.held {
					claim := &claimed{hosts: []string{name}, root: root}
					if strings.Contains(what, "ends") || strings.Contains(what, "ended") {
						claim.until = time.Now().Add(c.until)
					}
					r.shares.put(s, claim)
				}
				began := time.Now()
				r.created = began.Add(-c.since)
				if c.lost {
					r.shares.sessionEnded(s, began.Add(-c.since))
					s.goodbye = c.bye
				}
				if c.later != nil {
					time.AfterFunc(time.Second, func() { c.later(r, s) })
				}
				_, err = r.find(t.Context(), name, c.page)
				took := time.Since(began)
				if late := took - c.took; late < 0 || late > resumePoll {
					t.Errorf("took %v, want %v", took, c.took)
				}
				var ended *EndedError
				if want := errors.As(c.want, new(*EndedError)); want != errors.As(err, &ended) || !want && !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if ended != nil && (ended.Name != name || !ended.At.Equal(began.Add(c.until))) {
					t.Errorf("%v, want %v", ended.At, began.Add(c.until))
				}
			})
		})
	}
}

// TestOpenGivenUp: when a visitor leaves while the share has no room, the request stops
// waiting, and the error is not that the share is full.
func TestOpenGivenUp(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits = Limits{RequestsPerShare: 1, RequestsPerVisitor: 1} })
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), &recorder{})
	slots := w.shares.forKey(publicKey(key)).slots
	p, err := slots.take(t.Context(), prefixOf(1))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan error, 1)
	go func() {
		_, err := w.openStream(ctx, a.grant.Hosts[0], netip.MustParseAddr("127.0.0.1"), nil, false)
		opened <- err
	}()
	eventually(t, "it waits", func() bool {
		slots.mu.Lock()
		defer slots.mu.Unlock()
		return len(slots.waiting) == 1
	})
	cancel()
	if err := within(t, "its end", opened); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	p.release()
	if n := slots.inUse(); n != 0 {
		t.Errorf("%d are under way", n)
	}
}

// TestOpenOn: a request waits for a session whose streams are not acknowledged yet. A
// request that gets no stream has no slot in the end.
func TestOpenOn(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.Wait = 100 * time.Millisecond })
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	l, held, _ := w.shares.find(a.grant.Hosts[0])
	if !held {
		t.Fatal("no share has the name")
	}
	head := authority{name: a.grant.Hosts[0], full: a.grant.Hosts[0]}.head("https", netip.AddrPort{})
	var streams []*tunnel.Stream
	for {
		st, err := l.session.Open(head)
		if errors.Is(err, tunnel.ErrTooManyStreams) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, st)
	}
	open := func(ctx context.Context) error {
		st, slot, err := w.openOn(ctx, l, prefixOf(1), head)
		if n := l.slots.inUse(); err != nil && n != 0 {
			t.Errorf("%v, and %d are under way", err, n)
		}
		if err == nil {
			st.Reset()
			slot.release()
		}
		return err
	}
	if err := open(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("with as many streams as there may be: %v", err)
	}
	gone, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := open(gone); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a visitor that leaves: %v", err)
	}
	w.opts.Limits.Wait = patience
	opened := make(chan error, 1)
	go func() { opened <- open(t.Context()) }()
	eventually(t, "it has a slot", func() bool { return l.slots.inUse() == 1 })
	streams[0].Reset()
	if err := within(t, "the stream", opened); err != nil {
		t.Errorf("when a stream is over: %v", err)
	}
	a.Close(nil)
	within(t, "the session's end", l.session.Done())
	if err := open(t.Context()); err == nil || errors.Is(err, errBusy) {
		t.Errorf("on a session that has ended: %v", err)
	}
}

// TestExpiry: a share ends by itself in time.
func TestExpiry(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	claim := claimOf(key, "")
	claim.Until = time.Now().Add(300 * time.Millisecond)
	host := w.agent(key, claim, &recorder{}).grant.Hosts[0]
	if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 && time.Now().Before(claim.Until) {
		t.Errorf("before its end: %d", status)
	}
	eventually(t, "410", func() bool {
		status, _, _ := get(t, w.client("h1"), "https://"+host+"/")
		return status == 410
	})
	if time.Now().Before(claim.Until) {
		t.Error("ended too early")
	}
}

func TestCandidates(t *testing.T) {
	for name, want := range map[string]string{
		"shop.t.example.com":    "shop.t.example.com *.t.example.com",
		"shop-x--a.example.com": "shop-x--a.example.com shop-x--*.example.com *--a.example.com *.example.com",
		"shop-x--a--b--c.example.com": "shop-x--a--b--c.example.com shop-x--*--b--c.example.com shop-x--*--c.example.com shop-x--*.example.com " +
			"*--a--b--c.example.com *--b--c.example.com *--c.example.com *.example.com",
		"shop-x--.example.com": "shop-x--.example.com *--.example.com *.example.com",
		"a--b--shop-x.z.example.com": "a--b--shop-x.z.example.com a--*--shop-x.z.example.com a--*.z.example.com " +
			"*--b--shop-x.z.example.com *--shop-x.z.example.com *.z.example.com",
	} {
		if got := strings.Join(candidates(name), " "); got != want {
			t.Errorf("candidates(%s) = %s, want %s", name, got, want)
		}
	}
	if n := len(candidates(strings.Repeat("-", 63) + ".x")); n > 128 {
		t.Errorf("%d candidates of one name", n)
	}
}

// TestCandidatesFindEveryName: whatever a wildcard matches, the relay finds the
// host that the agent means (tunnel.PublicNames).
func TestCandidatesFindEveryName(t *testing.T) {
	key := testKey("a")
	hosts := []string{"", "admin", "a.tenant", "*.tenant", "*.b.tenant", "*", "xn--bcher-kva", "*.my_app"}
	for _, claim := range []tunnel.Claim{claimOf(key), {Name: "shop"}, {Name: "shop", SharedCookies: true}} {
		claim.Hosts, claim.Names = hosts, tunnel.NewestNames
		_, names, err := tunnel.PublicNames(key.Public().(ed25519.PublicKey), domain, claim)
		if err != nil {
			t.Fatal(err)
		}
		held := map[string]string{}
		for i, name := range names {
			held[name] = hosts[i]
		}
		meant := func(name string) string {
			for _, candidate := range candidates(name) {
				if host, ok := held[candidate]; ok {
					return host
				}
			}
			return "nobody"
		}
		for i, name := range names {
			for _, label := range []string{"x", "x--y", "xn--p1ai", "a-", "-"} {
				asked := strings.Replace(name, "*", label, 1)
				if got := meant(asked); got != hosts[i] {
					t.Errorf("%s leads to %q, want %q", asked, got, hosts[i])
				}
			}
		}
		// The most exact host has a name that two could have.
		for host, want := range map[string]string{"a.tenant": "a.tenant", "x.b.tenant": "*.b.tenant", "x.tenant": "*.tenant", "tenant": "*"} {
			claim.Hosts = []string{host}
			_, name, err := tunnel.PublicNames(key.Public().(ed25519.PublicKey), domain, claim)
			if err != nil {
				t.Fatal(err)
			}
			if got := meant(name[0]); got != want {
				t.Errorf("%s leads to %q, want %q", name[0], got, want)
			}
		}
	}
}

// TestTries: a request whose session ends is sent again, but not forever.
func TestTries(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	asked := make(chan struct{}, 10)
	next := func() *agent {
		return w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-r.Context().Done()
		}))
	}
	current := next()
	host := current.grant.Hosts[0]
	status := make(chan int, 1)
	client := w.client("h1")
	go func() {
		got, _, _ := get(t, client, "https://"+host+"/")
		status <- got
	}()
	for range maxTries {
		within(t, "the request", asked)
		current.Close(nil)
		current = next()
	}
	if got := within(t, "the answer", status); got != http.StatusBadGateway || len(asked) > 0 {
		t.Errorf("%d, after %d more tries", got, len(asked))
	}
}

// TestSessionLostUnderRequest: a repeatable request goes to the next session, and no
// other is sent twice.
func TestSessionLostUnderRequest(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	asked := make(chan string, 10)
	older := w.agent(key, claimOf(key, ""), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- r.Method
		<-r.Context().Done()
	}))
	host := older.grant.Hosts[0]
	answers := map[string]chan string{http.MethodGet: make(chan string, 1), http.MethodPost: make(chan string, 1)}
	for method, answer := range answers {
		client := w.client("h2")
		go func() {
			r, _ := http.NewRequest(method, "https://"+host+"/", nil)
			res, err := client.Do(r)
			if err != nil {
				answer <- err.Error()
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			answer <- fmt.Sprint(res.StatusCode, " ", string(body))
		}()
		within(t, "the request", asked)
	}
	w.agent(key, claimOf(key, ""), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- "again " + r.Method
		fmt.Fprint(w, "newer")
	}))
	if got := within(t, "GET", answers[http.MethodGet]); got != "200 newer" {
		t.Errorf("GET: %s", got)
	}
	if got := within(t, "POST", answers[http.MethodPost]); !strings.HasPrefix(got, "502 ") {
		t.Errorf("POST: %s", got)
	}
	if got := within(t, "the repeated request", asked); got != "again GET" || len(asked) > 0 {
		t.Errorf("sent %q, and %d more", got, len(asked))
	}
}
