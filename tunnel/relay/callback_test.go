package relay

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	localOrigin  = "https://shop.localhost:8443"
	callbackPath = "/auth/callback"
	state        = "a-state-that-nobody-can-guess"
)

// withCallback adds the callback host of project to a claim of key.
func withCallback(claim tunnel.Claim, key ed25519.PrivateKey, project string) tunnel.Claim {
	pub, _ := key.Public().(ed25519.PublicKey)
	claim.Callback = tunnel.NewCallback(testKey(project), pub, []string{callbackPath, "/second"}, localOrigin)
	return claim
}

func callbackHost(project string) string {
	pub, _ := testKey(project).Public().(ed25519.PublicKey)
	return tunnel.CallbackName(pub, domain)
}

// shareWithCallback shares one host of the folder, which has the callback host of project.
func (w *world) shareWithCallback(folder, project string) *agent {
	w.t.Helper()
	a := w.agent(testKey(folder), withCallback(claimOf(testKey(folder), ""), testKey(folder), project), &recorder{})
	if want := callbackHost(project); a.grant.Callback != want {
		w.t.Fatalf("the callback host is %q; want %q", a.grant.Callback, want)
	}
	return a
}

func (a *agent) expect(state string) tunnel.Reply {
	a.t.Helper()
	return a.ask(tunnel.Request{Op: "state", State: tunnel.StateHash(state)})
}

// leadsTo requests a URL of the callback host and checks the redirect.
func (w *world) leadsTo(project, uri, want string) {
	w.t.Helper()
	for _, protocol := range []string{"h1", "h2"} {
		status, body, fields := get(w.t, w.client(protocol), "https://"+callbackHost(project)+uri)
		if to := fields.Get("Location"); to != want || want != "" && (status != http.StatusFound || body != "") || want == "" && status < 400 {
			w.t.Errorf("%s GET %s: %d to %q; want %q", protocol, uri, status, to, want)
		}
		for name, value := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got := fields.Get(name); got != value {
				w.t.Errorf("%s GET %s: %s is %q; want %q", protocol, uri, name, got, value)
			}
		}
	}
}

// TestCallbackLeadsToTheShare: a callback goes to the share that has announced its state,
// and any other to the local origin.
func TestCallbackLeadsToTheShare(t *testing.T) {
	w := start(t, nil)
	a, b := w.shareWithCallback("a", "shop"), w.shareWithCallback("b", "shop")
	uri := callbackPath + "?code=c%20d&state="
	w.leadsTo("shop", uri+state, localOrigin+uri+state)
	if reply := a.expect(state); reply.Code != 0 {
		t.Fatal(reply.Error)
	}
	b.expect("another-state-of-the-other-folder")
	w.leadsTo("shop", uri+state, "https://"+a.grant.Hosts[0]+uri+state)
	w.leadsTo("shop", uri+"another-state-of-the-other-folder", "https://"+b.grant.Hosts[0]+uri+"another-state-of-the-other-folder")
	for _, other := range []string{"unknown-state-unknown-state", "", state[:tunnel.MinState-1], state + "&state=" + state, state + "&state=x", state + "&%zz"} {
		w.leadsTo("shop", uri+other, localOrigin+uri+other)
	}
	w.leadsTo("shop", callbackPath, localOrigin+callbackPath)
	w.leadsTo("shop", "/second?state="+state, "https://"+a.grant.Hosts[0]+"/second?state="+state)

	// With the share, its state is forgotten: the next link is another.
	a.Close(nil)
	eventually(t, "the share is forgotten", func() bool {
		w.shares.sweep(time.Now().Add(time.Hour))
		return w.shares.forKey(publicKey(testKey("a"))) == nil
	})
	w.leadsTo("shop", uri+state, localOrigin+uri+state)
}

// TestCallbackOfTheNextLink: the callback host stays when the link is another.
func TestCallbackOfTheNextLink(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	a := w.shareWithCallback("a", "shop")
	a.ask(tunnel.Request{Op: "end"})
	next := withCallback(claimOf(key, ""), key, "shop")
	next.Link = tunnel.Link(key, 1)
	reply := a.ask(tunnel.Request{Op: "claim", Claim: &next})
	if reply.Grant == nil || reply.Grant.Callback != callbackHost("shop") || reply.Grant.Hosts[0] == a.grant.Hosts[0] {
		t.Fatalf("the next link is %+v", reply)
	}
	a.expect(state)
	uri := callbackPath + "?state=" + state
	w.leadsTo("shop", uri, "https://"+reply.Grant.Hosts[0]+uri)
	none := next
	none.Callback = nil
	a.ask(tunnel.Request{Op: "claim", Claim: &none})
	if reply := a.expect("a-state-of-a-share-without-callback"); reply.Code != tunnel.CodeBadClaim {
		t.Errorf("without a callback host a state is answered with %+v", reply)
	}
	w.leadsTo("shop", uri, localOrigin+uri)
}

