package main

import (
	"context"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/relay"
	"github.com/devproxy/devproxy/tunnel/relay/ownership"
)

// proverOptions say which DNS proves users' domains. Tests have one of their own.
var proverOptions ownership.Options

// newProver returns the prover of users' domains for a relay, given by its own domain.
func newProver(relay string) *ownership.Prover {
	o := proverOptions
	o.Relay = relay
	return ownership.New(o)
}

// proveAgain returns the function that proves, before each order, that a domain still
// belongs to the key that has claimed it; nil for a relay that takes no domains.
func proveAgain(prover relay.DomainProver, domain string) func(ctx context.Context, name, key string) error {
	if prover == nil {
		return nil
	}
	return func(ctx context.Context, name, key string) error {
		owner, err := relay.ParseKey(key)
		if err != nil {
			return err
		}
		return prover.ProveAgain(ctx, name, tunnel.OwnName(owner[:], domain))
	}
}
