package agent

import (
	"crypto/ed25519"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

// TestExpectCallback reports what the relay answers.
func TestExpectCallback(t *testing.T) {
	r := newRelay(t).start(nil)
	a := run(t, optionsFor(r))
	a.until(Up)
	if err := a.ExpectCallback(t.Context(), "a-state-that-nobody-can-guess"); err != nil {
		t.Errorf("the relay knows the state, but: %v", err)
	}
	r = newRelay(t)
	r.ended = &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "the relay does not support this request"}
	r.start(nil)
	a = run(t, optionsFor(r))
	a.until(Up)
	wants(t, a.ExpectCallback(t.Context(), "a-state-that-nobody-can-guess"), ReasonBadClaim, "does not support", "")
}

// TestGrantedCallback: only the callback host of the claim's key is accepted.
func TestGrantedCallback(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	own, _ := key.Public().(ed25519.PublicKey)
	with := tunnel.Claim{Callback: tunnel.NewCallback(key, pub, []string{"/"}, "")}
	for name, test := range map[string]struct {
		claim tunnel.Claim
		host  string
		ok    bool
	}{
		"an older relay": {with, "", true},
		"its own":        {with, tunnel.CallbackName(own, relayName), true},
		"another":        {with, tunnel.CallbackName(own, "u.example.com"), false},
		"not claimed":    {tunnel.Claim{}, tunnel.CallbackName(own, relayName), false},
	} {
		if err := checkGrant(tunnel.Grant{Domain: relayName, Port: 443, Callback: test.host}, test.claim); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
