package localca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheckDomain(t *testing.T) {
	for domain, want := range map[string]Risk{
		"test": NoRisk, "shop.test": NoRisk, "a.b.shop.test": NoRisk,
		"internal": NetworkRisk, "shop.internal": NetworkRisk, "home.arpa": NetworkRisk, "nas.home.arpa": NetworkRisk,
		"dev.example.com": PublicRisk, "a.dev.example.co.uk": PublicRisk, "dev.shop.github.io": PublicRisk, "dev.xn--bcher-kva.example.com": PublicRisk,
	} {
		if got, err := CheckDomain(domain); got != want || err != nil {
			t.Errorf("CheckDomain(%q) = %v, %v, want %v", domain, got, err, want)
		}
	}
	for domain, want := range map[string]string{
		"com": "public suffix", "co.uk": "public suffix", "dev": "public suffix", "shop": "public suffix", "github.io": "public suffix", "arpa": "public suffix",
		"example.com": "registered name", "shop.co.uk": "registered name", "shop.github.io": "registered name", "shop.dev": "registered name",
		"lan": "neither reserved", "shop.lan": "neither reserved", "printer.local": "neither reserved", "myshop": "neither reserved",
		"localhost": "no root of its own", "shop.localhost": "no root of its own",
		"": "not a domain", "*.shop.test": "not a domain", "Shop.test": "not a domain", "shop.test.": "not a domain", ".test": "not a domain",
		"a_b.test": "not a domain", "127.0.0.1": "not a domain", "::1": "not a domain", "../x.test": "not a domain", "a/b.test": "not a domain", "caf\u00e9.test": "not a domain",
	} {
		_, err := CheckDomain(domain)
		if refused, ok := errors.AsType[*DomainError](err); !ok || !strings.Contains(refused.Reason, want) {
			t.Errorf("CheckDomain(%q): %v, want %q", domain, err, want)
		}
		if _, err := OpenDomain(t.TempDir(), domain); err == nil {
			t.Errorf("OpenDomain(%q) makes a root", domain)
		}
	}
}

// TestDomainClients has clients of three kinds verify that the root of a domain can sign
// names at and below it, and that a thief of its key can sign nothing else, not even
// localhost and addresses.
func TestDomainClients(t *testing.T) {
	ca, err := OpenDomain(t.TempDir(), "shop.test")
	if err != nil {
		t.Fatal(err)
	}
	addr := serve(t, "127.0.0.1", &tls.Config{GetCertificate: ca.GetCertificate})
	for _, name := range []string{"shop.test", "api.shop.test", "a.b.shop.test"} {
		for _, client := range clients {
			if err := client.get(t, ca.RootFile(), name, addr); err != nil {
				t.Errorf("%s, %s: %v", client.name, name, err)
			}
		}
	}
	for _, name := range []string{"localhost", "shop.localhost", "127.0.0.1", "other.test", "myshop.test", "test", "example.com"} {
		if _, err := ca.Issue(name); err == nil || ca.Permits(name) {
			t.Errorf("it signs %s", name)
		}
	}
	tryForgeries(t, ca, []forgery{
		{"shop.test", true, func(c *x509.Certificate) { c.DNSNames = []string{"shop.test"} }},
		{"example.com", false, func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} }},
		{"myshop.test", false, func(c *x509.Certificate) { c.DNSNames = []string{"myshop.test"} }},
		{"test", false, func(c *x509.Certificate) { c.DNSNames = []string{"test"} }},
		{"localhost", false, func(c *x509.Certificate) { c.DNSNames = []string{"localhost"} }},
		{"example.com", false, func(c *x509.Certificate) { c.DNSNames = []string{"shop.test", "example.com"} }},
		{"example.com", false, func(c *x509.Certificate) { c.Subject.CommonName = "example.com" }},
		{"127.0.0.1", false, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{127, 0, 0, 1}} }},
		{"192.0.2.1", false, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }},
		{"::1", false, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv6loopback} }},
	})
}

