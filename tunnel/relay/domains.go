package relay

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"net/http"
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

// Challenges are the answers to a certificate authority that asks whether a domain leads
// to this relay: see acme.Challenges. Each is there only while an order needs it.
type Challenges interface {
	// Certificate returns the one for a handshake with acmeProtocol; nil for none.
	Certificate(name string) *tls.Certificate
	// Text returns what to answer at a path of a name.
	Text(name, path string) (text string, ok bool)
}

// acmeProtocol is the protocol of handshakes that prove a name, in which nothing is sent
// afterwards (RFC 8737).
const acmeProtocol = "acme-tls/1"

// challengeConfig returns the configuration of a handshake that proves a name; nil for
// every other handshake.
func (r *Relay) challengeConfig(hello *tls.ClientHelloInfo) *tls.Config {
	if r.opts.Challenges == nil || len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != acmeProtocol {
		return nil
	}
	cert := r.opts.Challenges.Certificate(lowerASCII(hello.ServerName))
	if cert == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{acmeProtocol}, Certificates: []tls.Certificate{*cert},
		SessionTicketsDisabled: true, // the next handshake is another question
	}
}

// challengeText returns what proves a name to an authority that asks for it with req. The
// path must be the authority's, byte for byte.
func (r *Relay) challengeText(req *http.Request, name string) (text string, ok bool) {
	if r.opts.Challenges == nil || req.Method != http.MethodGet || req.ContentLength != 0 {
		return "", false
	}
	return r.opts.Challenges.Text(name, req.RequestURI)
}

// proveDomain refuses a domain of a user, unless it is proven to belong to the key. It
// costs nothing without a domain.
func (a *agents) proveDomain(ctx context.Context, pub ed25519.PublicKey, from *network, domain string) error {
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
	return r.opts.Domains.Prove(ctx, domain, own)
}

// coverDomain refuses a domain of a user, which the key has claimed, until there is a
// certificate for it.
func (a *agents) coverDomain(key Key, from *network, domain string) error {
	r := a.relay
	switch {
	case domain == "":
		return nil
	case r.opts.CoverDomain != nil:
		return r.opts.CoverDomain(domain, key.String(), from.prefix)
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
			refused, ok := errors.AsType[*tunnel.Refusal](err)
			switch {
			case err == nil && r.opts.CoverDomain != nil:
				_ = r.opts.CoverDomain(c.domain, s.key.String(), s.from.prefix) // it is used, so it is renewed
			case ok && refused.Code == tunnel.CodeUnproven && r.shares.dropDomain(s, c):
				r.log.Info("domain taken from a share", "key", s.key, "from", s.from.prefix, "name", c.domain, "error", err)
				s.session.Drain() // the agent claims it again, and is told why not
			}
			return nil
		})
	}
	_ = group.Wait() // no error is returned to it
}
