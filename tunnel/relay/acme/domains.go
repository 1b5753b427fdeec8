package acme

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/devproxy/devproxy/tunnel"
)

// domainKind are domains of users' own. The authority's budget for each of them is its
// owner's; this one keeps strangers from making the relay place orders.
var domainKind = kind{
	label: "domain", noun: "domains", file: "domains.json",
	perWeek: 20, perKey: 2, perNetwork: 5, atOnce: 4,
	instead: "remove domain from the share block",
}

// accountFile is the end of the name of the file with the account for users' domains.
const accountFile = "domains-account.json"

// CoverDomain gets a certificate for a domain that belongs to a key, in the background. It
// returns what CoverZone does.
func (m *Manager) CoverDomain(domain, key string, network netip.Prefix) error {
	return m.cover(m.domains, domain, key, network)
}

// loseDomain removes the certificate of a domain that does not belong to its key any more.
func (r *run) loseDomain(ctx context.Context, domain string) {
	if err := r.domains.lose(domain); err != nil {
		r.opts.Log.Error("domain not forgotten", "name", domain, "error", err)
	}
	r.remove(ctx, domain)
}

// domainIssuer orders the certificates of users' domains. Certmagic's issuer cannot: it
// answers these challenges on sockets of its own. It has its own account, so that users do
// not use up the limits of the relay's own certificates.
type domainIssuer struct {
	issuer
	run    *run
	client *http.Client

	mu sync.Mutex // one account is made at a time
}

func newDomainIssuer(r *run, i issuer) *domainIssuer {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: r.opts.Roots}
	return &domainIssuer{issuer: i, run: r, client: &http.Client{Transport: transport, Timeout: certmagic.HTTPTimeout}}
}

// close ends idle connections.
func (i *domainIssuer) close() { i.client.CloseIdleConnections() }

// Issue implements certmagic.Issuer, for orders and renewals. Each begins with a new proof
// that the domain belongs to the key that has claimed it last.
func (i *domainIssuer) Issue(ctx context.Context, request *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	domain, o := request.DNSNames[0], i.run.opts
	if err := o.Prove(ctx, domain, i.run.domains.keyOf(domain)); err != nil {
		if refused, ok := errors.AsType[*tunnel.Refusal](err); ok && refused.Code == tunnel.CodeUnproven {
			i.run.loseDomain(ctx, domain)
		}
		return nil, err
	}
	if refusals, _ := ctx.Value(certmagic.AttemptsCtxKey).(*int); refusals != nil && *refusals > 0 && o.Rehearsal != "" {
		if _, err := i.order(ctx, o.Rehearsal, request); err != nil {
			return nil, err
		}
	}
	return i.order(ctx, o.Authority, request)
}

// order orders a certificate at a directory.
func (i *domainIssuer) order(ctx context.Context, directory string, request *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	client := &acme.Client{Directory: directory, HTTPClient: i.client, UserAgent: "devproxy", PollTimeout: orderTimeout}
	account, err := i.account(ctx, client)
	if err != nil {
		return nil, err
	}
	parameters, err := acmez.OrderParametersFromCSR(account, request)
	if err != nil {
		return nil, fmt.Errorf("cannot make an order: %w", err)
	}
	var chains []acme.Certificate
	for _, s := range i.run.solvers() {
		solvers := map[string]acmez.Solver{s.challenge: s}
		chains, err = (&acmez.Client{Client: client, ChallengeSolvers: solvers}).ObtainCertificate(ctx, parameters)
		if !isUnseen(err) {
			break
		}
	}
	var problem acme.Problem
	switch {
	case errors.As(err, &problem) && problem.Type == acme.ProblemTypeAccountDoesNotExist:
		if err := i.run.storage.Delete(ctx, i.accountKey(directory)); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("the authority has forgotten the relay's account: %w", err)
	case err != nil:
		return nil, err
	case len(chains) == 0:
		return nil, errors.New("the authority has issued no certificate")
	}
	return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, nil
}

// storedAccount is an account and its key, PEM.
type storedAccount struct {
	Account acme.Account `json:"account"`
	Key     string       `json:"key"`
}

func (i *domainIssuer) accountKey(directory string) string {
	authority := &certmagic.ACMEIssuer{CA: directory}
	return certmagic.StorageKeys.Safe(authority.IssuerKey()) + "-" + accountFile
}

// account returns the account at an authority. It makes one if there is none.
func (i *domainIssuer) account(ctx context.Context, client *acme.Client) (acme.Account, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := i.accountKey(client.Directory)
	text, err := i.run.storage.Load(ctx, at)
	if missing(err) {
		return i.newAccount(ctx, client, at)
	}
	var stored storedAccount
	if err == nil {
		err = json.Unmarshal(text, &stored)
	}
	if err == nil {
		stored.Account.PrivateKey, err = certmagic.PEMDecodePrivateKey([]byte(stored.Key))
	}
	if err != nil {
		return acme.Account{}, fmt.Errorf("cannot read the account in %s: %w", i.run.storage.Filename(at), err)
	}
	return stored.Account, nil
}

func (i *domainIssuer) newAccount(ctx context.Context, client *acme.Client, at string) (acme.Account, error) {
	key, err := certmagic.StandardKeyGenerator{KeyType: certmagic.P256}.GenerateKey()
	if err != nil {
		return acme.Account{}, err
	}
	secret, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key.(crypto.Signer)}
	if email := i.run.opts.Email; email != "" {
		account.Contact = []string{"mailto:" + email}
	}
	if account, err = client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, err
	}
	text, err := json.Marshal(storedAccount{account, string(secret)})
	if err == nil {
		err = i.run.storage.Store(ctx, at, text)
	}
	return account, err
}
