package devproxy

import (
	"bytes"
	"crypto/ed25519"
	"reflect"
	"slices"
	"testing"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/tunnel"
)

// callbackLink is a link of a project with a callback host.
func callbackLink(t *testing.T, hosts ...string) *link {
	t.Helper()
	p := &plan.Share{Domain: "shop.localhost", Project: "shop", Hosts: hosts, Callback: []string{"/auth/callback", "/other"}}
	return callbackLinkOf(t, credentials.Store{Home: t.TempDir()}, p)
}

// callbackLinkOf is a link of p.
func callbackLinkOf(t *testing.T, store credentials.Store, p *plan.Share) *link {
	t.Helper()
	key, err := openCallbackKey(store, p)
	if err != nil {
		t.Fatal(err)
	}
	return &link{
		key:    &credentials.Key{Private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))},
		relays: []credentials.Login{{Relay: "t.example.com"}}, terms: terms{plan: p, localOrigin: localOrigin(p, 8443), callbackKey: key},
	}
}

// TestCallbackOfAnotherHost: a project that calls itself like another one, with a first host
// of its own, gets a callback host of its own. So it changes nothing about the other's.
func TestCallbackOfAnotherHost(t *testing.T) {
	store := credentials.Store{Home: t.TempDir()}
	of := func(hosts ...string) *tunnel.Callback {
		p := &plan.Share{Domain: "shop.localhost", Project: "shop", Hosts: hosts, Callback: []string{"/auth/callback"}}
		return callbackLinkOf(t, store, p).claim().Callback
	}
	shop, clone, other := of("shop.localhost"), of("shop.localhost", "admin.shop.localhost"), of("evil.localhost", "shop.localhost")
	if !bytes.Equal(shop.Key, clone.Key) {
		t.Error("a clone has another callback host")
	}
	if bytes.Equal(shop.Key, other.Key) {
		t.Errorf("the callback host of %s leads to %s", shop.Local, other.Local)
	}
}

// TestCallbackIsClaimed by links through relays, with the local origin of the first host.
func TestCallbackIsClaimed(t *testing.T) {
	l := callbackLink(t, "shop.localhost", "api.shop.localhost")
	claim := l.claim()
	if c := claim.Callback; c == nil || c.Check(l.key.Public()) != nil || c.Local != "https://shop.localhost:8443" || !slices.Equal(c.Paths, l.plan.Callback) {
		t.Fatalf("the claim has %+v", claim.Callback)
	}
	if !reflect.DeepEqual(claim, l.claim()) {
		t.Error("the claim changes, so that every save sends it again")
	}
	l.provider = provider.Provider{Name: "cloudflare"}
	without := callbackLinkOf(t, credentials.Store{Home: t.TempDir()}, &plan.Share{Domain: "shop.localhost", Hosts: []string{"shop.localhost"}})
	for name, l := range map[string]*link{"without callback": without, "a provider": l, "a wildcard first": callbackLink(t, "*.shop.localhost", "shop.localhost")} {
		if l.claim().Callback != nil {
			t.Errorf("%s: it claims %+v", name, l.claim().Callback)
		}
	}
	for host, want := range map[string]string{"shop.localhost": "https://shop.localhost", "shop.test": "", "*.shop.localhost": "", "": ""} {
		if got := localOrigin(&plan.Share{Hosts: []string{host}}, 443); got != want {
			t.Errorf("the local origin of %q is %q, want %q", host, got, want)
		}
	}
}

// TestWithoutCallback: the status says why there is none.
func TestWithoutCallback(t *testing.T) {
	l := callbackLink(t, "shop.localhost")
	if got := l.cannot(); len(got) != 0 {
		t.Errorf("before the relay has answered: %q", got)
	}
	l.grant = tunnel.Grant{Domain: "t.example.com", Port: 443}
	if got := l.cannot(); !slices.Equal(got, []string{"callback: the relay is an older version; ask its operator to update it"}) {
		t.Errorf("an older relay: %q", got)
	}
	l.grant.Callback = "callback-x.t.example.com"
	if got := l.cannot(); len(got) != 0 {
		t.Errorf("with a callback host: %q", got)
	}
	l.provider = provider.Provider{Name: "cloudflare"}
	if got := l.cannot(); !slices.Contains(got, "callback: its addresses do not last") {
		t.Errorf("a provider: %q", got)
	}
}

// TestCallbacks are known without a share, once a relay has granted a callback host.
func TestCallbacks(t *testing.T) {
	store := credentials.Store{Home: t.TempDir()}
	p := &plan.Share{Domain: "shop.localhost", Hosts: []string{"shop.localhost"}, Callback: []string{"/auth/callback", "/other"}}
	if got := Callbacks(store, p); got != nil {
		t.Errorf("before the first share: %q", got)
	}
	if _, err := openCallbackKey(store, p); err != nil {
		t.Fatal(err)
	}
	if err := store.SetCallbackOrigin(p.CallbackOwner(), callbackOrigin(tunnel.Grant{Callback: "callback-x.t.example.com", Port: 8443})); err != nil {
		t.Fatal(err)
	}
	want := []string{"https://callback-x.t.example.com:8443/auth/callback", "https://callback-x.t.example.com:8443/other"}
	if got := Callbacks(store, p); !slices.Equal(got, want) {
		t.Errorf("they are %q, want %q", got, want)
	}
	if p.Callback = nil; Callbacks(store, p) != nil {
		t.Error("a project without callback has some")
	}
}
