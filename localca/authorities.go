package localca

import (
	"crypto/tls"
	"strings"
	"sync"
)

// Authorities are the CAs of one user: that of localhost, and those of domains. The zero
// value has none. It is safe for concurrent use.
type Authorities struct {
	home string
	main *CA

	mu      sync.Mutex
	domains map[string]*CA // by name; nil until the first handshake for one
}

// NewAuthorities returns main with the CAs of domains below home, once Use names these.
func NewAuthorities(home string, main *CA) *Authorities {
	return &Authorities{home: home, main: main}
}

// Use sets the domains whose CAs sign leaves. Others are not looked up, so that a client
// that invents names costs no files.
func (a *Authorities) Use(domains []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.domains = make(map[string]*CA, len(domains))
	for _, domain := range domains {
		a.domains[domain] = nil // loaded again: it may have been replaced
	}
}

// GetCertificate is [CA.GetCertificate] of the CA for the name that the client sends.
func (a *Authorities) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ca, err := a.authority(hello.ServerName)
	if err != nil {
		return nil, err
	}
	return ca.GetCertificate(hello)
}

// authority returns the CA for a name: that of the longest domain around it.
func (a *Authorities) authority(name string) (*CA, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	a.mu.Lock()
	defer a.mu.Unlock()
	best := ""
	for domain := range a.domains {
		if within(name, domain) && len(domain) > len(best) {
			best = domain
		}
	}
	if best == "" {
		return a.main, nil
	}
	if ca := a.domains[best]; ca != nil {
		return ca, nil
	}
	ca, err := LoadDomain(a.home, best)
	if err != nil {
		return nil, err
	}
	a.domains[best] = ca
	return ca, nil
}
