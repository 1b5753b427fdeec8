package relay

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/leaktest"
)

func codeFrom(err error) tunnel.Code {
	var refused *tunnel.Refusal
	if errors.As(err, &refused) {
		return refused.Code
	}
	return 0
}

func TestAdmission(t *testing.T) {
	known, enrolled, barred := testKey("known"), testKey("enrolled"), testKey("barred")
	file := filepath.Join(t.TempDir(), "authorized_keys")
	text := fmt.Sprintf("# people\n\ndevproxy-ed25519 %s ada@laptop\nrevoked %s\n", publicKey(known), publicKey(barred))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, func(o *Options) {
		o.Open, o.AuthorizedKeys, o.Tokens = false, file, []string{"first-token-of-two", "second-token-of-two"}
	})
	try := func(name string, token string) error {
		key := testKey(name)
		claim := claimOf(key, "")
		claim.Enrol = token
		a, err := w.tryAgent(key, claim, &recorder{})
		if err == nil {
			a.Close(nil)
		}
		return err
	}
	for _, step := range []struct {
		name, token string
		want        tunnel.Code // 0 is admitted
	}{
		{"known", "", 0},
		{"enrolled", "", tunnel.CodeUnknownKey},
		{"enrolled", "wrong", tunnel.CodeBadToken},
		{"enrolled", "second-token-of-two", 0},
		{"enrolled", "", 0}, // from now on it is known
		{"barred", "first-token-of-two", tunnel.CodeRevoked},
		{"other", "", tunnel.CodeUnknownKey},
	} {
		if err := try(step.name, step.token); codeFrom(err) != step.want || err != nil && step.want == 0 {
			t.Errorf("key %s with token %q: %v; want code %d", step.name, step.token, err, step.want)
		}
	}
	_ = enrolled
	// Without a file, a token, or --dev, no key is admitted.
	w = start(t, func(o *Options) { o.Open = false })
	if err := try("known", ""); codeFrom(err) != tunnel.CodeUnknownKey {
		t.Errorf("at a closed relay: %v", err)
	}
}

// TestEnrolOnly: a claim without hosts makes the key known, and nothing else.
func TestEnrolOnly(t *testing.T) {
	w := start(t, func(o *Options) { o.Open, o.Tokens = false, []string{"token-for-this-test"} })
	key := testKey("a")
	a := w.agent(key, tunnel.Claim{Enrol: "token-for-this-test"}, &recorder{})
	if a.grant.Domain != domain || a.grant.Port != 443 || len(a.grant.Hosts) != 0 {
		t.Errorf("the grant is %+v", a.grant)
	}
	a.Close(nil)
	if host := w.agent(key, claimOf(key, ""), &recorder{}).grant.Hosts; len(host) != 1 {
		t.Errorf("afterwards it is granted %q", host)
	}
}