// TestCallbackPaths: nothing but the listed paths, in one spelling, leads anywhere.
func TestCallbackPaths(t *testing.T) {
	w := start(t, nil)
	w.shareWithCallback("a", "shop").expect(state)
	for _, path := range []string{
		"/", "/auth", "/auth/callback/", "/auth/callback/x", "/Auth/callback", "//auth/callback", "/auth//callback", "/./auth/callback",
		"/x/../auth/callback", "/auth%2fcallback", "/%61uth/callback", "/auth/callback%00", "/auth/callback;a=b", "//evil.example/auth/callback",
		"/%5cevil.example", "/auth/callback%0d%0aX:y", "/@evil.example/auth/callback",
	} {
		w.leadsTo("shop", path+"?state="+state, "")
	}
	for _, method := range []string{"PUT", "OPTIONS", "DELETE"} {
		r, _ := http.NewRequest(method, "https://"+callbackHost("shop")+callbackPath, nil)
		res, err := w.client("h1").Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", method, res.StatusCode, res.Header.Get("Location"))
		}
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+callbackHost("shop")+callbackPath+"?state="+strings.Repeat("x", maxCallbackQuery)); status != http.StatusRequestURITooLong {
		t.Errorf("a long query: %d", status)
	}
	w.leadsTo("shop", callbackPath+"?x=//evil.example/\\@\"<", localOrigin+callbackPath+"?x=//evil.example/%5C@%22%3C")
}

// TestCallbackForm: a form keeps its method and body, and its state counts.
func TestCallbackForm(t *testing.T) {
	w := start(t, nil)
	a := w.shareWithCallback("a", "shop")
	a.expect(state)
	share := "https://" + a.grant.Hosts[0] + callbackPath
	for _, protocol := range []string{"h1", "h2"} {
		for _, step := range []struct {
			kind, body string
			status     int
			to         string
		}{
			{"application/x-www-form-urlencoded", "code=c&state=" + state, http.StatusTemporaryRedirect, share},
			{"application/x-www-form-urlencoded; charset=utf-8", "state=unknown-state-unknown-state", http.StatusTemporaryRedirect, localOrigin + callbackPath},
			{"text/plain", "state=" + state, http.StatusUnsupportedMediaType, ""},
			{"application/x-www-form-urlencoded", "state=" + state + "&x=" + strings.Repeat("x", maxCallbackForm), http.StatusRequestEntityTooLarge, ""},
		} {
			res, err := w.client(protocol).Post("https://"+callbackHost("shop")+callbackPath, step.kind, strings.NewReader(step.body))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if to := res.Header.Get("Location"); res.StatusCode != step.status || to != step.to {
				t.Errorf("%s %s %.40q: %d to %q; want %d to %q", protocol, step.kind, step.body, res.StatusCode, to, step.status, step.to)
			}
		}
	}
}

// TestCallbackOutlivesTheRelay: the registry remembers the callback host while no share is
// connected. It ends when its key, or the key that has claimed it last, is revoked.
func TestCallbackOutlivesTheRelay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	open := func() *File {
		file, err := OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	file := open()
	w := start(t, func(o *Options) { o.Registry = file })
	w.shareWithCallback("a", "shop").expect(state)
	w.Close()
	file.Close()

	file = open()
	w = start(t, func(o *Options) { o.Registry = file })
	uri := callbackPath + "?state=" + state
	w.leadsTo("shop", uri, localOrigin+uri)
	for _, revoked := range []string{"a", "shop"} {
		key := publicKey(testKey(revoked))
		if err := file.SetStanding(context.Background(), key, Revoked); err != nil {
			t.Fatal(err)
		}
		if status, _, fields := get(t, w.client("h1"), "https://"+callbackHost("shop")+uri); status != http.StatusGone || fields.Get("Location") != "" {
			t.Errorf("%s is revoked: %d", revoked, status)
		}
		if err := file.SetStanding(context.Background(), key, Unknown); err != nil {
			t.Fatal(err)
		}
	}
	w.leadsTo("shop", uri, localOrigin+uri)
	if err := file.SetStanding(context.Background(), publicKey(testKey("shop")), Revoked); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tryAgent(testKey("a"), withCallback(claimOf(testKey("a"), ""), testKey("a"), "shop"), &recorder{}); codeFrom(err) != tunnel.CodeBadClaim {
		t.Errorf("a claim of a revoked callback host: %v", err)
	}
	if err := file.Suspend(); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+callbackHost("shop")+uri); status != http.StatusServiceUnavailable {
		t.Errorf("while another process has the registry: %d", status)
	}
}

