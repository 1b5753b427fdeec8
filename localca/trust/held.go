package trust

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"strings"

	"github.com/devproxy/devproxy/devproxy/programs"
)

// HeldRoot is a root certificate in a store.
type HeldRoot struct {
	Store string // as in Result
	Name  string // what lists of the store call it
	// Removal is a shell command that removes it; empty if none is known.
	Removal string
	sum     [sha256.Size]byte // of the certificate; zero for one that is known by its name
}

// Is reports whether the root is this certificate.
func (h HeldRoot) Is(cert *x509.Certificate) bool {
	if h.sum != [sha256.Size]byte{} {
		return h.sum == sha256.Sum256(cert.Raw)
	}
	return h.Name == Root{Cert: cert}.nick()
}

// Held returns the roots in the system's store, as far as it is a file, and in the
// databases of Chromium and Firefox. Stores that cannot be read are left out.
func Held(ctx context.Context, m Machine) []HeldRoot {
	var all []HeldRoot
	text, _ := publicRoots() // nothing is held there without a file
	for block := range blocks(text) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // clients skip it, too
		}
		name := cmp.Or(cert.Subject.CommonName, strings.Join(cert.Subject.Organization, " "))
		all = append(all, HeldRoot{Store: "system", Name: name, sum: sha256.Sum256(cert.Raw)})
	}
	all = withRemovals(m, all)
	certutil, err := m.Find("certutil")
	if err != nil {
		return all
	}
	for _, browser := range []struct {
		name string
		find func(Machine) databases
	}{{"chromium", chromiumDatabases}, {"firefox", firefoxDatabases}} {
		for _, dir := range browser.find(m).existing {
			output, err := database{&nss{machine: m}, certutil, dir}.run(ctx, "-L")
			if err != nil {
				continue
			}
			for _, nick := range listed(output, listedNick) {
				removal := programs.Line([]string{"certutil", "-D", "-d", "sql:" + dir, "-n", nick})
				all = append(all, HeldRoot{Store: browser.name, Name: nick, Removal: removal})
			}
		}
	}
	return all
}
