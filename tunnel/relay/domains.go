package relay

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	// proveEvery is how often the owner of a user's domain is looked for while a share has
	// it.
	proveEvery = time.Hour
	// provesAtOnce is how many of them are looked for at once then.
	provesAtOnce = 8
)

// DomainProver proves that domains of users' own belong to keys: see ownership.Prover. own
// is the key's tunnel.OwnName. The DNS alone says whose a domain is: a Registry does not
// have it.
type DomainProver interface {
	// IsProven reports whether it was proven a short time ago.
	IsProven(domain, own string) bool
	// Prove returns nil for a domain that belongs to the key, and the refusal of the claim
	// for every other.
	Prove(ctx context.Context, domain, own string) error
	// ProveAgain is Prove, but does not rely on an earlier proof while it can find one. A
	// refusal with tunnel.CodeUnproven ends the share of the domain.
	ProveAgain(ctx context.Context, domain, own string) error
}

// checkDomain refuses a domain of a user, unless it is proven to belong to the key and
// there is a certificate for it. It costs nothing without a domain.
func (a *agents) checkDomain(ctx context.Context, pub ed25519.PublicKey, from *network, domain string) error {
	if domain == "" {
		return nil
	}
	r, own := a.relay, tunnel.OwnName(pub, a.relay.opts.Domain)
	switch {
	case r.opts.Domains == nil:
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay takes no domains of its users: remove domain from the share block, or ask the operator"}
	case !r.opts.Domains.IsProven(domain, own) && !from.domains.Allow():
		return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "your network claims domains faster than this relay checks them; try again in a minute"}
	}
	if err := r.opts.Domains.Prove(ctx, domain, own); err != nil {
		return err
	}
	switch {
	case r.opts.CoverDomain != nil:
		return r.opts.CoverDomain(domain, keyOf(pub).String(), from.prefix)
	case r.opts.Covers != nil && !r.opts.Covers(domain):
		return &tunnel.Refusal{Code: tunnel.CodeBadClaim, Message: "this relay has no certificate for " + domain + ": ask the operator to add one with --cert"}
	}
	return nil
}

// isOwn reports whether name is the relay's own domain or below it.
func (r *Relay) isOwn(name string) bool {
	return name == r.opts.Domain || below(name, r.opts.Domain)
}

// mayHave reports whether a visitor may ask for name here: it is the relay's, or a user's
// domain that a share has. Agents connect to a relay soon after it has started; until
// then, every name may be such a domain, if there is a certificate for it.
func (r *Relay) mayHave(name string) bool {
	return r.isOwn(name) || r.shares.has(name) || r.opts.Domains != nil && time.Since(r.created) < recentlyGone
}

// proveDomains looks for the owners of users' domains again, until the relay's life ends.
func (r *Relay) proveDomains() {
	for wait(r.life, proveEvery, nil) {
		r.proveDomainsOnce()
	}
}

// proveDomainsOnce takes domains from shares whose key they do not belong to any more.
func (r *Relay) proveDomainsOnce() {
	var group errgroup.Group
	group.SetLimit(provesAtOnce)
	for _, s := range r.shares.all() {
		c := r.shares.claimOf(s)
		if c.domain == "" {
			continue
		}
		group.Go(func() error {
			err := r.opts.Domains.ProveAgain(r.life, c.domain, tunnel.OwnName(s.session.Key(), r.opts.Domain))
			if refused, ok := errors.AsType[*tunnel.Refusal](err); ok && refused.Code == tunnel.CodeUnproven {
				r.shares.dropDomain(s, c)
				r.log.Info("domain taken from a share", "key", s.key, "from", s.from.prefix, "name", c.domain, "error", err)
			}
			return nil
		})
	}
	_ = group.Wait() // no error is returned to it
}