// TestCallbackIsItsOwners: a project can't get the callback host of another, or share under
// its name.
func TestCallbackIsItsOwners(t *testing.T) {
	w := start(t, nil)
	a := w.shareWithCallback("a", "shop")
	stranger := testKey("stranger")
	copied := withCallback(claimOf(testKey("a"), ""), testKey("a"), "shop").Callback
	claims := map[string]func(*tunnel.Claim){
		"the proof of another agent": func(c *tunnel.Claim) { c.Callback = copied },
		"no proof":                   func(c *tunnel.Claim) { c.Callback.Proof = nil },
		"the agent's own key": func(c *tunnel.Claim) {
			pub, _ := stranger.Public().(ed25519.PublicKey)
			c.Callback = tunnel.NewCallback(stranger, pub, []string{callbackPath}, "")
		},
		"a public origin":      func(c *tunnel.Claim) { c.Callback.Local = "https://evil.example" },
		"an origin with user":  func(c *tunnel.Claim) { c.Callback.Local = "https://x@shop.localhost" },
		"plain HTTP":           func(c *tunnel.Claim) { c.Callback.Local = "http://shop.localhost" },
		"a path that escapes":  func(c *tunnel.Claim) { c.Callback.Paths = []string{"//evil.example"} },
		"a path with a query":  func(c *tunnel.Claim) { c.Callback.Paths = []string{"/a?b"} },
		"no paths":             func(c *tunnel.Claim) { c.Callback.Paths = nil },
		"many paths":           func(c *tunnel.Claim) { c.Callback.Paths = slices.Repeat([]string{"/a"}, tunnel.MaxCallbackPaths+1) },
		"a share of that name": func(c *tunnel.Claim) { c.Project, c.Callback = tunnel.CallbackLabel, nil },
	}
	label, _, _ := strings.Cut(callbackHost("shop"), ".")
	link := label[len(tunnel.CallbackLabel)+1:]
	for what, change := range claims {
		c := withCallback(claimOf(stranger, ""), stranger, "shop of a stranger")
		change(&c)
		if _, err := w.tryAgent(stranger, c, &recorder{}); codeFrom(err) != tunnel.CodeBadClaim {
			t.Errorf("%s: %v", what, err)
		}
	}
	c := claimOf(stranger, "")
	c.Link = link
	if _, err := w.tryAgent(stranger, c, &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
		t.Errorf("the callback host as a link: %v", err)
	}
	if reply := w.agent(stranger, claimOf(stranger, ""), &recorder{}).expect(state); reply.Code != tunnel.CodeBadClaim {
		t.Errorf("a state of another share: %+v", reply)
	}
	if reply := a.ask(tunnel.Request{Op: "state", State: "x"}); reply.Code != tunnel.CodeBadClaim {
		t.Errorf("a state that is not a hash: %+v", reply)
	}
	w.leadsTo("shop", callbackPath+"?state="+state, localOrigin+callbackPath+"?state="+state)
}

// TestCallbackOfARestoredKey: a key that the file has again after it was revoked has its
// callback host again.
func TestCallbackOfARestoredKey(t *testing.T) {
	key := publicKey(testKey("a"))
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, func(o *Options) {
		o.AuthorizedKeys = path
		if err := o.Registry.SetStanding(t.Context(), key, Revoked); err != nil {
			t.Fatal(err)
		}
	})
	w.shareWithCallback("a", "shop")
	uri := callbackPath + "?state=" + state
	w.leadsTo("shop", uri, localOrigin+uri)
}

// TestCallbackWithoutLocalOrigin: then only known states lead anywhere.
func TestCallbackWithoutLocalOrigin(t *testing.T) {
	w := start(t, nil)
	c := withCallback(claimOf(testKey("a"), ""), testKey("a"), "shop")
	c.Callback.Local = ""
	a := w.agent(testKey("a"), c, &recorder{})
	a.expect(state)
	w.leadsTo("shop", callbackPath+"?state="+state, "https://"+a.grant.Hosts[0]+callbackPath+"?state="+state)
	w.leadsTo("shop", callbackPath+"?state=unknown-state-unknown-state", "")
}

