package relay

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// pendingOrder is the Challenges of one order.
type pendingOrder struct {
	mu   sync.Mutex
	cert *tls.Certificate // of custom
}

// Certificate implements Challenges.
func (p *pendingOrder) Certificate(name string) *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name != custom {
		return nil
	}
	return p.cert
}

const challengePath = "/.well-known/acme-challenge/T0ken-_"

// Text implements Challenges.
func (p *pendingOrder) Text(name, path string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return "T0ken-_.thumbprint", p.cert != nil && name == custom && path == challengePath
}

func (p *pendingOrder) set(cert *tls.Certificate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cert = cert
}

// startOrder runs a relay with an order for the custom domain.
func startOrder(t *testing.T) (*world, *fakeDNS, *pendingOrder) {
	t.Helper()
	order := &pendingOrder{}
	w, records := startDomains(t, func(o *Options) { o.Challenges = order })
	proof, err := w.ca.certificate(&tls.ClientHelloInfo{ServerName: domain}) // any other than custom's own
	if err != nil {
		t.Fatal(err)
	}
	order.set(proof)
	return w, records, order
}

// TestChallengeHandshake: a handshake with acme-tls/1 alone, for a name that is being
// ordered, gets the proof and ends. Every other one is as without an order.
func TestChallengeHandshake(t *testing.T) {
	w, _, order := startOrder(t)
	greet := func(name string, protocols ...string) (string, *tls.Conn, error) {
		c, err := tls.Dial("tcp", w.addr, &tls.Config{ServerName: name, NextProtos: protocols, InsecureSkipVerify: true})
		if err != nil {
			return "", nil, err
		}
		t.Cleanup(func() { c.Close() })
		return c.ConnectionState().NegotiatedProtocol + " " + c.ConnectionState().PeerCertificates[0].DNSNames[0], c, nil
	}
	for _, name := range []string{custom, strings.ToUpper(custom)} {
		got, c, err := greet(name, acmeProtocol)
		if err != nil || got != "acme-tls/1 "+domain {
			t.Fatalf("%s: %q, %v", name, got, err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("after the handshake: %d bytes, %v", n, err)
		}
	}
	eventually(t, "they are counted", func() bool { return counts(w.Relay, `handshakes_total{outcome="challenge"} 2`) })
	for what, protocols := range map[string][]string{
		"http/1.1 " + custom: {acmeProtocol, "http/1.1"}, "h2 " + custom: {"h2", acmeProtocol}, " " + custom: nil,
	} {
		if got, _, err := greet(custom, protocols...); err != nil || got != what {
			t.Errorf("%q: %q, %v", protocols, got, err)
		}
	}
	for _, name := range []string{domain, "x." + domain, "x." + custom, "other.example.org"} {
		if got, _, err := greet(name, acmeProtocol); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
	order.set(nil)
	if got, _, err := greet(custom, acmeProtocol); err == nil || !strings.Contains(err.Error(), "no application protocol") {
		t.Errorf("without an order: %q, %v", got, err)
	}
	eventually(t, "no connection is left of them", func() bool {
		_, visitors, _ := w.conns.counts()
		return visitors == 3
	})
}

// TestChallengeText: the proof over HTTP is at the exact path of the exact name, and
// nothing else changes there.
func TestChallengeText(t *testing.T) {
	w, _, order := startOrder(t)
	ask := func(method, host, target string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://"+host+"/", nil)
		r.RequestURI = target
		got := httptest.NewRecorder()
		w.redirect(got, r)
		return got.Code, got.Body.String()
	}
	for _, host := range []string{custom, custom + ":80", custom + ":5002", strings.ToUpper(custom), custom + "."} {
		if status, text := ask(http.MethodGet, host, challengePath); status != http.StatusOK || text != "T0ken-_.thumbprint" {
			t.Errorf("%s: %d %q", host, status, text)
		}
	}
	for _, target := range []string{
		challengePath + "/", challengePath + "?", challengePath + "?a=b", challengePath + "#a", "/" + challengePath, challengePath + "/../T0ken-_",
		"/.well-known/./acme-challenge/T0ken-_", "/x/.." + challengePath, "/.well-known/acme-challenge/t0ken-_", "/.well-known/acme-challenge/T0ken%2D_",
		"/.well-known/acme-challenge/%540ken-_", "/.well-known/acme-challenge/", "/.well-known%2Facme-challenge/T0ken-_", "/.WELL-KNOWN/acme-challenge/T0ken-_",
		"/.well-known/acme-challenge\\T0ken-_", challengePath + "\x00", "http://" + custom + challengePath, "*", "",
	} {
		if _, text := ask(http.MethodGet, custom, target); strings.Contains(text, "thumbprint") {
			t.Errorf("%q gets the proof", target)
		}
	}
	for _, host := range []string{domain, "x." + domain, "x." + custom, "other.example.org", ""} {
		if _, text := ask(http.MethodGet, host, challengePath); strings.Contains(text, "thumbprint") {
			t.Errorf("%q gets the proof", host)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodHead, http.MethodOptions, "PROPFIND"} {
		if _, text := ask(method, custom, challengePath); strings.Contains(text, "thumbprint") {
			t.Errorf("%s gets the proof", method)
		}
	}
	order.set(nil)
	if status, text := ask(http.MethodGet, custom, challengePath); status != http.StatusMisdirectedRequest || strings.Contains(text, "thumbprint") {
		t.Errorf("without an order: %d %q", status, text)
	}
}

// TestChallengeOverTLS: an authority that a proxy sends on to HTTPS gets the proof, on a
// connection with any certificate, before and while a share has the domain. The app sees
// every other request below that folder.
func TestChallengeOverTLS(t *testing.T) {
	w, records, order := startOrder(t)
	clients := map[string]*http.Client{"h1": w.client("h1"), "h2": w.client("h2")}
	for protocol, client := range clients {
		if status, text, _ := get(t, client, "https://"+custom+challengePath); status != http.StatusOK || text != "T0ken-_.thumbprint" {
			t.Errorf("%s, without a share: %d %q", protocol, status, text)
		}
	}
	records.set(custom, ownName("a"))
	w.agent(testKey("a"), domainClaim("a", ""), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, "app "+r.URL.Path) }))
	for protocol, client := range clients {
		if status, text, _ := get(t, client, "https://"+custom+challengePath); status != http.StatusOK || text != "T0ken-_.thumbprint" {
			t.Errorf("%s, with a share: %d %q", protocol, status, text)
		}
		if _, text, _ := get(t, client, "https://"+custom+challengePath+"x"); text != "app "+challengePath+"x" {
			t.Errorf("%s, another path: %q", protocol, text)
		}
	}
	if status, _, _ := get(t, clients["h1"], "https://shop."+domain+challengePath); status != http.StatusNotFound {
		t.Errorf("another name: %d", status)
	}
	order.set(nil)
	if _, text, _ := get(t, clients["h1"], "https://"+custom+challengePath); text != "app "+challengePath {
		t.Errorf("without an order: %q", text)
	}
}

// TestDomainLost: an agent whose domain is gone is asked for a new session, which is
// refused with the reason; the requests in progress end well.
func TestDomainLost(t *testing.T) {
	w, records, _ := startOrder(t)
	records.set(custom, ownName("a"))
	begun, release := make(chan struct{}), make(chan struct{})
	a := w.agent(testKey("a"), domainClaim("a", "", "admin"), http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(rw, "whole")
	}))
	result := make(chan string, 1)
	client := w.client("h1")
	go func() {
		response, err := client.Get("https://" + custom + "/")
		if err != nil {
			result <- err.Error()
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		result <- string(text)
	}()
	<-begun
	w.proveDomainsOnce()
	select {
	case <-a.Draining():
		t.Fatal("a domain that is proven is taken")
	default:
	}
	records.set(custom, "")
	w.proveDomainsOnce()
	eventually(t, "the session drains", func() bool {
		select {
		case <-a.Draining():
			return true
		default:
			return false
		}
	})
	if w.shares.has(custom) || !w.shares.has(a.grant.Hosts[1]) {
		t.Error("the share has not lost exactly the domain")
	}
	close(release)
	if text := <-result; text != "whole" {
		t.Errorf("the request in progress: %q", text)
	}
}
