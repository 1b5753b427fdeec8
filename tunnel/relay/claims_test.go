package relay

import (
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