// TestCallbackOfADomain: a callback leads to the user's domain while the share has it, and
// never to a host that was not the first.
func TestCallbackOfADomain(t *testing.T) {
	w, records := startDomains(t, nil)
	records.set(custom, ownName("a"))
	w.agent(testKey("a"), withCallback(domainClaim("a", "", "admin"), testKey("a"), "shop"), &recorder{}).expect(state)
	uri := callbackPath + "?state=" + state
	w.leadsTo("shop", uri, "https://"+custom+uri)
	records.set(custom, "")
	w.proveDomainsOnce()
	w.leadsTo("shop", uri, localOrigin+uri)
}

// TestCallbackStates: states end with their time, and their number is bounded, for one host
// and for all.
func TestCallbackStates(t *testing.T) {
	states, now, key := newCallbackStates(), time.Now(), publicKey(testKey("a"))
	find := func(host, hash string, at time.Time) bool {
		_, ok := states.find(host, hash, at)
		return ok
	}
	for i := range statesPerCallback + 1 {
		states.expect("one", fmt.Sprint(i), key, now)
	}
	if find("one", "0", now) || !find("one", "1", now) || find("two", "1", now) || states.total != statesPerCallback {
		t.Errorf("of %d states %d are left", statesPerCallback+1, states.total)
	}
	if !find("one", "1", now.Add(stateLifetime-1)) || find("one", "1", now.Add(stateLifetime)) {
		t.Error("a state does not end with its time")
	}
	states.expect("one", "1", publicKey(testKey("b")), now.Add(time.Minute))
	if got, _ := states.find("one", "1", now.Add(stateLifetime)); got != publicKey(testKey("b")) {
		t.Error("the later share does not count")
	}
	for i := range statesTotal {
		states.expect(fmt.Sprint("host", i%100), fmt.Sprint(i), key, now)
	}
	if states.total != statesTotal || len(states.byHost["one"].byHash) > statesPerCallback/2 {
		t.Errorf("%d states are left, %d of the host with the most", states.total, len(states.byHost["one"].byHash))
	}
	states.sweep(now.Add(stateLifetime))
	if states.total != 1 || len(states.byHost) != 1 {
		t.Errorf("%d states of %d hosts are left", states.total, len(states.byHost))
	}
	states.sweep(now.Add(2 * stateLifetime))
	if states.total != 0 || len(states.byHost) != 0 {
		t.Errorf("at the end %d states of %d hosts are left", states.total, len(states.byHost))
	}
}

// FuzzCallback: a redirect's origin and path are among those that were claimed, and only the
// state of a share leads to it.
func FuzzCallback(f *testing.F) {
	for _, uri := range []string{
		"/auth/callback?code=1&state=" + state, "//evil.example/auth/callback?state=" + state, "/auth/callback#@evil.example", "/auth/callback?#",
		"https://evil.example/auth/callback?state=" + state, "/auth/callback?state=" + state + "&state=x", `/\evil.example?`, "/auth/callback?\xe2\x80\xa8", "?", "*", "/second",
	} {
		f.Add("GET", uri, "", "")
		f.Add("POST", uri, "application/x-www-form-urlencoded", "state="+state)
	}
	w := start(f, nil)
	a := w.shareWithCallback("a", "shop")
	a.expect(state)
	share := "https://" + a.grant.Hosts[0]
	from := w.conns.network(netip.MustParseAddr("192.0.2.1"))
	f.Fuzz(func(t *testing.T, method, uri, kind, body string) {
		text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", method, uri, callbackHost("shop"), kind, len(body), body)
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			return
		}
		answer := httptest.NewRecorder()
		v := &visit{relay: w.Relay, w: answer, r: r, from: from, accounting: accounting{control: http.NewResponseController(answer)}, start: time.Now()}
		v.at, _ = readAuthority(callbackHost("shop"), "https")
		v.openAccount()
		defer v.closeAccount()
		if !v.mayBeCallback() || !v.serveCallback() {
			t.Fatal("the callback host has not answered")
		}
		to := answer.Header().Get("Location")
		if to == "" {
			if answer.Code < 400 {
				t.Fatalf("%d without a Location", answer.Code)
			}
			return
		}
		u, err := url.Parse(to)
		if err != nil || strings.ContainsFunc(to, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Fatalf("the Location is %q: %v", to, err)
		}
		if origin := u.Scheme + "://" + u.Host; origin != share && origin != localOrigin || u.User != nil || u.Fragment != "" || u.EscapedPath() != callbackPath && u.EscapedPath() != "/second" {
			t.Errorf("%s %q leads to %q", method, uri, to)
		}
		if strings.HasPrefix(to, share) && !strings.Contains(uri+body, state) && !strings.Contains(uri+body, "%") {
			t.Errorf("%s %q reveals the share", method, uri)
		}
	})
}
