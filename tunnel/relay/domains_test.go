package relay

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

const custom = "demo.example.org"

// fakeDNS is a DomainProver that knows which name each domain leads to.
type fakeDNS struct {
	mu      sync.Mutex
	records map[string]string
	asked   int
}

func (d *fakeDNS) set(domain, own string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records[domain] = own
}

// IsProven implements DomainProver.
func (d *fakeDNS) IsProven(string, string) bool { return false }

// Prove implements DomainProver.
func (d *fakeDNS) Prove(_ context.Context, domain, own string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked++; d.records[domain] != own {
		return &tunnel.Refusal{Code: tunnel.CodeUnproven, Message: "make the record"}
	}
	return nil
}

// ProveAgain implements DomainProver.
func (d *fakeDNS) ProveAgain(ctx context.Context, domain, own string) error {
	return d.Prove(ctx, domain, own)
}

func ownName(key string) string {
	pub := publicKey(testKey(key))
	return tunnel.OwnName(pub[:], domain)
}

// domainClaim claims unguessable names, the first one in place of which is a domain.
func domainClaim(key string, hosts ...string) tunnel.Claim {
	c := claimOf(testKey(key), hosts...)
	c.Domain, c.Names = custom, tunnel.NewestNames
	return c
}

// startDomains runs a relay with a certificate for the custom domain.
func startDomains(t *testing.T, change func(*Options)) (*world, *fakeDNS) {
	t.Helper()
	records := &fakeDNS{records: map[string]string{}}
	var own *tls.Certificate
	w := start(t, func(o *Options) {
		ofRelay := o.Certificate
		o.Domains = records
		o.Certificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == custom {
				return own, nil
			}
			return ofRelay(hello)
		}
		if change != nil {
			change(o)
		}
	})
	template := &x509.Certificate{SerialNumber: big.NewInt(3), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{custom}}
	der, err := x509.CreateCertificate(rand.Reader, template, w.ca.cert, &w.ca.key.PublicKey, w.ca.key)
	if err != nil {
		t.Fatal(err)
	}
	own = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: w.ca.key}
	return w, records
}

// TestDomain: a domain is the name of its share's first host, once it belongs to the key.
// Nothing is served there before, for other names, or on other names' connections.
func TestDomain(t *testing.T) {
	w, records := startDomains(t, nil)
	if _, err := w.tryAgent(testKey("a"), domainClaim("a", ""), &recorder{}); codeFrom(err) != tunnel.CodeUnproven {
		t.Fatalf("without a record: %v", err)
	}
	if w.shares.has(custom) {
		t.Error("an unproven domain has a share")
	}
	records.set(custom, ownName("a"))
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Add("Set-Cookie", "own=1")
		rw.Header().Add("Set-Cookie", "wide=1; Domain=example.org")
		_, _ = rw.Write([]byte(r.Host))
	})
	a := w.agent(testKey("a"), domainClaim("a", "", "admin"), handler)
	if a.grant.Hosts[0] != custom || !strings.HasSuffix(a.grant.Hosts[1], "--admin."+domain) {
		t.Fatalf("granted are %q", a.grant.Hosts)
	}
	for _, protocol := range []string{"h1", "h2"} {
		status, body, fields := get(t, w.client(protocol), "https://"+custom+"/")
		if cookies := fields["Set-Cookie"]; status != http.StatusOK || body != custom || len(cookies) != 1 || cookies[0] != "own=1" {
			t.Errorf("%s: %d %q, cookies %q", protocol, status, body, cookies)
		}
	}
	if status, body, _ := get(t, w.client("h1"), "https://"+a.grant.Hosts[1]+"/"); status != http.StatusOK || body != a.grant.Hosts[1] {
		t.Errorf("the other host: %d %q", status, body)
	}
	// A connection is for the names of its certificate.
	for _, names := range [][2]string{{custom, a.grant.Hosts[1]}, {a.grant.Hosts[1], custom}, {a.grant.Hosts[1], "other.example.org"}} {
		if status := rawStatus(t, w, names[0], names[1]); status != http.StatusMisdirectedRequest {
			t.Errorf("%s on a connection to %s: %d", names[1], names[0], status)
		}
	}
	// Another key without the record gets nothing, and changes nothing.
	if _, err := w.tryAgent(testKey("b"), domainClaim("b", ""), &recorder{}); codeFrom(err) != tunnel.CodeUnproven {
		t.Errorf("another key: %v", err)
	}
	if status, _, _ := get(t, w.client("h1"), "https://"+custom+"/"); status != http.StatusOK {
		t.Errorf("after that: %d", status)
	}
	// A change of the claim proves the domain too.
	claim := domainClaim("a", "")
	claim.Domain = "victim.example.org"
	if reply := a.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != tunnel.CodeUnproven || w.shares.has("victim.example.org") || !w.shares.has(custom) {
		t.Errorf("a change to another domain: %+v", reply)
	}
	claim.Domain = ""
	if reply := a.ask(tunnel.Request{Op: "claim", Claim: &claim}); reply.Code != 0 || w.shares.has(custom) {
		t.Errorf("a claim without the domain: %+v", reply)
	}
}