// TestRevokedAtOnce: a key that leaves the file loses its session.
func TestRevokedAtOnce(t *testing.T) {
	a, b := testKey("a"), testKey("b")
	file := filepath.Join(t.TempDir(), "authorized_keys")
	write := func(keys ...Key) {
		t.Helper()
		var text strings.Builder
		for _, key := range keys {
			fmt.Fprintln(&text, base64.StdEncoding.EncodeToString(key[:]))
		}
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(publicKey(a), publicKey(b))
	w := start(t, func(o *Options) { o.Open, o.AuthorizedKeys = false, file })
	gone, stays := w.agent(a, claimOf(a, ""), &recorder{}), w.agent(b, claimOf(b, ""), &recorder{})
	write(publicKey(b))
	within(t, "the revoked session's end", gone.Done())
	if codeFrom(gone.Err()) != tunnel.CodeRevoked {
		t.Errorf("it ended with %v", gone.Err())
	}
	if err := stays.Err(); err != nil {
		t.Errorf("the other session: %v", err)
	}
	if _, err := w.tryAgent(a, claimOf(a, ""), &recorder{}); codeFrom(err) != tunnel.CodeRevoked {
		t.Errorf("once more: %v", err)
	}
	write(publicKey(a), publicKey(b))
	eventually(t, "the key is admitted again", func() bool {
		_, err := w.tryAgent(a, claimOf(a, ""), &recorder{})
		return err == nil
	})
}

// TestNames: which key may have which name.
func TestNames(t *testing.T) {
	w := start(t, nil)
	a, b := testKey("a"), testKey("b")
	first := w.agent(a, claimOf(a, ""), &recorder{})
	stolen := claimOf(a, "")
	if _, err := w.tryAgent(b, stolen, &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
		t.Errorf("another key's link: %v", err)
	}
	if _, err := w.tryAgent(b, claimOf(a, "", "admin"), &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
		t.Errorf("another key's link in a zone of one's own: %v", err)
	}
	first.Close(nil)
	if _, err := w.tryAgent(b, stolen, &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
		t.Errorf("another key's link while its owner sleeps: %v", err)
	}
	plain := tunnel.Claim{Name: "shop", Hosts: []string{"", "admin", "*.tenant"}}
	granted := w.agent(a, plain, http.HandlerFunc(echo)).grant
	if want := []string{"shop." + domain, "admin.shop." + domain, "*.tenant.shop." + domain}; granted.Zone != "shop."+domain || !slices.Equal(granted.Hosts, want) {
		t.Errorf("the grant is %+v", granted)
	}
	for _, host := range []string{"shop." + domain, "admin.shop." + domain, "x.tenant.shop." + domain} {
		if status, body, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 || !strings.Contains(body, "public="+host+" ") {
			t.Errorf("%s: %d %s", host, status, body)
		}
	}
	for _, host := range []string{"other.shop." + domain, "x.y.tenant.shop." + domain, "tenant.shop." + domain} {
		if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 404 {
			t.Errorf("%s: %d, want 404", host, status)
		}
	}
	for _, claim := range []tunnel.Claim{plain, {Name: "shop", Hosts: []string{"mine"}}} {
		if _, err := w.tryAgent(b, claim, &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
			t.Errorf("another key's plain name, hosts %q: %v", claim.Hosts, err)
		}
	}
	for name, claim := range map[string]tunnel.Claim{
		"bad name": {Name: "a--b", Hosts: []string{""}},
		"past":     {Name: "past", Hosts: []string{""}, Until: time.Now().Add(-time.Minute)},
	} {
		if _, err := w.tryAgent(b, claim, &recorder{}); codeFrom(err) != tunnel.CodeBadClaim {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUncovered: names that browsers would refuse are not granted.
func TestUncovered(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Covers = func(name string) bool { return strings.Count(name, ".") == strings.Count(domain, ".")+1 }
	})
	key := testKey("a")
	w.agent(key, claimOf(key, ""), &recorder{})
	if _, err := w.tryAgent(key, claimOf(key, "", "admin"), &recorder{}); codeFrom(err) != tunnel.CodeBadClaim || !strings.Contains(err.Error(), "*."+tunnel.Zone(key.Public().(ed25519.PublicKey))+"."+domain) {
		t.Errorf("two hosts: %v", err)
	}
}

// TestCoverZone: a relay that can get certificates is asked for the one of a zone, once
// its key has claimed the zone, and its refusal is that of the claim. It is asked for no
// other name.
func TestCoverZone(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	refusal := &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "it is being issued"}
	w := start(t, func(o *Options) {
		o.Covers = func(name string) bool { return strings.Count(name, ".") == strings.Count(domain, ".")+1 }
		o.CoverZone = func(zone, key string, network netip.Prefix) error {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, zone+" "+key+" "+network.String())
			if len(asked) == 1 {
				return refusal
			}
			return nil
		}
	})
	key := testKey("a")
	pub := key.Public().(ed25519.PublicKey)
	w.agent(key, claimOf(key, ""), &recorder{}) // needs no zone
	if _, err := w.tryAgent(key, claimOf(key, "", "admin"), &recorder{}); codeFrom(err) != tunnel.CodeBusy || !strings.Contains(err.Error(), "it is being issued") {
		t.Errorf("the first claim: %v", err)
	}
	if _, err := w.tryAgent(key, claimOf(key, "", "admin"), &recorder{}); err != nil {
		t.Errorf("the second claim: %v", err)
	}
	if _, err := w.tryAgent(key, tunnel.Claim{Name: "shop", Names: tunnel.NewestNames, SharedCookies: true, Hosts: []string{"", "*.tenant"}}, &recorder{}); codeFrom(err) != tunnel.CodeBadClaim {
		t.Errorf("a host two labels below the zone: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := tunnel.Zone(pub) + "." + domain + " " + keyOf(pub).String() + " 127.0.0.1/32"
	if !slices.Equal(asked, []string{want, want}) {
		t.Errorf("asked for %q, want twice %q", asked, want)
	}
}

// TestCoverWhileUsed: a zone and a domain of a share that lasts are claimed again from time
// to time, so that their certificates are renewed.
func TestCoverWhileUsed(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	cover := func(name, _ string, _ netip.Prefix) error {
		mu.Lock()
		defer mu.Unlock()
		asked[name]++
		return nil
	}
	w, records := startDomains(t, func(o *Options) { o.CoverZone, o.CoverDomain = cover, cover })
	records.set(custom, ownName("a"))
	w.agent(testKey("a"), domainClaim("a", ""), &recorder{})
	w.agent(testKey("b"), claimOf(testKey("b"), "", "admin"), &recorder{})
	w.agent(testKey("c"), claimOf(testKey("c"), ""), &recorder{}) // has neither
	w.proveDomainsOnce()
	w.renewNames()
	w.renewNames()
	mu.Lock()
	defer mu.Unlock()
	zone := tunnel.Zone(testKey("b").Public().(ed25519.PublicKey)) + "." + domain
	if len(asked) != 2 || asked[custom] != 2 || asked[zone] != 3 {
		t.Errorf("asked for %v", asked)
	}
}

// TestOneCertificate covers every host of a share, also of two keys at once, next to
// agents that claim names by older rules.
func TestOneCertificate(t *testing.T) {
	w := start(t, func(o *Options) {
		o.Covers = func(name string) bool { return strings.Count(name, ".") == strings.Count(domain, ".")+1 }
	})
	a, b := testKey("a"), testKey("b")
	claim := claimOf(a, "", "admin", "*.tenant", "a.tenant")
	claim.Names = tunnel.NamesInOneLabel
	unguessable := w.agent(a, claim, http.HandlerFunc(echo))
	plain := w.agent(b, tunnel.Claim{Name: "shop", Names: tunnel.NamesInOneLabel, Hosts: []string{"", "admin", "*.tenant"}}, http.HandlerFunc(echo))
	for _, agent := range []*agent{unguessable, plain} {
		if agent.grant.Zone != "" {
			t.Errorf("the zone is %q", agent.grant.Zone)
		}
		for _, host := range agent.grant.Hosts {
			for _, label := range []string{"x", "x--y", "xn--bcher-kva"} {
				name := strings.Replace(host, "*", label, 1)
				status, body, _ := get(t, w.client("h1"), "https://"+name+"/")
				if status != 200 || !strings.Contains(body, "public="+name+" ") {
					t.Errorf("%s: %d %s", name, status, body)
				}
			}
		}
	}
	start, _, _ := strings.Cut(unguessable.grant.Hosts[0], ".")
	for _, name := range []string{start + "--other." + domain, "shop--other." + domain, "shop----tenant." + domain} {
		if status, _, _ := get(t, w.client("h1"), "https://"+name+"/"); status != 404 {
			t.Errorf("%s: %d, want 404", name, status)
		}
	}
	// A host that looks like another key's link is not that link.
	c := testKey("c")
	decoy := tunnel.Claim{Project: "x", Link: tunnel.Link(c, 0), Names: tunnel.NamesInOneLabel, Hosts: []string{"shop-" + tunnel.Link(a, 0)}}
	if _, err := w.tryAgent(c, decoy, &recorder{}); err != nil {
		t.Errorf("a host that looks like a link: %v", err)
	}
	stolen := claim
	stolen.Hosts = []string{"other"}
	if _, err := w.tryAgent(b, stolen, &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
		t.Errorf("another host of another key's link: %v", err)
	}
	if _, err := w.tryAgent(c, tunnel.Claim{Name: "shop", Names: tunnel.NamesInOneLabel, Hosts: []string{"other"}}, &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
		t.Errorf("another host of another key's name: %v", err)
	}
	shared := claim
	shared.SharedCookies = true
	if _, err := w.tryAgent(a, shared, &recorder{}); codeFrom(err) != tunnel.CodeBadClaim || !strings.Contains(err.Error(), `remove cookies = "shared"`) {
		t.Errorf("shared cookies: %v", err)
	}
	plain.Close(nil)
	within(t, "the session's end", plain.Done())
	eventually(t, "the page of a share that sleeps", func() bool {
		status, body, _ := get(t, w.client("h1"), "https://shop--admin."+domain+"/")
		return status == 503 && !strings.Contains(body, "another")
	})
}

// TestWildcardTokenNames: a wildcard matches one label in the joined names too, and
// an exact host takes precedence.
func TestWildcardTokenNames(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	grant := w.agent(key, claimOf(key, "", "*.tenant", "a.tenant"), http.HandlerFunc(echo)).grant
	for _, label := range []string{"x", "a", "x-y", "x--y"} {
		host := strings.Replace(grant.Hosts[1], "*", label, 1)
		if status, body, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 || !strings.Contains(body, "public="+host+" ") {
			t.Errorf("%s: %d %s", host, status, body)
		}
	}
}

// TestReclaim: the names of a running session change as a whole.
func TestReclaim(t *testing.T) {
	w := start(t, nil)
	a, b := testKey("a"), testKey("b")
	w.agent(b, tunnel.Claim{Name: "taken", Hosts: []string{""}}, &recorder{})
	agent := w.agent(a, claimOf(a, ""), http.HandlerFunc(echo))
	one := agent.grant.Hosts[0]
	if reply := agent.ask(tunnel.Request{Op: "claim", Claim: &tunnel.Claim{Name: "taken", Hosts: []string{"", "x"}}}); reply.Code != tunnel.CodeNameTaken || reply.Grant != nil {
		t.Errorf("a name of another: %+v", reply)
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+one+"/"); status != 200 {
		t.Errorf("after a refused claim the old name gives %d", status)
	}
	claim := claimOf(a, "", "admin")
	reply := agent.ask(tunnel.Request{Op: "claim", Claim: &claim})
	if reply.Code != 0 || reply.Grant == nil || reply.Grant.Zone == "" || len(reply.Grant.Hosts) != 2 {
		t.Fatalf("two hosts: %+v", reply)
	}
	for _, host := range reply.Grant.Hosts {
		if status, _, _ := get(t, w.client("h1"), "https://"+host+"/"); status != 200 {
			t.Errorf("%s: %d", host, status)
		}
	}
	for _, bad := range []tunnel.Request{{Op: "dance"}, {Op: "dance", Claim: &claim}, {Op: "claim"}} {
		if reply := agent.ask(bad); reply.Code != tunnel.CodeBadClaim || reply.Error == "" {
			t.Errorf("%+v: %+v", bad, reply)
		}
	}
}

// TestControlStreams: a stream with another head is not a control stream, and a silent
// one does not delay the end of the relay.
func TestControlStreams(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), &recorder{})
	st, err := a.Open([]byte("dance"))
	if err != nil {
		t.Fatal(err)
	}
	_ = st.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprint(st, `{"op":"end"}`)
	_ = st.CloseWrite()
	if text, err := io.ReadAll(st); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || len(text) > 0 {
		t.Errorf("a stream with another head is answered with %q, %v", text, err)
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+a.grant.Hosts[0]+"/"); status != 200 {
		t.Errorf("afterwards the share answers with %d", status)
	}
	if reply := a.ask(tunnel.Request{Op: "claim", Claim: &tunnel.Claim{Name: "shop", Hosts: []string{"", "**"}}}); reply.Code != tunnel.CodeBadClaim {
		t.Errorf("a bad claim: %+v", reply)
	}
	admin := httptest.NewServer(w.Admin())
	defer admin.Close()
	if _, body, _ := get(t, admin.Client(), admin.URL+"/metrics"); !strings.Contains(body, fmt.Sprintf("devproxy_relay_refused_total{code=\"%d\"} 1", tunnel.CodeBadClaim)) {
		t.Error("the refusal is not counted")
	}

	silent, err := a.Open([]byte(tunnel.ControlHead))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := fmt.Fprint(silent, `{"op":`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the relay waits for the rest", func() bool { return leaktest.Running("relay.(*agents).do(") != "" })
	began := time.Now()
	w.Close()
	if took := time.Since(began); took >= controlTimeout/2 {
		t.Errorf("the relay has closed after %v", took)
	}
}

// TestControlFails: an error of the registry is reported, and changes nothing.
func TestControlFails(t *testing.T) {
	broken := &brokenRegistry{Memory: NewMemory()}
	w := start(t, func(o *Options) { o.Registry = broken })
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), &recorder{})
	next := claimOf(key, "", "more")
	broken.lookup = errors.New("the disk is gone")
	if reply := a.ask(tunnel.Request{Op: "claim", Claim: &next}); reply.Code != tunnel.CodeFailed || reply.Error != errFailed.Message {
		t.Errorf("a claim: %+v", reply)
	}
	broken.lookup, broken.release = nil, broken.lookup
	if reply := a.ask(tunnel.Request{Op: "end"}); reply.Code != tunnel.CodeFailed || reply.Error != errFailed.Message {
		t.Errorf("an end: %+v", reply)
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+a.grant.Hosts[0]+"/"); status != 200 {
		t.Errorf("the share answers with %d", status)
	}
	broken.release = nil
	if reply := a.ask(tunnel.Request{Op: "end"}); reply.Code != 0 {
		t.Errorf("an end: %+v", reply)
	}
	if names := w.shares.claimOf(w.shares.forKey(publicKey(key))).names(); len(names) > 0 {
		t.Errorf("after its end the session still holds %q", names)
	}
}

