//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/devproxy/devproxy/tunnel"
)

// usersDomain is a domain of a relay's user.
const usersDomain = "demo.example.com"

// domainAgent is a session whose share has usersDomain.
type domainAgent struct {
	session *tunnel.Session
	grant   tunnel.Grant
}

// claimDomain opens a session of a key that claims usersDomain, until the test ends.
// Every request there is answered with "hello".
func (p *relayProcess) claimDomain(key ed25519.PrivateKey, relay string, roots *x509.CertPool) (*domainAgent, error) {
	p.t.Helper()
	hello, err := json.Marshal(tunnel.Claim{
		Enrol: relayToken, Project: "shop", Link: tunnel.Link(key, 0), Names: tunnel.NewestNames, Domain: usersDomain, Hosts: []string{"", "admin"},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), handoverPatience)
	defer cancel()
	session, answer, err := tunnel.Dial(ctx, tunnel.Config{Key: key, Hello: hello, Dial: func(ctx context.Context) (tunnel.Lane, error) {
		dialer := tls.Dialer{Config: &tls.Config{ServerName: relay, RootCAs: roots, NextProtos: []string{tunnel.ALPN}}}
		c, err := dialer.DialContext(ctx, "tcp", p.addr)
		if err != nil {
			return tunnel.Lane{}, err
		}
		secure := c.(*tls.Conn)
		binding, err := tunnel.Binding(secure.ConnectionState())
		return tunnel.Lane{Conn: secure, Binding: binding}, err
	}})
	if err != nil {
		return nil, err
	}
	a := &domainAgent{session: session}
	if err := json.Unmarshal(answer, &a.grant); err != nil {
		p.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(sessionListener{session}) // ends with the session
	}()
	p.t.Cleanup(func() {
		session.Close(nil)
		server.Close()
		<-done
	})
	return a, nil
}

// relayToken enrols the keys of tests.
const relayToken = "a token for this test"

// sessionListener is a net.Listener of a session's streams.
type sessionListener struct{ session *tunnel.Session }

// Accept implements net.Listener.
func (l sessionListener) Accept() (net.Conn, error) { return l.session.Accept(context.Background()) }

// Close implements net.Listener.
func (l sessionListener) Close() error { return nil }

// Addr implements net.Listener.
func (l sessionListener) Addr() net.Addr { return &net.UnixAddr{Net: "tunnel"} }

// visitDomain returns the response to a visitor of a name, with cookies, at the relay's
// address.
func (p *relayProcess) visitDomain(url string, roots *x509.CertPool) (status int, text string, err error) {
	p.t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.addr)
		},
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport, Jar: jar, Timeout: handoverPatience}).Get(url)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func codeOf(err error) tunnel.Code {
	if refused, ok := errors.AsType[*tunnel.Refusal](err); ok {
		return refused.Code
	}
	return 0
}

// TestRelayDomain: a relay with a certificate for a user's domain serves it for the key
// that the domain's owner names, and for none before, unless its operator says otherwise.
func TestRelayDomain(t *testing.T) {
	records := startUsersDNS(t)
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "relay", "t.example.com", "*.t.example.com", usersDomain)
	args := []string{"--domain", "t.example.com", "--listen", "127.0.0.1:0", "--http", "none", "--cert", cert, "--key", key, "--token", relayToken}
	p, roots := startRelay(t, dir, args...), rootsOf(t, cert)
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("d"), 32))
	own := tunnel.OwnName(private.Public().(ed25519.PublicKey), "t.example.com")
	_, err := p.claimDomain(private, "t.example.com", roots)
	if codeOf(err) != tunnel.CodeUnproven || !strings.HasSuffix(err.Error(), "make the record "+usersDomain+" CNAME "+own) {
		t.Fatalf("without a record: %v", err)
	}
	if status, _, err := p.visitDomain("https://"+usersDomain+"/", roots); status == http.StatusOK {
		t.Errorf("without a record, a visitor gets %d, %v", status, err)
	}
	records.set(t, usersDomain+". 1 CNAME "+own+".")
	a, err := p.claimDomain(private, "t.example.com", roots)
	if err != nil || a.grant.Hosts[0] != usersDomain || !strings.HasSuffix(a.grant.Hosts[1], ".t.example.com") {
		t.Fatalf("with the record: %+v, %v", a, err)
	}
	for _, host := range a.grant.Hosts {
		if status, text, err := p.visitDomain("https://"+host+"/", roots); status != http.StatusOK || text != "hello" || err != nil {
			t.Errorf("%s: %d %q, %v", host, status, text, err)
		}
	}
	without := startRelay(t, t.TempDir(), append(args, "--custom-domains=false")...)
	if _, err := without.claimDomain(private, "t.example.com", roots); codeOf(err) != tunnel.CodeBadClaim || !strings.Contains(err.Error(), "takes no domains of its users") {
		t.Errorf("with --custom-domains=false: %v", err)
	}
}
