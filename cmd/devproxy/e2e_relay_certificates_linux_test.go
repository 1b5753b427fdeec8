//go:build e2e

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/agent"
	"github.com/devproxy/devproxy/tunnel/relay/acme/pebble"
)

// certificatesDomain is the domain of the relay under test. Its names are loopback.
const certificatesDomain = "t.relay.localhost"

// logHas waits until the relay's log has a text.
func (p *relayProcess) logHas(text string) {
	p.t.Helper()
	p.until("the log has "+text, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return strings.Contains(p.log.String(), text)
	})
}

func (p *relayProcess) until(what string, reached func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(2 * patience); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("never: " + what)
		}
	}
}

// leaf returns the certificate that a visitor of a name gets. It may have expired: on a
// slow machine a renewal takes longer than the rest of a short lifetime.
func (p *relayProcess) leaf(name string, roots *x509.CertPool) *x509.Certificate {
	p.t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
	c, err := dialer.DialContext(p.t.Context(), "tcp", p.addr)
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	defer c.Close()
	chain := c.(*tls.Conn).ConnectionState().PeerCertificates
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates, CurrentTime: chain[0].NotBefore}); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return chain[0]
}

// TestE2ERelayCertificates: a relay whose authority is away waits for it, and is ready
// with its certificates. It renews them, also after its process was replaced, without
// closing a visitor's connection, and gets one for the zone of a key.
func TestE2ERelayCertificates(t *testing.T) {
	dns := freeDNSAddress(t)
	authority := pebble.New(t, pebble.Options{DNS: dns, Validity: 20 * time.Second})
	t.Setenv("SSL_CERT_FILE", authority.RootFile)
	home := t.TempDir()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte("z"), 32))
	keys := filepath.Join(home, "keys")
	if err := os.WriteFile(keys, []byte(base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	admin := freeDNSAddress(t)
	p := launchRelay(t, home, "--domain", certificatesDomain, "--acme-ca", authority.URL, "--dns", dns, "--address", "127.0.0.1",
		"--listen", "127.0.0.1:0", "--http", "none", "--admin", admin, "--authorized-keys", keys)
	p.logHas(`"msg":"waiting for certificates"`)
	p.logHas(`"msg":"certificate not issued"`)
	if status, _ := get(t, "http://"+admin+"/healthz"); status != http.StatusServiceUnavailable {
		t.Errorf("without a certificate the relay says that it is well: %d", status)
	}
	authority.Start()
	p.ready()
	roots := authority.Issued()
	own, wild := p.leaf(certificatesDomain, roots).SerialNumber, p.leaf("x."+certificatesDomain, roots).SerialNumber
	if own.Cmp(wild) == 0 {
		t.Error("one certificate for both names")
	}
	if status, _ := get(t, "http://"+admin+"/healthz"); status != http.StatusOK {
		t.Errorf("with a certificate the relay says that it is not well: %d", status)
	}

	// A share with cookies in common gets a zone with its own certificate.
	link, up := shareCookies(t, p, key, roots)
	p.logHas(`"name":"*.` + up.Zone + `"`)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.addr)
		},
	}}
	defer client.CloseIdleConnections()
	visit := func() {
		t.Helper()
		response, err := client.Get(link)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if text, err := io.ReadAll(response.Body); err != nil || string(text) != "hello" {
			t.Fatalf("%s: %s %q, %v", link, response.Status, text, err)
		}
	}
	visit()

	p.signal(syscall.SIGHUP)
	p.ready()
	p.expect("handover")
	p.until("both are renewed in the next process", func() bool {
		return p.leaf(certificatesDomain, roots).SerialNumber.Cmp(own) != 0 && p.leaf("x."+certificatesDomain, roots).SerialNumber.Cmp(wild) != 0
	})
	visit()
	_, metrics := get(t, "http://"+admin+"/metrics")
	for _, text := range []string{
		`devproxy_relay_certificate_orders_total{kind="relay",outcome="renewed"}`,
		`devproxy_relay_certificate_not_after_timestamp_seconds{file="*.` + certificatesDomain + `"}`,
		`devproxy_relay_certificate_authority{url="` + authority.URL + `"} 1`,
		`devproxy_relay_dns_queries_total{outcome="answered",transport=`,
		"devproxy_relay_zone_certificates 1", "devproxy_relay_zone_certificates_left 24",
	} {
		if !strings.Contains(metrics, text) {
			t.Errorf("the metrics have no %s:\n%s", text, metrics)
		}
	}
	p.signal(syscall.SIGTERM)
	p.expect("stopped")
}