// TestAdmitNobody: a claim that cannot help is refused without a lookup in the registry.
func TestAdmitNobody(t *testing.T) {
	key := testKey("a")
	good, _ := json.Marshal(claimOf(key, ""))
	for name, c := range map[string]struct {
		hello  string
		change func(*Relay)
		want   tunnel.Code
		says   string
	}{
		"a claim that cannot be read": {"{", func(*Relay) {}, tunnel.CodeBadClaim, "cannot read the claim"},
		"the relay stops":             {string(good), func(r *Relay) { r.stopAccepting() }, tunnel.CodeBusy, "about to stop"},
		"no lane is left": {string(good), func(r *Relay) {
			for i := range 2 {
				if c, _ := lane(r.conns, "192.0.2.1"); c == nil {
					t.Fatalf("lane %d is refused", i)
				}
			}
		}, tunnel.CodeBusy, "as many shares"},
		"one lane is left": {string(good), func(r *Relay) { lane(r.conns, "192.0.2.1") }, 0, ""},
	} {
		registry := NewMemory()
		r, err := New(Options{Domain: domain, Certificate: newCA(t).certificate, Open: true, Registry: registry, Limits: Limits{LanesPerAddress: 2}})
		if err != nil {
			t.Fatal(err)
		}
		c.change(r)
		_, err = r.agents.admit(t.Context(), key.Public().(ed25519.PublicKey), []byte(c.hello), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})
		if codeFrom(err) != c.want || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %d", name, err, c.want)
		}
		if n := len(registry.names.records); n > 0 && c.want != 0 {
			t.Errorf("%s: %d names are kept", name, n)
		}
		r.Close()
	}
}

