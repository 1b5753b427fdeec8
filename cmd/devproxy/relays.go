package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/devproxy/devproxy/devproxy/credentials"
	"github.com/devproxy/devproxy/devproxy/share/provider"
	"github.com/devproxy/devproxy/localca"
)

// probeTimeout bounds the test of each provider.
const probeTimeout = 3 * time.Second

// openStore returns the keys and logins below $DEVPROXY_HOME.
func openStore() (credentials.Store, error) {
	home, err := localca.Home(os.Getenv)
	return credentials.Store{Home: home, Getenv: os.Getenv}, err
}

// checkRelay fails if `up --share` has no relay, before anything is made or served.
// Mistakes in the Proxyfile are reported later, all at once.
func checkRelay(opts upOptions, src source) error {
	store, err := openStore()
	if err != nil {
		return err
	}
	var named []string
	if file, _, err := src.load(0); err == nil && file.Share != nil {
		for _, relay := range file.Share.Relays {
			named = append(named, relay.Value)
		}
	}
	_, err = store.Relays(opts.relay, named)
	return err
}

// errDeclined is no to the offer of a provider.
var errDeclined = errors.New("nothing is shared, since no relay is configured")

// offerRelay asks a person who shares without a relay what may carry the link, and
// remembers a provider. relay is what this share goes through if that is not
// remembered. The error is that of a missing relay if no one can be asked, and
// errDeclined after no.
func offerRelay(ctx context.Context, s *streams, opts upOptions, src source) (relay string, err error) {
	missing := checkRelay(opts, src)
	if !errors.Is(missing, credentials.ErrNoRelay) || !canAsk(s, opts.json) {
		return "", missing
	}
	store, err := openStore()
	if err != nil {
		return "", err
	}
	p, found := firstProvider(ctx, store.Home)
	switch answer := askProvider(ctx, s, p, found); {
	case answer == "d":
		return devWord, nil
	case found && (answer == "y" || answer == "yes"):
		return "", store.Remember(credentials.Login{Relay: p.Name})
	}
	return "", credentials.NoRelay(errDeclined)
}

// firstProvider returns the first provider that can be reached.
func firstProvider(ctx context.Context, home string) (provider.Provider, bool) {
	for _, name := range provider.Names() {
		p, err := provider.Find(name)
		if err != nil {
			continue // the start of a URL
		}
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		err = p.Probe(ctx, provider.Options{Home: home, Getenv: os.Getenv})
		cancel()
		if err == nil {
			return p, true
		}
	}
	return provider.Provider{}, false
}

// askProvider says what can carry the link, and what a share through p means.
func askProvider(ctx context.Context, s *streams, p provider.Provider, found bool) (answer string) {
	to := *s
	to.Out = s.Err // a question is not a result
	to.paragraph("No relay is configured, and a link needs one.")
	question := "Share? [d/N] "
	if found {
		to.row("y", 1, fmt.Sprintf("share through %s from now on. No account is needed. %s", s.bold(p.Name), providerText(p)))
		question = "Share? [y/d/N] "
	}
	to.row("d", 1, "try the link on this machine only")
	to.row("n", 1, "do not share. To use your own server: devproxy relay login HOST")
	answer, _ = prompt(ctx, s, question)
	return answer
}

// providerText is what a person must know of a provider before sharing through it.
func providerText(p provider.Provider) string {
	text := p.Operator + " can read the traffic."
	if len(p.Cannot) > 0 {
		text += " It does not carry " + strings.Join(p.Cannot, "; ") + "."
	}
	return text
}

// relayRoots returns what the certificate of a relay is verified against: the CA of
// this user for a relay on this machine, else nil, the system's.
func relayRoots(relay string, ca *localca.CA) *x509.CertPool {
	if !isLocalName(relay) {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Root())
	return roots
}

// isLocalName reports whether the name of a relay means this machine (RFC 6761
// section 6.3).
func isLocalName(relay string) bool {
	host := relay
	if h, _, err := net.SplitHostPort(relay); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