// rawStatus returns the status of a request to one name on a connection to another.
func rawStatus(t *testing.T, w *world, from, to string) int {
	t.Helper()
	c := w.dial(from)
	defer c.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+to+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(c); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestDomainMoves: the domain goes to the key that the record names, and a share loses it
// when the record is gone; its other hosts stay.
func TestDomainMoves(t *testing.T) {
	w, records := startDomains(t, nil)
	records.set(custom, ownName("a"))
	a := w.agent(testKey("a"), domainClaim("a", "", "admin"), &recorder{})
	records.set(custom, ownName("b"))
	w.agent(testKey("b"), domainClaim("b", ""), http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("b")) }))
	w.proveDomainsOnce() // a's
	if status, body, _ := get(t, w.client("h1"), "https://"+custom+"/"); status != http.StatusOK || body != "b" {
		t.Errorf("the new key: %d %q", status, body)
	}
	records.set(custom, "")
	w.proveDomainsOnce()
	if w.shares.has(custom) || !w.shares.has(a.grant.Hosts[1]) {
		t.Errorf("without a record, the domain has a share: %v; the other host: %v", w.shares.has(custom), w.shares.has(a.grant.Hosts[1]))
	}
}

// TestDomainRefused: a relay without a prover, or without a certificate, says so. An old
// relay's claim has no domain.
func TestDomainRefused(t *testing.T) {
	w := start(t, nil)
	if _, err := w.tryAgent(testKey("a"), domainClaim("a", ""), &recorder{}); codeFrom(err) != tunnel.CodeBadClaim || !strings.Contains(err.Error(), "takes no domains") {
		t.Errorf("without a prover: %v", err)
	}
	uncovered, records := startDomains(t, func(o *Options) { o.Covers = func(name string) bool { return name != custom } })
	records.set(custom, ownName("a"))
	if _, err := uncovered.tryAgent(testKey("a"), domainClaim("a", ""), &recorder{}); codeFrom(err) != tunnel.CodeBadClaim || !strings.Contains(err.Error(), "no certificate for "+custom) {
		t.Errorf("without a certificate: %v", err)
	}
	// The certificate of the domain does not do for the other hosts.
	partly, records := startDomains(t, func(o *Options) { o.Covers = func(name string) bool { return name == custom } })
	records.set(custom, ownName("a"))
	if _, err := partly.tryAgent(testKey("a"), domainClaim("a", "", "admin"), &recorder{}); codeFrom(err) != tunnel.CodeBadClaim || !strings.Contains(err.Error(), "no certificate for *."+domain) {
		t.Errorf("without a certificate for another host: %v", err)
	}
	var got []string
	ordering, records := startDomains(t, func(o *Options) {
		o.CoverDomain = func(domain, key string, network netip.Prefix) error {
			got = append(got, domain, key, network.String())
			return &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "is being issued"}
		}
	})
	if _, err := ordering.tryAgent(testKey("a"), domainClaim("a", ""), &recorder{}); codeFrom(err) != tunnel.CodeUnproven || got != nil {
		t.Errorf("an order without a proof: %v, %q", err, got)
	}
	records.set(custom, ownName("a"))
	_, ordered := ordering.tryAgent(testKey("a"), domainClaim("a", ""), &recorder{})
	if codeFrom(ordered) != tunnel.CodeBusy || len(got) != 3 || got[0] != custom || got[1] != publicKey(testKey("a")).String() {
		t.Errorf("an order: %v, %q", ordered, got)
	}
}

// TestDomainRate: a network has searches for proofs up to a limit.
func TestDomainRate(t *testing.T) {
	w, records := startDomains(t, nil)
	from := w.conns.network(netip.MustParseAddr("127.0.0.1"))
	for from.domains.Allow() {
	}
	if _, err := w.tryAgent(testKey("a"), domainClaim("a", ""), &recorder{}); codeFrom(err) != tunnel.CodeBusy || records.asked != 0 {
		t.Errorf("%v after %d searches", err, records.asked)
	}
}

// TestDomainRedirect: plain HTTP leads to a domain that a share has, and to no other.
func TestDomainRedirect(t *testing.T) {
	w, records := startDomains(t, nil)
	records.set(custom, ownName("a"))
	w.agent(testKey("a"), domainClaim("a", ""), &recorder{})
	for name, want := range map[string]int{custom: http.StatusPermanentRedirect, "other.example.org": http.StatusMisdirectedRequest} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+name+"/a?b", nil)
		got := httptest.NewRecorder()
		w.redirect(got, r)
		if got.Code != want || want == http.StatusPermanentRedirect && got.Header().Get("Location") != "https://"+custom+"/a?b" {
			t.Errorf("%s: %d to %q, want %d", name, got.Code, got.Header().Get("Location"), want)
		}
	}
}
