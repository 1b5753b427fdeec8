// Package pebble runs Let's Encrypt's test authority as a program, which asks a DNS
// server of the test's choice. Only tests import it.
package pebble

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds the start; only a failing test waits for it.
const patience = time.Minute

// build compiles the version that go.mod names, and returns the program's path in
// Go's cache.
var build = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "pebble").Output()
	return strings.TrimSpace(string(out)), err
})

// Options configure an authority.
type Options struct {
	// DNS is the address of the server that it asks, "127.0.0.1:5353".
	DNS string
	// Validity is how long its certificates are valid, to the second.
	Validity time.Duration
	// TLSPort and HTTPPort are where it asks for the answers to TLS-ALPN-01 and HTTP-01. It
	// gets no answer with 0.
	TLSPort, HTTPPort int
	// Blocked are domains that it issues nothing for.
	Blocked []string
}

// Authority is one that may run. It is made by New.
type Authority struct {
	// URL is that of its directory.
	URL string
	// RootFile has the certificate that its server is verified with, and Roots too.
	RootFile string
	Roots    *x509.CertPool

	t          testing.TB
	address    string
	management string
	opts       Options
	cmd        *exec.Cmd
	log        bytes.Buffer
}

// New reserves an address, without starting the authority.
func New(t testing.TB, o Options) *Authority {
	t.Helper()
	a := &Authority{t: t, opts: o, address: freeAddress(t), management: freeAddress(t)}
	a.URL = "https://" + a.address + "/dir"
	dir := t.TempDir()
	a.RootFile = filepath.Join(dir, "cert.pem")
	a.Roots = writeCertificate(t, a.RootFile, filepath.Join(dir, "key.pem"))
	return a
}

// Start starts it. It ends with Stop, or with the test.
func (a *Authority) Start() {
	a.t.Helper()
	program, err := build()
	if err != nil {
		a.t.Fatal(err)
	}
	dir := filepath.Dir(a.RootFile)
	config := filepath.Join(dir, "pebble.json")
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": a.address, "managementListenAddress": a.management,
		"certificate": a.RootFile, "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": max(a.opts.HTTPPort, 1), "tlsPort": max(a.opts.TLSPort, 1), "domainBlocklist": a.opts.Blocked,
		"retryAfter":   map[string]int{"authz": 1, "order": 1},
		"keyAlgorithm": "ecdsa",
		"profiles":     map[string]any{"default": map[string]any{"description": "tests", "validityPeriod": int(a.opts.Validity.Seconds())}},
	}})
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(config, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	a.cmd = exec.Command(program, "-config", config, "-dnsserver", a.opts.DNS)
	a.cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	a.cmd.Stdout, a.cmd.Stderr = &a.log, &a.log
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		a.Stop()
		if a.t.Failed() {
			a.t.Logf("pebble:\n%s", tail(a.log.Bytes()))
		}
	})
	a.get(a.URL)
}

// Issued returns the root of the certificates that it issues. It changes with Start.
func (a *Authority) Issued() *x509.CertPool {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.get("https://" + a.management + "/roots/0"))
	return pool
}

// get returns what is at a URL, once the authority has started.
func (a *Authority) get(url string) []byte {
	a.t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Roots}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		response, err := client.Get(url)
		if err == nil {
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil {
				a.t.Fatal(err)
			}
			return text
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("pebble does not answer: %v", err)
		}
	}
}

// Stop ends it. It does nothing if it does not run.
func (a *Authority) Stop() {
	if a.cmd != nil {
		_ = a.cmd.Process.Kill() // it may have ended
		_ = a.cmd.Wait()         // killed
		a.cmd = nil
	}
}

// tail returns the end of a log.
func tail(b []byte) []byte { return b[max(0, len(b)-8<<10):] }

func freeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// writeCertificate makes a certificate for loopback, and its key.
func writeCertificate(t testing.TB, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble's server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}
