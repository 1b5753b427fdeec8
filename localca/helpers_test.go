package localca

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mustOpen opens the CA in dir.
func mustOpen(t testing.TB, dir string) *CA {
	t.Helper()
	ca, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// openAt is Open by a clock that stands still.
func openAt(t testing.TB, dir string, now time.Time) *CA {
	t.Helper()
	s, err := newStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now }
	ca, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// signByHand signs a leaf with the root's key, past all checks of this package,
// as a thief of the key would.
func signByHand(t testing.TB, ca *CA, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	id, err := keyID(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	template := leafTemplate(san{dns: "replaced"}, id)
	template.DNSNames = nil
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(time.Hour)
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, ca.root, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// verify is what a Go client that trusts only root thinks of a leaf.
func verify(root, leaf *x509.Certificate, name string, now time.Time) error {
	pool := x509.NewCertPool()
	pool.AddCert(root)
	if strings.Contains(name, ":") {
		name = "[" + name + "]" // how x509 wants an IPv6 address
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: now})
	return err
}

// snapshot is the content of every file in dir by name, without the lock.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == lockFile {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil && !e.IsDir() {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

// asides are the files moved aside in dir.
func asides(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.aside-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// noTemporaryFiles fails when an Open left any.
func noTemporaryFiles(t testing.TB, dir string) {
	t.Helper()
	for name := range snapshot(t, dir) {
		if strings.Contains(name, tempMark) {
			t.Errorf("%s was left behind", name)
		}
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// selfSigned is the CA's root, changed, as its key could sign it.
func selfSigned(t testing.TB, ca *CA, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := *ca.root
	change(&template)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// mustKey is the private key of a certificate.
func mustKey(t testing.TB, cert *tls.Certificate) *ecdsa.PrivateKey {
	t.Helper()
	key, ok := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("a key of type %T", cert.PrivateKey)
	}
	return key
}
