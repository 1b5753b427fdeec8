//go:build e2e && unix

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestE2EBrowserChain has Chromium judge the chain for every kind of name the
// root may sign, and what a thief of the root's key signs beyond them.
func TestE2EBrowserChain(t *testing.T) {
	u := startUp(t, projectDir(t, helloProxyfile))
	trustChromium(t, u)
	browser := startChromium(t, u, "example.com", "notlocalhost")
	for _, name := range certifiedNames {
		t.Run("accepts/"+name, func(t *testing.T) {
			if name == "::1" {
				needLoopback(t, name)
			}
			status, err := openTab(t, browser).visit(u.url(bracketed(name), "/"))
			want := int64(http.StatusNotFound)
			if name == "shop.localhost" {
				want = http.StatusOK
			}
			if err != nil || status != want {
				t.Errorf("%d, %v; want %d", status, err, want)
			}
		})
	}
	for name, want := range map[string]string{
		"inside.localhost": "", // it is the name, not the thief's way, that is refused
		"example.com":      "net::ERR_CERT_",
		"notlocalhost":     "net::ERR_CERT_",
	} {
		t.Run("thief/"+name, func(t *testing.T) {
			port := serveAsThief(t, u, name)
			_, err := openTab(t, browser).visit(fmt.Sprintf("https://%s:%d/", name, port))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// serveAsThief serves a page with a leaf for name that was signed with the
// stolen key of u's root, and returns the port.
func serveAsThief(t *testing.T, u *upProcess, name string) int {
	t.Helper()
	root, err := x509.ParseCertificate(readPEM(t, u.rootFile()))
	if err != nil {
		t.Fatal(err)
	}
	rootKey, err := x509.ParsePKCS8PrivateKey(readPEM(t, filepath.Join(u.state, "root-key.pem")))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "stolen")
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // refusals are wanted
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// readPEM is the first block of a file.
func readPEM(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s holds no PEM block", file)
	}
	return block.Bytes
}