// get returns the response to a request of the relay's operator.
func get(t *testing.T, url string) (status int, text string) {
	t.Helper()
	client := &http.Client{Timeout: patience}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// shareCookies runs an agent whose hosts have cookies in common, until the relay has
// granted its names.
func shareCookies(t *testing.T, p *relayProcess, key ed25519.PrivateKey, roots *x509.CertPool) (link string, grant tunnel.Grant) {
	t.Helper()
	_, port, _ := net.SplitHostPort(p.addr)
	granted := make(chan tunnel.Grant, 1)
	a := agent.New(agent.Options{
		Relay: certificatesDomain + ":" + port, Key: key, Roots: roots,
		Claim: tunnel.Claim{Project: "shop", Link: tunnel.Link(key, 0), Names: tunnel.NewestNames, SharedCookies: true, Hosts: []string{"", "admin"}},
		Notify: func(s agent.State) {
			if s.Phase == agent.Up {
				select {
				case granted <- s.Grant:
				default: // again
				}
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	var group sync.WaitGroup
	group.Go(func() { _ = a.Run(ctx) }) // the relay is gone at the end
	group.Go(func() { _ = server.Serve(a) })
	t.Cleanup(func() {
		cancel()
		server.Close()
		group.Wait()
	})
	select {
	case g := <-granted:
		return "https://" + g.Hosts[1] + ":" + port + "/", g
	case <-time.After(2 * patience):
		t.Fatal("the share has no names")
		return "", tunnel.Grant{}
	}
}

// TestE2ERelayUnit has systemd read the unit that relay init writes.
func TestE2ERelayUnit(t *testing.T) {
	analyze := needTool(t, "systemd-analyze")
	init := &relayInit{relay: relayOptions{domain: certificatesDomain, zone: zoneOptions{addresses: []string{"203.0.113.7"}, email: "50%@example.com"}}}
	if err := init.relay.zone.check(); err != nil {
		t.Fatal(err)
	}
	text, err := init.unitText(needTool(t, "devproxy"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "devproxy-relay.service")
	saveFile(t, path, text)
	out, err := runTool(t, patience, append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir), analyze, "verify", "--man=no", "--recursive-errors=no", path)
	if err != nil || out != "" {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// TestE2ERelayCertificatesRefused: a relay whose authority issues nothing for the domain
// ends with the reason and what to do.
func TestE2ERelayCertificatesRefused(t *testing.T) {
	dns := freeDNSAddress(t)
	authority := pebble.New(t, pebble.Options{DNS: dns, Validity: time.Hour, Blocked: []string{"relay.localhost"}})
	authority.Start()
	t.Setenv("SSL_CERT_FILE", authority.RootFile)
	p := launchRelay(t, t.TempDir(), "--domain", certificatesDomain, "--acme-ca", authority.URL, "--dns", dns, "--address", "127.0.0.1",
		"--listen", "127.0.0.1:0", "--http", "none")
	failed := p.expect("failed")
	if text, fix := failed["error"].(string), failed["fix"].(string); !strings.Contains(text, "no certificate for "+certificatesDomain+": the authority refuses: ") || !strings.Contains(fix, "--acme-ca URL") {
		t.Errorf("the relay fails with %q, %q", text, fix)
	}
}
