package main

import (
	"crypto/x509"
	"errors"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/devproxy/devproxy/localca"
)

// noRelay is what helps when no relay is named anywhere.
const noRelay = `devproxy relay login HOST remembers a relay of yours.
Without a server: devproxy relay login cloudflare, or localhost.run: a link through somebody else's
For a look at a link that works on this machine only: devproxy up --share --relay dev`

// errNoRelay is the cause of findRelays' error when no relay is named anywhere.
var errNoRelay = errors.New("no relay is configured, so nobody can carry the link")

// findRelays are the relays that may carry a share, in the order in which they
// are tried: the flag's, else the Proxyfile's, else those of $DEVPROXY_RELAY, else
// the last that `relay login` remembers in home; each with the token and the pin
// that belong to it. The token of the environment goes to relays that the user has
// named, and never to one that only the Proxyfile names.
func findRelays(home, flag string, file []string) ([]rememberedRelay, error) {
	remembered, err := readRelays(home)
	if err != nil {
		return nil, err
	}
	names := file
	switch {
	case flag != "":
		names = strings.Split(flag, ",")
	case len(names) > 0:
	case os.Getenv(relayVariable) != "":
		names = strings.Split(os.Getenv(relayVariable), ",")
	case len(remembered) > 0:
		names = []string{remembered[0].Relay}
	default:
		return nil, failf(noRelay, "%w", errNoRelay)
	}
	relays := make([]rememberedRelay, 0, len(names))
	for _, name := range names {
		relay := rememberedRelay{Relay: relayArgument(name)}
		if login := loginOf(remembered, relay.Relay); login.Relay != "" {
			relay.Token, relay.Pin = login.Token, login.Pin
		}
		if relay.Token == "" && (namesRelay(flag, relay.Relay) || userNames(home, relay.Relay)) {
			relay.Token = os.Getenv(tokenVariable)
		}
		relays = append(relays, relay)
	}
	return relays, nil
}

// relayVariable names the relays of a user who has not logged in to one,
// separated by commas.
const relayVariable = "DEVPROXY_RELAY"

// userNames reports whether the user, and not only a Proxyfile, names a relay: in
// $DEVPROXY_RELAY, or by relay login.
func userNames(home, relay string) bool {
	remembered, err := readRelays(home)
	return namesRelay(os.Getenv(relayVariable), relay) || err == nil && loginOf(remembered, relay).Relay != ""
}

// namesRelay reports whether a list of relays, separated by commas, has relay in
// it.
func namesRelay(list, relay string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(name string) bool { return sameRelay(name, relay) })
}

// sameRelay reports whether two names of relays, neither of them empty, mean the
// same.
func sameRelay(a, b string) bool {
	canonical := func(name string) string {
		name = strings.TrimSuffix(strings.ToLower(relayArgument(name)), ":443")
		return strings.TrimSuffix(name, ".")
	}
	return a != "" && canonical(a) == canonical(b)
}

// checkRelay fails when `up --share` has no relay, before anything is made or
// served. Mistakes in the Proxyfile are told later, all at once.
func checkRelay(opts upOptions, src source) error {
	home, err := localca.Home(os.Getenv)
	if err != nil {
		return err
	}
	var named []string
	if file, _, err := src.load(0); err == nil && file.Share != nil {
		for _, relay := range file.Share.Relays {
			named = append(named, relay.Value)
		}
	}
	_, err = findRelays(home, opts.relay, named)
	return err
}

// relayRoots are what a relay's certificate is verified against: the CA of
// this user for a relay on this machine, else the system's, nil.
func relayRoots(relay string, ca *localca.CA) *x509.CertPool {
	if !isLocalName(relay) {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Root())
	return roots
}

// isLocalName reports whether a relay's name means this machine (RFC 6761
// section 6.3).
func isLocalName(relay string) bool {
	host := relay
	if h, _, err := net.SplitHostPort(relay); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