// TestDomainStore checks modes, the list, and that a root of another domain in the folder
// is not used.
func TestDomainStore(t *testing.T) {
	home := t.TempDir()
	main := mustOpen(t, home)
	if domains, err := Domains(home); err != nil || domains != nil {
		t.Errorf("at first %q, %v", domains, err)
	}
	if _, err := LoadDomain(home, "shop.test"); !errors.Is(err, ErrNoCA) {
		t.Errorf("LoadDomain makes a root: %v", err)
	}
	ca, err := OpenDomain(home, "shop.test")
	if err != nil {
		t.Fatal(err)
	}
	if ca.Domain() != "shop.test" || main.Domain() != "" {
		t.Errorf("the domains are %q and %q", ca.Domain(), main.Domain())
	}
	if ca.Root().Subject.String() == main.Root().Subject.String() || !strings.Contains(ca.Root().Subject.CommonName, "shop.test") {
		t.Errorf("its subject is %s", ca.Root().Subject)
	}
	dir := filepath.Join(home, "domains", "shop.test")
	for path, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, keyFile): 0o600, filepath.Dir(dir): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	other, err := OpenDomain(home, "dev.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(home, "domains", "com"), 0o700); err != nil {
		t.Fatal(err)
	}
	if domains, err := Domains(home); err != nil || !slices.Equal(domains, []string{"dev.example.com", "shop.test"}) {
		t.Errorf("%q, %v", domains, err)
	}
	for _, name := range []string{keyFile, rootFile} {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(other.RootFile()), name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(text))
	}
	if _, err := LoadDomain(home, "shop.test"); err == nil || !strings.Contains(err.Error(), "it is not constrained to shop.test") {
		t.Errorf("another domain's root: %v", err)
	}
	if err := RemoveDomain(home, "shop.test"); err != nil {
		t.Fatal(err)
	}
	if domains, err := Domains(home); err != nil || !slices.Equal(domains, []string{"dev.example.com"}) {
		t.Errorf("after RemoveDomain %q, %v", domains, err)
	}
}

// TestDomainsFile changes with the domains, and goes with the last one.
func TestDomainsFile(t *testing.T) {
	home := t.TempDir()
	names := func() string {
		text, _ := os.ReadFile(DomainsFile(home)) // empty if it is not there
		return string(text)
	}
	for _, domain := range []string{"shop.test", "blog.test", "shop.test"} {
		if _, err := OpenDomain(home, domain); err != nil {
			t.Fatal(err)
		}
	}
	if names() != "blog.test\nshop.test\n" {
		t.Errorf("two domains: %q", names())
	}
	if err := RemoveDomain(home, "blog.test"); err != nil || names() != "shop.test\n" {
		t.Errorf("without blog.test: %q, %v", names(), err)
	}
	if err := RemoveDomain(home, "shop.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(DomainsFile(home))); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
}

// TestAuthorities checks which CA signs for which name.
func TestAuthorities(t *testing.T) {
	home := t.TempDir()
	main := mustOpen(t, home)
	for _, domain := range []string{"test", "shop.test"} {
		if _, err := OpenDomain(home, domain); err != nil {
			t.Fatal(err)
		}
	}
	all := NewAuthorities(home, main)
	issuer := func(name string) string {
		cert, err := all.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil {
			return ""
		}
		return cert.Leaf.Issuer.CommonName
	}
	if issuer("api.shop.test") != "" || issuer("a.localhost") != main.Root().Subject.CommonName {
		t.Error("before Use it signs for a domain, or not for localhost")
	}
	all.Use([]string{"test", "shop.test", "gone.internal"})
	for name, want := range map[string]string{
		"a.localhost": "devproxy local CA", "Api.Shop.test": "devproxy CA for shop.test ", "shop.test": "devproxy CA for shop.test ",
		"myshop.test": "devproxy CA for test ",
	} {
		if got := issuer(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s is signed by %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"example.com", "a.gone.internal"} {
		if got := issuer(name); got != "" {
			t.Errorf("%s is signed by %q", name, got)
		}
	}
	all.Use(nil)
	if issuer("shop.test") != "" {
		t.Error("a domain that is not trusted any more still gets certificates")
	}
}
