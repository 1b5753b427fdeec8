package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"sync"
	"testing"
	"time"
)

// tlsConfigs are those of a relay and its agents, with their own certificate.
var tlsConfigs = sync.OnceValues(func() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"relay.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	server = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{ALPN}, MinVersion: tls.VersionTLS13}
	client = &tls.Config{RootCAs: roots, ServerName: "relay.test", NextProtos: []string{ALPN}, MinVersion: tls.VersionTLS13}
	return server, client
})

// tlsPair is a TLS connection over loopback, as lanes have.
func tlsPair(t testing.TB) (near, far *tls.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	server, client := tlsConfigs()
	near, far = tls.Client(a, client), tls.Server(b, server)
	done := make(chan error, 1)
	go func() { done <- far.Handshake() }()
	if err := near.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return near, far
}

// dialTLS is network.dial over real TLS, with the bindings of its connections.
func (n *network) dialTLS(ctx context.Context) (Lane, error) {
	near, far := tlsPair(n.t)
	here, err := Binding(near.ConnectionState())
	if err != nil {
		return Lane{}, err
	}
	there, err := Binding(far.ConnectionState())
	if err != nil {
		return Lane{}, err
	}
	n.group.Go(func() {
		_ = n.acceptor.Join(context.WithoutCancel(ctx), Lane{Conn: far, Binding: there})
	})
	return Lane{Conn: near, Binding: here}, nil
}
