package devproxy

import (
	"crypto/ed25519"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/plan"
	"github.com/devproxy/devproxy/tunnel"
)

func TestStricter(t *testing.T) {
	base := plan.Share{Domain: "shop.localhost", Project: "shop", Hosts: []string{"shop.localhost", "admin.shop.localhost"}}
	for name, test := range map[string]struct {
		change func(*plan.Share)
		want   bool
	}{
		"nothing":          {func(*plan.Share) {}, false},
		"another end":      {func(p *plan.Share) { p.Expires++ }, false},
		"one host more":    {func(p *plan.Share) { p.Hosts = append(p.Hosts, "mail.shop.localhost") }, false},
		"another order":    {func(p *plan.Share) { p.Hosts = []string{"admin.shop.localhost", "shop.localhost"} }, false},
		"one host less":    {func(p *plan.Share) { p.Hosts = p.Hosts[:1] }, true},
		"a password":       {func(p *plan.Share) { p.Password = "pass" }, true},
		"a name":           {func(p *plan.Share) { p.Name = "shop" }, true},
		"only some paths":  {func(p *plan.Share) { p.Paths = []string{"/app"} }, true},
		"public paths":     {func(p *plan.Share) { p.Public = []string{"/app"} }, true},
		"only some people": {func(p *plan.Share) { p.Allow = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }, true},
	} {
		next := base
		test.change(&next)
		if got := stricter(&base, &next); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestCookieKeys has every link and every password have another.
func TestCookieKeys(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	key := ed25519.NewKeyFromSeed(seed)
	seed[0] = 1
	seen := map[string]string{}
	for name, l := range map[string]*link{
		"first":            {key: &credentials.Key{Private: key}, terms: terms{plan: &plan.Share{}}},
		"the next link":    {key: &credentials.Key{Private: key, Generation: 1}, terms: terms{plan: &plan.Share{}}},
		"a password":       {key: &credentials.Key{Private: key}, terms: terms{plan: &plan.Share{Password: "a"}}},
		"another password": {key: &credentials.Key{Private: key}, terms: terms{plan: &plan.Share{Password: "b"}}},
		"another folder":   {key: &credentials.Key{Private: ed25519.NewKeyFromSeed(seed)}, terms: terms{plan: &plan.Share{}}},
	} {
		made := string(l.cookieKey())
		if len(made) != 32 || made != string(l.cookieKey()) {
			t.Errorf("%s: %d bytes, or not the same twice", name, len(made))
		}
		if other, taken := seen[made]; taken {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[made] = name
	}
}

// TestNamesOfAnOlderRelay are accepted, and the link keeps them.
func TestNamesOfAnOlderRelay(t *testing.T) {
	home, folder := t.TempDir(), t.TempDir()
	key, err := (credentials.Store{Home: home}).OpenKey(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := key.SetExpiry(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	l := &link{key: key, relays: []credentials.Login{{Relay: "t.example.com"}}, terms: terms{plan: &plan.Share{
		Domain: "shop.localhost", Project: "shop", Hosts: []string{"shop.localhost", "admin.shop.localhost"},
	}}}
	grantBy := func(names tunnel.Names) tunnel.Grant {
		claim := l.claim()
		claim.Names = names
		zone, hosts, err := tunnel.PublicNames(key.Private.Public().(ed25519.PublicKey), "t.example.com", claim)
		if err != nil {
			t.Fatal(err)
		}
		return tunnel.Grant{Domain: "t.example.com", Port: 443, Zone: zone, Hosts: hosts}
	}
	newest, oldest := grantBy(tunnel.NewestNames), grantBy(tunnel.NamesByZone)
	strange := newest
	strange.Hosts = slices.Clone(strange.Hosts)
	slices.Reverse(strange.Hosts)
	for name, step := range map[string]struct {
		grant tunnel.Grant
		ok    bool
	}{"other names": {strange, false}, "no zone": {tunnel.Grant{Domain: "t.example.com", Hosts: oldest.Hosts}, false}, "the newest": {newest, true}} {
		if err := l.checkNames(step.grant); (err == nil) != step.ok || key.Names != tunnel.NewestNames {
			t.Errorf("%s: %v, by rules %d", name, err, key.Names)
		}
	}
	if err := l.checkNames(oldest); err != nil || key.Names != tunnel.NamesByZone || l.claim().Names != tunnel.NamesByZone {
		t.Errorf("an older relay's: %v, by rules %d", err, key.Names)
	}
	if err := l.checkNames(newest); err == nil {
		t.Error("the relay was updated, and the link has other names")
	}
	if again, err := (credentials.Store{Home: home}).OpenKey(folder, ""); err != nil || again.Names != tunnel.NamesByZone {
		t.Errorf("the next share: %v, by rules %d", err, again.Names)
	}
	if err := key.EndLink(); err != nil || key.Names != tunnel.NewestNames {
		t.Errorf("the next link: %v, by rules %d", err, key.Names)
	}
}
