package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/devproxy/doctor"
	"github.com/devproxy/devproxy/devproxy/plan"
)

const token = "the token of the check"

// edge plays a relay with devproxy and a project behind it. Tests replace the answers
// to single paths.
type edge struct {
	*httptest.Server
	t       *testing.T
	hosts   []control.SharedHost
	answers map[string]http.HandlerFunc // by "path", or "host path"
	next    chan struct{}
	release sync.Once

	strangers atomic.Int64 // requests to the paths of probes without the token
}

// startEdge serves names below share.localhost with the certificate of a test CA.
func startEdge(t *testing.T, change func(*x509.Certificate), locals ...string) (*edge, *Subject) {
	t.Helper()
	e := &edge{t: t, answers: map[string]http.HandlerFunc{}, next: make(chan struct{})}
	e.Server = httptest.NewUnstartedServer(e)
	roots, leaf := certificate(t, change)
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}
	e.StartTLS()
	t.Cleanup(e.Close)
	u, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	for i, local := range locals {
		e.hosts = append(e.hosts, control.SharedHost{Name: local, URL: fmt.Sprintf("https://host%d.share.localhost:%s", i, u.Port())})
	}
	return e, &Subject{
		Share: control.Share{State: control.ShareUp, Relay: "share.localhost", Hosts: e.hosts, URL: e.hosts[0].URL, Check: token},
		Roots: roots, Upload: 1 << 20,
	}
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, key := range []string{strings.Split(r.Host, ".")[0] + " " + r.URL.Path, r.URL.Path} {
		if answer := e.answers[key]; answer != nil {
			answer(w, r)
			return
		}
	}
	probe, ok := strings.CutPrefix(r.URL.Path, plan.OwnPaths+control.ProbePath)
	if !ok {
		_, _ = io.WriteString(w, "<h1>app</h1>")
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		e.strangers.Add(1)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	e.probe(w, r, probe)
}

// probe answers as devproxy does.
func (e *edge) probe(w http.ResponseWriter, r *http.Request, name string) {
	result := control.Probe{Local: "shop.localhost"}
	switch name {
	case "redirect":
		w.Header().Set("Location", "https://"+r.Host+plan.OwnPaths+control.ProbePath+"request")
		w.WriteHeader(http.StatusFound)
		return
	case "stream":
		_, _ = io.WriteString(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		<-e.next
		_, _ = io.WriteString(w, "data: next\n\n")
		return
	case "next":
		e.release.Do(func() { close(e.next) })
	case "upload":
		hash := sha256.New()
		result.Bytes, _ = io.Copy(hash, r.Body)
		result.SHA256 = hex.EncodeToString(hash.Sum(nil))
	case "cookie":
		if c, err := r.Cookie("probe"); err == nil {
			result.Cookie = c.Value
		}
		result.SetCookie = rand.Text()
		http.SetCookie(w, &http.Cookie{Name: "probe", Value: result.SetCookie, Secure: true})
	case "socket":
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		if kind, text, err := conn.Read(r.Context()); err == nil {
			_ = conn.Write(r.Context(), kind, text)
		}
		return
	case "request":
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(result)
}

// on replaces the answer to a path, on all hosts or "host0 /path".
func (e *edge) on(path string, answer http.HandlerFunc) { e.answers[path] = answer }

// at is the path of a probe.
func at(probe string) string { return plan.OwnPaths + control.ProbePath + probe }

// page answers with HTML.
func page(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// status answers with a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// check runs the check and returns its findings.
func (e *edge) check(s *Subject) (found []doctor.Finding) {
	e.t.Helper()
	Run(e.t.Context(), s, func(f doctor.Finding) { found = append(found, f) })
	return found
}

// certificate returns the root of a new CA and a certificate for *.share.localhost.
func certificate(t *testing.T, change func(*x509.Certificate)) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test CA"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"*.share.localhost"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(900 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(leaf)
	}
	caKey, leafKey := key(), key()
	caBytes, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafBytes, err := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(caBytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return roots, tls.Certificate{Certificate: [][]byte{leafBytes}, PrivateKey: leafKey}
}
