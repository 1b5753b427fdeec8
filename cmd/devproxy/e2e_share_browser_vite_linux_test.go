//go:build e2e && linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/credentials"
)

const (
	viteDomain = "t.example.com"
	viteToken  = "0123456789abcdef"
)

// TestE2EShareBrowserVite: Vite accepts every name below localhost. Therefore
// the relay here has a domain that Vite refuses, and its configuration is what
// Vite begins with.
func TestE2EShareBrowserVite(t *testing.T) {
	dir := shortDir(t)
	writeIssued(t, dir, viteDomain)
	relay := startPublicRelay(t, dir)
	database := filepath.Join(relay.home, ".local", "share", "pki", "nssdb")
	if err := os.MkdirAll(database, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-N", "--empty-password"},
		{"-A", "-n", "test", "-t", "C,,", "-i", filepath.Join(dir, "ca.pem")},
	} {
		if out, err := runTool(t, patience, relay.env, needTool(t, "certutil"), append([]string{"-d", "sql:" + database}, args...)...); err != nil {
			t.Fatalf("certutil: %v\n%s", err, out)
		}
	}

	servers := startDemo(t)
	env := []string{"HTTPS_PROXY=" + connectProxy(t, relay.listen), "NO_PROXY="}
	project := relay.share(t, servers.dir, env)
	public := project.host("shop.localhost")
	direct := ask(t, http.DefaultClient, "GET", "http://127.0.0.1:"+servers.webPort+"/", "", "Host", public)
	if direct.status != http.StatusForbidden {
		t.Fatalf("Vite itself answers %d for %s, so this proves nothing: %.200s", direct.status, public, direct.body)
	}
	d := &sharedDemo{shopPage{tab: openTab(t, startChromium(t, relay.upProcess, "*."+viteDomain)), up: project.upProcess, demo: servers}, project, nil}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{{"page", d.loads}, {"websocket", d.echoes}, {"hot replacement", d.replaces}, {"sockets", d.allSocketsPublic}} {
		if !t.Run(step.name, step.run) {
			return // the next steps build on it
		}
	}
}

// startPublicRelay starts a relay as on a server, with the certificate in dir.
func startPublicRelay(t *testing.T, dir string) *devRelay {
	t.Helper()
	place := &upProcess{}
	place.home, place.state, place.env = privateState(t)
	place.env = append(place.env, "SSL_CERT_FILE="+filepath.Join(dir, "ca.pem"), credentials.TokenVariable+"="+viteToken)
	return newDevRelay(t, startBeside(t, place, dir, "relay", "--domain", viteDomain, "--listen", "127.0.0.1:0", "--http", "none",
		"--cert", "cert.pem", "--key", "key.pem", "--json"), filepath.Join(dir, "ca.pem"))
}

// connectProxy replaces the name server that knows the relay: every CONNECT
// (RFC 9110 section 9.3.6) leads to address.
func connectProxy(t *testing.T, address string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", address)
		if err != nil || r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(to, from)
			to.Close()
		}()
		_, _ = io.Copy(from, to)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// writeIssued writes ca.pem, and cert.pem and key.pem, which that CA has issued
// for a domain and the names below it.
func writeIssued(t *testing.T, dir, domain string) {
	t.Helper()
	template := func(name string, serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
	}
	ca, leaf := template("test CA", 1), template(domain, 2)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	leaf.DNSNames, leaf.KeyUsage = []string{domain, "*." + domain}, x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	caKey, key := newKey(t), newKey(t)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		name, kind string
		der        []byte
	}{
		{"ca.pem", "CERTIFICATE", signed(t, ca, ca, caKey, caKey)},
		{"cert.pem", "CERTIFICATE", signed(t, leaf, ca, key, caKey)},
		{"key.pem", "PRIVATE KEY", private},
	} {
		saveFile(t, filepath.Join(dir, file.name), string(pem.EncodeToMemory(&pem.Block{Type: file.kind, Bytes: file.der})))
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
