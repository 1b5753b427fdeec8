package main

import "github.com/devproxy/devproxy/tunnel/relay/ownership"

// proverOptions say which DNS proves users' domains. Tests have one of their own.
var proverOptions ownership.Options

// newProver returns what proves which key a domain of a user belongs to, at the relay of a
// domain.
func newProver(relay string) *ownership.Prover {
	o := proverOptions
	o.Relay = relay
	return ownership.New(o)
}