// TestEstablishedTwice: of two sessions of one key at once, the first one gets the
// claim, and the other one nothing.
func TestEstablishedTwice(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	a := w.agent(key, claimOf(key, ""), &recorder{})
	first := w.shares.forKey(publicKey(key))
	if n := len(w.agents.pending); n != 0 {
		t.Errorf("%d claims wait for sessions that are there", n)
	}
	w.agents.established(first.session)
	second := w.shares.forKey(publicKey(key))
	if second == first || second.from == nil || len(w.shares.claimOf(second).hosts) > 0 {
		t.Errorf("the second: %+v", second)
	}
	claim := claimOf(key, "")
	if _, err := w.agents.reclaim(t.Context(), first, claim); codeFrom(err) != tunnel.CodeReplaced {
		t.Errorf("a claim of the first: %v", err)
	}
	if _, err := w.agents.reclaim(t.Context(), second, claim); err != nil {
		t.Errorf("a claim of the second: %v", err)
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+a.grant.Hosts[0]+"/"); status != 200 {
		t.Errorf("the share answers with %d", status)
	}
}

// TestEnd: an ended link answers 410 at once, for good, with the time of its end.
func TestEnd(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	agent := w.agent(key, claimOf(key, ""), &recorder{})
	host := agent.grant.Hosts[0]
	if reply := agent.ask(tunnel.Request{Op: "end"}); reply.Code != 0 {
		t.Fatalf("%+v", reply)
	}
	status, body, header := get(t, w.client("h2"), "https://"+host+"/", "Accept", "text/html")
	if want := "It was open until " + time.Now().UTC().Format("15:04 UTC, 2 January"); status != 410 || header.Get("X-Robots-Tag") != "noindex" ||
		!strings.Contains(body, "This link has ended.") || !strings.Contains(body, want) {
		t.Errorf("%d %v %s", status, header, body)
	}
	claim := claimOf(key, "")
	if reply := agent.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != tunnel.CodeEnded {
		t.Errorf("the same link again: %+v", reply)
	}
	zoned := claimOf(key, "", "admin")
	if reply := agent.ask(tunnel.Request{Op: "claim", Claim: &zoned}); reply.Code != tunnel.CodeEnded {
		t.Errorf("the same link in another shape: %+v", reply)
	}
	claim.Link = tunnel.Link(key, 1)
	if reply := agent.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != 0 || reply.Grant.Hosts[0] == host {
		t.Errorf("the next link: %+v", reply)
	}
	named := w.agent(testKey("b"), tunnel.Claim{Name: "shop", Hosts: []string{""}}, &recorder{})
	if reply := named.ask(tunnel.Request{Op: "end"}); reply.Code != 0 {
		t.Errorf("a plain name's end: %+v", reply)
	}
	if status, _, _ := get(t, w.client("h1"), "https://shop."+domain+"/"); status != 410 {
		t.Errorf("an ended plain name: %d", status)
	}
	w.agent(testKey("b"), tunnel.Claim{Name: "shop", Hosts: []string{""}}, &recorder{})
	if status, _, _ := get(t, w.client("h1"), "https://shop."+domain+"/"); status != 200 {
		t.Errorf("a plain name shared again by its key: %d", status)
	}
}

