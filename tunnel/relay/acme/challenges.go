package acme

import (
	"context"
	"crypto/tls"
	"sync"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// Challenges are the answers to an authority's questions about users' domains. Each is
// there only while an order or a renewal needs it.
type Challenges struct {
	mu           sync.RWMutex
	certificates map[string]*tls.Certificate // of TLS-ALPN-01 (RFC 8737), by name
	texts        map[[2]string]string        // of HTTP-01 (RFC 8555 section 8.3), by name and path
}

func newChallenges() *Challenges {
	return &Challenges{certificates: map[string]*tls.Certificate{}, texts: map[[2]string]string{}}
}

// Certificate returns the certificate that proves name to an authority in a handshake with
// the protocol "acme-tls/1"; nil while no order needs one.
func (c *Challenges) Certificate(name string) *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.certificates[name]
}

// Text returns the answer that proves name to an authority at a path, while an order needs
// one.
func (c *Challenges) Text(name, path string) (text string, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	text, ok = c.texts[[2]string{name, path}]
	return text, ok
}

// answer is a solver of one type of challenge.
type answer struct {
	*Challenges
	challenge string
}

// solvers returns those for users' domains, in the order in which they are tried.
func (m *Manager) solvers() []answer {
	all := []answer{{m.challenges, acme.ChallengeTypeTLSALPN01}}
	if m.opts.PlainHTTP {
		all = append(all, answer{m.challenges, acme.ChallengeTypeHTTP01})
	}
	return all
}

// Present implements acmez.Solver.
func (a answer) Present(_ context.Context, challenge acme.Challenge) error {
	name := challenge.Identifier.Value
	if a.challenge == acme.ChallengeTypeHTTP01 {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.texts[[2]string{name, challenge.HTTP01ResourcePath()}] = challenge.KeyAuthorization
		return nil
	}
	cert, err := acmez.TLSALPN01ChallengeCert(challenge)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.certificates[name] = cert
	return nil
}

// CleanUp implements acmez.Solver.
func (a answer) CleanUp(_ context.Context, challenge acme.Challenge) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := challenge.Identifier.Value
	if a.challenge == acme.ChallengeTypeHTTP01 {
		delete(a.texts, [2]string{name, challenge.HTTP01ResourcePath()})
	} else {
		delete(a.certificates, name)
	}
	return nil
}

var _ acmez.Solver = answer{}
