package trust

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"strings"
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
			output, err := m.Run(ctx, certutil, "-L", "-d", "sql:"+dir)
			if err != nil {
				continue
			}
			for _, nick := range nicks(output) {
				removal := ShellLine([]string{"certutil", "-D", "-d", "sql:" + dir, "-n", nick})
				all = append(all, HeldRoot{Store: browser.name, Name: nick, Removal: removal})
			}
		}
	}
	return all
}

// nicks reads the names in a list of certutil: each line ends in the trust flags, after
// two spaces at least.
func nicks(list []byte) (names []string) {
	for line := range bytes.Lines(list) {
		text := strings.TrimRight(string(line), " \r\n")
		i := strings.LastIndex(text, "  ")
		if i > 0 && strings.Count(text[i:], ",") == 2 && !strings.Contains(text, "SSL,S/MIME") {
			names = append(names, strings.TrimSpace(text[:i]))
		}
	}
	return names
}