// TestReplaced: a newer session of a key gets the names.
func TestReplaced(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	name := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	older := w.agent(key, claimOf(key, ""), name("older"))
	newer := w.agent(key, claimOf(key, ""), name("newer"))
	within(t, "the older session's end", older.Done())
	if !errors.Is(older.Err(), tunnel.ErrReplaced) {
		t.Errorf("the older ended with %v", older.Err())
	}
	if _, body, _ := get(t, w.client("h1"), "https://"+newer.grant.Hosts[0]+"/"); body != "newer" {
		t.Errorf("answered by %q", body)
	}
}

// TestAgentByWebSocket: the same session, in HTTPS.
func TestAgentByWebSocket(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	direct := w.dialLane
	_ = direct
	over := *w
	overSocket := func(ctx context.Context) (tunnel.Lane, error) {
		var state *http.Response
		c, res, err := websocket.Dial(ctx, "wss://"+domain+agentPath, &websocket.DialOptions{HTTPClient: over.client("h1")})
		if err != nil {
			return tunnel.Lane{}, err
		}
		state = res
		binding, err := tunnel.Binding(*state.TLS)
		return tunnel.Lane{Conn: socketLane{websocket.NetConn(context.Background(), c, websocket.MessageBinary), c, nil}, Binding: binding}, err
	}
	s, _, err := tunnel.Dial(t.Context(), tunnel.Config{Key: key, Dial: overSocket, Hello: []byte(`{"project":"shop","link":"` + tunnel.Link(key, 0) + `","hosts":[""]}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(nil)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "by websocket") })}
	done := make(chan error)
	go func() { done <- server.Serve(streams{s}) }()
	defer func() { s.Close(nil); server.Close(); <-done }()
	host := "shop-" + tunnel.Link(key, 0) + "." + domain
	if status, body, _ := get(t, w.client("h2"), "https://"+host+"/"); body != "by websocket" {
		t.Errorf("%d %q", status, body)
	}
	eventually(t, "two lanes", func() bool { _, _, n := w.conns.counts(); return n == 2 })
	if status, _, _ := get(t, w.client("h1"), "https://"+domain+agentPath, "Origin", "https://evil.example"); status != 400 {
		t.Errorf("a browser at the agents' path: %d", status)
	}
}

// TestNoWebSocket: what is not a WebSocket at the agents' path is refused, and the
// connection goes on.
func TestNoWebSocket(t *testing.T) {
	w := start(t, nil)
	conn := w.dial(domain)
	from := bufio.NewReader(conn)
	for range 2 {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", agentPath, domain)
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _ = io.Copy(io.Discard, res.Body); res.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("status %d", res.StatusCode)
		}
	}
}

// TestAgentByWebSocketRests: the time in which a visitor's response must move does not
// apply to a lane, which is idle without visitors.
func TestAgentByWebSocketRests(t *testing.T) {
	w := start(t, func(o *Options) { o.Limits.StallTimeout = time.Nanosecond })
	overSocket := func(ctx context.Context) (tunnel.Lane, error) {
		c, res, err := websocket.Dial(ctx, "wss://"+domain+agentPath, &websocket.DialOptions{HTTPClient: w.client("h1")})
		if err != nil {
			return tunnel.Lane{}, err
		}
		binding, err := tunnel.Binding(*res.TLS)
		return tunnel.Lane{Conn: socketLane{websocket.NetConn(context.Background(), c, websocket.MessageBinary), c, nil}, Binding: binding}, err
	}
	s, _, err := tunnel.Dial(t.Context(), tunnel.Config{Key: testKey("a"), Dial: overSocket, Hello: []byte(`{"hosts":[]}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(nil)
	eventually(t, "two lanes whose handlers have returned", func() bool { _, _, n := w.conns.counts(); return n == 2 && w.memory.Accounts() == 1 })
	a := &agent{Session: s, t: t}
	for range 10 {
		a.ask(tunnel.Request{})
	}
	if _, _, n := w.conns.counts(); n != 2 {
		t.Errorf("%d lanes are left", n)
	}
}

// TestTransplantedHello: a proof for one connection is not valid on another.
func TestTransplantedHello(t *testing.T) {
	w := start(t, nil)
	key := testKey("a")
	dial := func(ctx context.Context) (tunnel.Lane, error) {
		lane, err := w.dialLane(ctx)
		lane.Binding = make([]byte, len(lane.Binding)) // another connection's
		return lane, err
	}
	_, _, err := tunnel.Dial(t.Context(), tunnel.Config{Key: key, Dial: dial, Hello: []byte(`{"hosts":[]}`)})
	if codeFrom(err) != tunnel.CodeBadProof {
		t.Errorf("%v; want CodeBadProof", err)
	}
}

// TestLaneWithoutBinding: a connection that cannot be bound, since it has TLS
// 1.2, is not a lane, directly or in a WebSocket.
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
	if _, _, lanes := w.conns.counts(); lanes != 0 {
		t.Errorf("%d lanes", lanes)
	}
}
