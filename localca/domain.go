package localca

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// domainsFolder is the folder in $DEVPROXY_HOME with the roots of domains, a folder for
// each.
const domainsFolder = "domains"

// domainsFile is a file in domainsFolder with the names of the domains, one per line. It is
// for processes that watch a file for changes; the folders decide which domains there are.
const domainsFile = "names"

// Risk is what a root for a domain can do in the hands of someone else.
type Risk int

// The risks of a domain.
const (
	// NoRisk is a domain that is never in the public DNS (.test, RFC 6761).
	NoRisk Risk = iota
	// NetworkRisk is a domain whose names private networks use (.internal,
	// home.arpa).
	NetworkRisk
	// PublicRisk is a domain that can be in the public DNS.
	PublicRisk
)

// DomainError says why a domain cannot have a root.
type DomainError struct {
	Domain string
	Reason string // continues "DOMAIN "
	Fix    string // a domain that can be used instead; empty if unknown
}

func (e *DomainError) Error() string { return fmt.Sprintf("%.*q %s", longestQuote, e.Domain, e.Reason) }

// CheckDomain reports whether a root for a domain can be made, and its risk. domain is in
// lower case. These can have one: test, internal, home.arpa and names below them, and
// names below a registered one (dev.example.com). A registered name itself and a public
// suffix cannot: a stolen key would be worth too much. The error is a *DomainError.
func CheckDomain(domain string) (Risk, error) {
	refuse := func(fix, reason string) (Risk, error) { return 0, &DomainError{domain, reason, fix} }
	_, parseErr := netip.ParseAddr(domain)
	if fault := faultOf(domain, domain); fault != "" || parseErr == nil || strings.ContainsFunc(domain, notInDomain) {
		return refuse("shop.test", "is not a domain: write letters in lower case, digits, hyphens and dots")
	}
	if within(domain, suffix) {
		return refuse("", "needs no root of its own: devproxy trust covers every name below .localhost")
	}
	for _, reserved := range []struct {
		suffix string
		risk   Risk
	}{{"test", NoRisk}, {"internal", NetworkRisk}, {"home.arpa", NetworkRisk}} {
		if within(domain, reserved.suffix) {
			return reserved.risk, nil
		}
	}
	public, icann := publicsuffix.PublicSuffix(domain)
	registered, err := publicsuffix.EffectiveTLDPlusOne(domain)
	first, _, _ := strings.Cut(domain, ".")
	switch {
	case !icann && !strings.Contains(public, "."):
		return refuse(first+".test", "is neither reserved for development nor below a registered name")
	case err != nil:
		return refuse(first+".test", "is a public suffix: strangers own the names below it")
	case registered == domain:
		return refuse("dev."+domain, "is a registered name: a root for it could sign for all its sites")
	}
	return PublicRisk, nil
}

// notInDomain leaves out capitals and the underscore, which is not in domains that
// certificates of the public name.
func notInDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
}

// OpenDomain is [Open] for the root of a domain, in a folder of its own below home. The
// domain must pass [CheckDomain]. Its root can sign only that name and those below it, and
// no addresses.
func OpenDomain(home, domain string) (*CA, error) {
	s, err := newDomainStore(home, domain)
	if err != nil {
		return nil, err
	}
	ca, err := s.open()
	if err != nil {
		return nil, err
	}
	return ca, noteDomains(home)
}

// DomainsFile returns the path of a file that changes when a domain gets a root or loses
// it. It need not exist.
func DomainsFile(home string) string { return filepath.Join(home, domainsFolder, domainsFile) }

// noteDomains writes the DomainsFile if it is outdated.
func noteDomains(home string) error {
	domains, err := Domains(home)
	if err != nil {
		return err
	}
	path, text := DomainsFile(home), []byte(strings.Join(domains, "\n")+"\n")
	if written, err := os.ReadFile(path); err == nil && bytes.Equal(written, text) {
		return nil
	}
	if len(domains) == 0 {
		_ = os.Remove(path) // that it is gone is a change too
		return nil
	}
	if err := WriteFile(path, text, 0o600); err != nil {
		return storeError("write", path, err)
	}
	return nil
}

// LoadDomain is [Load] for the root of a domain.
func LoadDomain(home, domain string) (*CA, error) {
	s, err := newDomainStore(home, domain)
	if err != nil {
		return nil, err
	}
	return s.load()
}

func newDomainStore(home, domain string) (store, error) {
	if _, err := CheckDomain(domain); err != nil {
		return store{}, err
	}
	s, err := newStore(filepath.Join(home, domainsFolder, domain))
	s.domain = domain
	return s, err
}

// Domains returns the domains with a folder for a root below home, sorted. Names that
// [CheckDomain] refuses are not domains.
func Domains(home string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(home, domainsFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("can't list the domains with a root: %w", err)
	}
	var domains []string
	for _, entry := range entries {
		if _, err := CheckDomain(entry.Name()); err == nil && entry.IsDir() {
			domains = append(domains, entry.Name())
		}
	}
	slices.Sort(domains)
	return domains, nil
}

// RemoveDomain deletes the root of a domain and its key, the key first.
func RemoveDomain(home, domain string) error {
	s, err := newDomainStore(home, domain)
	if err != nil {
		return err
	}
	if err := os.Remove(s.path(keyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeError("delete", s.path(keyFile), err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return storeError("delete", s.dir, err)
	}
	err = noteDomains(home)
	_ = os.Remove(filepath.Dir(s.dir)) // stays while it has others
	return err
}

// Domain returns the domain that the root is constrained to; empty for the root of
// localhost.
func (ca *CA) Domain() string {
	if ca.domain == suffix {
		return ""
	}
	return ca.domain
}
