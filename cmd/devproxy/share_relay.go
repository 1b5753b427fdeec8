package main

import (
	"crypto/x509"
	"net"
	"os"
	"strings"

	"github.com/devproxy/devproxy/localca"
)

// noRelay is what helps when no relay is named anywhere.
const noRelay = `devproxy relay login HOST remembers one.
Without one, try it on this machine: devproxy relay --dev, and in another terminal
  devproxy up --share --relay share.localhost:PORT`

// findRelay is the relay of the flag, else of the Proxyfile, else of
// $DEVPROXY_RELAY, else the one that `relay login` remembers in home; with the
// token and the pin that belong to it. The token of the environment goes to
// relays that the user has named, and never to one that only the Proxyfile names.
func findRelay(home, flag, file string) (rememberedRelay, error) {
	remembered, err := readRelay(home)
	if err != nil {
		return rememberedRelay{}, err
	}
	relay := rememberedRelay{Relay: relayArgument(firstOf(flag, file, os.Getenv("DEVPROXY_RELAY"), remembered.Relay))}
	if relay.Relay == "" {
		return relay, failf(noRelay, "no relay is named, so there is nobody to share through")
	}
	if relay.Relay == remembered.Relay {
		relay = remembered
	}
	if relay.Token == "" && (sameRelay(relay.Relay, flag) || userNames(home, relay.Relay)) {
		relay.Token = os.Getenv(tokenVariable)
	}
	return relay, nil
}

// userNames reports whether the user, and not only a Proxyfile, names a relay: in
// $DEVPROXY_RELAY, or by relay login.
func userNames(home, relay string) bool {
	remembered, err := readRelay(home)
	return sameRelay(relay, os.Getenv("DEVPROXY_RELAY")) || err == nil && sameRelay(relay, remembered.Relay)
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
	named := ""
	if file, _, err := src.load(0); err == nil && file.Share != nil {
		named = file.Share.Relay
	}
	_, err = findRelay(home, opts.relay, named)
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
