package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCert makes a certificate for names, its own authority, and returns its
// files.
func writeCert(t *testing.T, dir, base string, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, base+".pem"), filepath.Join(dir, base+".key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestRelayCertFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "relay", "t.example.com", "*.t.example.com")
	zoneCert, zoneKey := writeCert(t, dir, "zone", "*.shop.t.example.com")
	c, err := openCerts([]string{cert, zoneCert}, []string{key, zoneKey}, "t.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"t.example.com": "t.example.com", "x.t.example.com": "t.example.com", "x.shop.t.example.com": "*.shop.t.example.com",
		"x.y.t.example.com": "t.example.com", "": "t.example.com", // the first says what this server is
	} {
		got, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
		if err != nil || got.Leaf.DNSNames[0] != want {
			t.Errorf("%q gets %v, %v; want %s", name, got, err, want)
		}
	}
	if c.Covers("x.y.t.example.com") || !c.Covers("admin.shop.t.example.com") {
		t.Error("Covers is wrong")
	}

	// Renewed files are read; broken ones change nothing.
	before := c.names()
	if changed, err := c.load(); changed || err != nil {
		t.Errorf("nothing changed, yet %v, %v", changed, err)
	}
	writeCert(t, dir, "zone", "*.other.t.example.com")
	if changed, err := c.load(); !changed || err != nil || !c.Covers("x.other.t.example.com") {
		t.Errorf("a renewed certificate: %v, %v", changed, err)
	}
	if err := os.WriteFile(key, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.load(); err == nil || !c.Covers("t.example.com") {
		t.Errorf("a broken key: %v, and the names are %s, before %s", err, c.names(), before)
	}
}

func TestRelayCertsRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "a", "t.example.com")
	_, otherKey := writeCert(t, dir, "b", "t.example.com")
	for name, c := range map[string]struct{ key, want string }{
		"no wildcard":  {key, "no certificate of --cert is for *.t.example.com; they are for t.example.com"},
		"another key":  {otherKey, "cannot use"},
		"no such file": {filepath.Join(dir, "none"), "cannot read a certificate"},
	} {
		if _, err := openCerts([]string{cert}, []string{c.key}, "t.example.com"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
