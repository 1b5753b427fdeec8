package relay

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

func TestReserved(t *testing.T) {
	for _, label := range strings.Fields("www wpad isatap autoconfig autodiscover mta-sts login admin api mail mail2 ns1 ns-1 www3 smtp imap pop pop3 pop4 mx10 auth sso oauth2 account hostmaster postmaster webmaster abuse security localhost") {
		if !isReserved(label) {
			t.Errorf("%s is not reserved", label)
		}
	}
	for _, label := range strings.Fields("shop demo app test docs blog help portal my-api apis login-form admin-shop ada 1 2024 www-shop mailing nsa pop-art ns1a") {
		if isReserved(label) {
			t.Errorf("%s is reserved", label)
		}
	}
}

// TestReservedNames: no key may claim them for the first time; a key that has one keeps it, and the
// operator may allow them.
func TestReservedNames(t *testing.T) {
	memory := NewMemory()
	a, b := testKey("a"), testKey("b")
	err := memory.Claim(t.Context(), NameClaim{Owner: publicKey(a), Names: []string{"api." + domain}})
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, func(o *Options) { o.Registry, o.Names = memory, []string{"admin"} })
	try := func(name string, hosts ...string) error {
		key := b
		if name == "api" {
			key = a
		}
		agent, err := w.tryAgent(key, tunnel.Claim{Name: name, Hosts: hosts}, &recorder{})
		if err == nil {
			agent.Close(nil)
		}
		return err
	}
	if err := try("wpad", ""); codeFrom(err) != tunnel.CodeNameTaken || !strings.Contains(err.Error(), "--allow-name wpad") && !strings.Contains(err.Error(), "reserved") {
		t.Errorf("wpad: %v", err)
	}
	if _, known, _ := memory.Lookup(t.Context(), "wpad."+domain); known {
		t.Error("a refused name is kept")
	}
	for _, name := range []string{"api", "admin", "shop"} {
		if err := try(name, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := try("shop", "wpad", "www"); err != nil { // below its own name
		t.Errorf("hosts of a plain name: %v", err)
	}
	key := testKey("c")
	claim := claimOf(key, "wpad")
	claim.Project = "wpad"
	if _, err := w.tryAgent(key, claim, &recorder{}); err != nil { // not plain
		t.Errorf("an unguessable name: %v", err)
	}
}

// TestGiveUp: every key may claim a plain name at once that its owner has given up, also
// after a restart. No other key can do it, and no unguessable name is given up.
func TestGiveUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	file, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { file.Close() }()
	owner, other := publicKey(testKey("owner")), publicKey(testKey("other"))
	const name = "shop." + domain
	secret := "shop-0123456789abcdef." + domain
	for kind, registry := range map[string]Registry{"memory": NewMemory(), "file": file} {
		if err := registry.Claim(t.Context(), NameClaim{Owner: owner, Names: []string{name, secret}}); err != nil {
			t.Fatal(err)
		}
		var told []Change
		stop := registry.Watch(func(c Change) { told = append(told, c) })
		for _, try := range []struct {
			key   Key
			names []string
			given []string
		}{{other, []string{name}, nil}, {owner, []string{secret}, nil}, {owner, []string{"none." + domain}, nil}, {owner, []string{name}, []string{name}}, {owner, []string{name}, nil}} {
			if given, err := registry.GiveUp(t.Context(), try.key, try.names); err != nil || !slices.Equal(given, try.given) {
				t.Errorf("%s: %q gives up %q, %v; want %q", kind, try.names, given, err, try.given)
			}
		}
		stop()
		if !slices.Equal(told, []Change{{Name: name, Key: owner}}) {
			t.Errorf("%s: got %v", kind, told)
		}
		if kind == "file" {
			file.Close()
			if file, err = OpenFile(path); err != nil {
				t.Fatal(err)
			}
			registry = file
		}
		if err := registry.Claim(t.Context(), NameClaim{Owner: other, Names: []string{secret}}); err == nil {
			t.Errorf("%s: the secret name is free", kind)
		}
		if err := registry.Claim(t.Context(), NameClaim{Owner: other, Names: []string{name}}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestReleaseByAgent: giving up a name needs its owner's key and no session; a
// running one continues.
func TestReleaseByAgent(t *testing.T) {
	w := start(t, nil)
	owner, other := testKey("owner"), testKey("other")
	plain := tunnel.Claim{Project: "shop", Name: "shop", Hosts: []string{""}}
	first := w.agent(owner, plain, &recorder{})
	release := func(key string) tunnel.Code {
		_, err := w.tryAgent(testKey(key), tunnel.Claim{Release: "shop"}, &recorder{})
		return codeFrom(err)
	}
	if code := release("other"); code != tunnel.CodeNameTaken {
		t.Errorf("another key: code %d", code)
	}
	if _, err := w.tryAgent(other, plain, &recorder{}); codeFrom(err) != tunnel.CodeNameTaken {
		t.Errorf("before: %v", err)
	}
	if code := release("owner"); code != tunnel.CodeReleased {
		t.Errorf("the owner: code %d", code)
	}
	if err := first.Err(); err != nil {
		t.Errorf("the running session has ended: %v", err)
	}
	w.agent(other, plain, &recorder{})
	if code := release("owner"); code != tunnel.CodeNameTaken {
		t.Errorf("once more: code %d", code)
	}
}
