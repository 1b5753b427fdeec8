package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/relay/acme/pebble"
)

const demo = "demo.example.org"

// owners says which key each domain belongs to.
type owners struct {
	mu    sync.Mutex
	keys  map[string]string
	asked int
}

func (o *owners) set(domain, key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keys[domain] = key
}

func (o *owners) prove(_ context.Context, domain, key string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asked++; o.keys[domain] != key {
		return &tunnel.Refusal{Code: tunnel.CodeUnproven, Message: "make the record"}
	}
	return nil
}

// domainSetup is a setup whose authority looks for users' domains on this machine, where
// their challenges are answered.
type domainSetup struct {
	*setup
	owners *owners
	front  *front
}

// front answers challenges, and counts the questions.
type front struct {
	tlsPort, httpPort int

	mu                   sync.Mutex
	manager              *Manager // nil answers none
	handshakes, requests int
}

func (f *front) use(m *Manager) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.manager = m
}

func (f *front) counts() (handshakes, requests int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.handshakes, f.requests
}

func startFront(t *testing.T, answerTLS bool) *front {
	t.Helper()
	f := &front{}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		NextProtos: []string{"acme-tls/1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.handshakes++
			if f.manager == nil || !answerTLS {
				return nil, errors.New("none")
			}
			cert := f.manager.Challenges().Certificate(hello.ServerName)
			if cert == nil {
				return nil, errors.New("none")
			}
			return cert, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.requests++
		host, _, _ := net.SplitHostPort(r.Host)
		text, ok := "", false
		if f.manager != nil {
			text, ok = f.manager.Challenges().Text(host, r.RequestURI)
		}
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, text)
	})}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(plain) })
	group.Go(func() {
		for {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				_ = c.(*tls.Conn).HandshakeContext(context.Background())
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		secure.Close()
		server.Close()
		group.Wait()
	})
	f.tlsPort, f.httpPort = secure.Addr().(*net.TCPAddr).Port, plain.Addr().(*net.TCPAddr).Port
	return f
}

// usersDNS answers 127.0.0.1 for every name, and asks the relay's server for texts.
func usersDNS(t *testing.T, relay string) string {
	t.Helper()
	streams, err := net.Listen("tcp", "127.0.0.1:0") // as pebble asks
	if err != nil {
		t.Fatal(err)
	}
	started, done := make(chan struct{}), make(chan error, 1)
	server := &dns.Server{Listener: streams, NotifyStartedFunc: func() { close(started) }}
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		question := q.Question[0]
		switch question.Qtype {
		case dns.TypeTXT:
			client := &dns.Client{Net: "tcp"}
			if answer, _, err := client.Exchange(q, relay); err == nil {
				reply = answer
			}
		case dns.TypeA:
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(reply)
	})
	go func() { done <- server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-done); err != nil {
			t.Error(err)
		}
	})
	return streams.Addr().String()
}

// newDomainSetup makes one. tls is whether the front answers TLS-ALPN-01, and plain whether
// the relay answers plain HTTP.
func newDomainSetup(t *testing.T, o pebble.Options, answerTLS, plain bool) *domainSetup {
	t.Helper()
	f := startFront(t, answerTLS)
	o.TLSPort, o.HTTPPort = f.tlsPort, f.httpPort
	resolver := func(relay string) string { return usersDNS(t, relay) }
	s := &domainSetup{setup: newSetupWithDNS(t, o, resolver), owners: &owners{keys: map[string]string{}}, front: f}
	s.opts.Prove, s.opts.PlainHTTP = s.owners.prove, plain
	s.open()
	f.use(s.Manager)
	s.authority.Start()
	s.run()
	return s
}

// cover claims the domain, and returns the refusal's message; empty for none.
func (s *domainSetup) cover(key string) string {
	s.t.Helper()
	err := s.CoverDomain(demo, key, netip.MustParsePrefix("198.51.100.1/32"))
	if err == nil {
		return ""
	}
	refused, ok := errors.AsType[*tunnel.Refusal](err)
	if !ok {
		s.t.Fatal(err)
	}
	return refused.Message
}

// orders returns how many orders of domains had an outcome.
func (s *domainSetup) ordersOf(outcome string) int {
	return int(testutil.ToFloat64(s.orders.WithLabelValues(domainKind.label, outcome)))
}

// TestDomain: a user's domain gets a certificate by a handshake with the relay, once; it is
// kept, and read again by the next process. Nothing is left of the challenge.
func TestDomain(t *testing.T) {
	s := newDomainSetup(t, pebble.Options{Validity: time.Hour}, true, false)
	s.owners.set(demo, "key")
	if said := s.cover("key"); !strings.Contains(said, "the certificate for "+demo+" is being issued") {
		t.Fatalf("the first claim: %q", said)
	}
	s.until("the domain is covered", func() bool { return s.cover("key") == "" })
	cert, err := s.GetCertificate(&tls.ClientHelloInfo{ServerName: demo})
	if err != nil || cert.Leaf.VerifyHostname(demo) != nil || s.Covers("x."+demo) {
		t.Errorf("the certificate: %v, %v", cert.Leaf.DNSNames, err)
	}
	if handshakes, requests := s.front.counts(); handshakes == 0 || requests != 0 || s.owners.asked != 1 || s.ordersOf("issued") != 1 {
		t.Errorf("%d handshakes, %d requests, %d proofs, %d orders", handshakes, requests, s.owners.asked, s.ordersOf("issued"))
	}
	if s.challenges.Certificate(demo) != nil || len(s.challenges.texts) != 0 {
		t.Error("the challenge is still answered")
	}
	if leaves := s.InUse(); leaves["domains"] == nil || s.domains.left(time.Now()) != domainKind.perWeek-1 {
		t.Errorf("in use are %v, left are %d", leaves, s.domains.left(time.Now()))
	}
	if err := s.first(); err != nil {
		t.Fatal(err)
	}
	s.close()
	if said := s.cover("key"); !strings.Contains(said, "about to stop") {
		t.Errorf("a process that has handed over: %q", said)
	}
	s.authority.Stop()
	checkModes(t, s.opts.Folder)
	s.open()
	s.run()
	s.until("the next process covers it", func() bool { return s.Covers(demo) && s.cover("key") == "" })
	s.close()

	// A month without a claim later it is forgotten.
	r := newRun(s.Manager)
	defer r.close()
	r.forgetNames(t.Context(), r.domains, time.Now().Add(unused+time.Hour))
	if s.Covers(demo) || r.stored(t.Context(), demo) {
		t.Error("the certificate is still there")
	}
}

// TestDomainByHTTP: a domain behind a proxy that ends TLS is proven over plain HTTP.
func TestDomainByHTTP(t *testing.T) {
	s := newDomainSetup(t, pebble.Options{Validity: time.Hour}, false, true)
	s.owners.set(demo, "key")
	s.until("the domain is covered", func() bool { return s.cover("key") == "" })
	if handshakes, requests := s.front.counts(); handshakes == 0 || requests == 0 || s.ordersOf("issued") != 1 {
		t.Errorf("%d handshakes, %d requests, %d orders", handshakes, requests, s.ordersOf("issued"))
	}
	if len(s.challenges.texts) != 0 || len(s.challenges.certificates) != 0 {
		t.Error("a challenge is still answered")
	}
}

// TestDomainFlips: no order is made for a domain that leads elsewhere by then, and the
// certificate of one that is lost is removed when it would be renewed.
func TestDomainFlips(t *testing.T) {
	s := newDomainSetup(t, pebble.Options{Validity: 10 * time.Second}, true, false)
	s.cover("key")
	s.until("the order fails", func() bool { return s.ordersOf("failed") == 1 })
	if handshakes, requests := s.front.counts(); handshakes != 0 || requests != 0 || s.challenges.Certificate(demo) != nil {
		t.Errorf("an order without a proof: %d handshakes, %d requests", handshakes, requests)
	}
	s.owners.set(demo, "key")
	s.until("the domain is covered", func() bool { return s.cover("key") == "" })
	serial := s.serial(demo)
	s.until("it is renewed", func() bool { return s.serial(demo) != serial })
	if s.owners.asked < 3 {
		t.Errorf("%d proofs: a renewal needs one too", s.owners.asked)
	}
	s.owners.set(demo, "other")
	s.until("it is lost", func() bool { return !s.Covers(demo) })
	r := newRun(s.Manager)
	defer r.close()
	s.until("it is removed", func() bool { return !r.stored(t.Context(), demo) })
	if len(s.domains.used(time.Now())) != 0 || s.domains.left(time.Now()) != domainKind.perWeek-1 {
		t.Errorf("used are %v, left are %d", s.domains.used(time.Now()), s.domains.left(time.Now()))
	}
	// The key that the record names now gets a new one, within the same budget.
	s.until("the other key is covered", func() bool { return s.cover("other") == "" })
	if s.domains.left(time.Now()) != domainKind.perWeek-1 {
		t.Errorf("left are %d", s.domains.left(time.Now()))
	}
}

// TestDomainUnseen: an authority that does not see the relay at a domain is asked again
// later, and its words reach the agent.
func TestDomainUnseen(t *testing.T) {
	s := newDomainSetup(t, pebble.Options{Validity: time.Hour}, false, false)
	s.owners.set(demo, "key")
	s.cover("key")
	s.until("the order fails", func() bool { return s.ordersOf("refused") == 1 })
	said := s.cover("key")
	if !strings.Contains(said, "no certificate for "+demo+" yet: ") || !strings.Contains(said, "the relay tries again at ") {
		t.Errorf("the agent is told %q", said)
	}
	if _, requests := s.front.counts(); requests != 0 {
		t.Error("a relay without plain HTTP is asked there")
	}
	if !strings.Contains(s.log.String(), `"msg":"certificate not issued","name":"`+demo) {
		t.Error("the log does not say so")
	}
}

// TestDomainForgottenAccount: an authority that has lost the account gets another.
func TestDomainForgottenAccount(t *testing.T) {
	s := newDomainSetup(t, pebble.Options{Validity: time.Hour}, true, false)
	s.owners.set(demo, "key")
	s.until("the domain is covered", func() bool { return s.cover("key") == "" })
	s.authority.Stop()
	s.authority.Start() // it remembers nothing
	r := newRun(s.Manager)
	defer r.close()
	if err := r.obtain(t.Context(), demo, 0); err == nil || !strings.Contains(err.Error(), "has forgotten the relay's account") {
		t.Errorf("with the old account: %v", err)
	}
	if err := r.obtain(t.Context(), demo, 0); err != nil {
		t.Errorf("with a new one: %v", err)
	}
}

// TestDomainRehearsal: after a refusal, an order is tried where failures do not count.
func TestDomainRehearsal(t *testing.T) {
	s := newDomainSetup(t, pebble.Options{Validity: time.Hour}, true, false)
	s.owners.set(demo, "key")
	s.close()
	rehearsal := pebble.New(t, pebble.Options{Validity: time.Hour}) // which does not run
	s.opts.Rehearsal = rehearsal.URL
	s.open()
	s.front.use(s.Manager)
	r := newRun(s.Manager)
	defer r.close()
	if _, err := s.domains.claim(demo, "key", netip.Prefix{}, false, time.Now()); err == nil {
		t.Fatal("covered")
	}
	if err := r.obtain(t.Context(), demo, 1); err == nil || !strings.Contains(err.Error(), rehearsal.URL) {
		t.Errorf("after a refusal: %v", err)
	}
	if err := r.obtain(t.Context(), demo, 0); err != nil {
		t.Errorf("without one: %v", err)
	}
}

// TestExplainDomain: what each failure means for the owner of a domain, in what an agent is
// told.
func TestExplainDomain(t *testing.T) {
	o := Options{
		Domain: "t.example.com", Authority: "https://ca.example/dir", Issuer: "letsencrypt.org",
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")},
	}
	problem := func(kind, detail string) error {
		return fmt.Errorf("order: %w", acme.Problem{Type: kind, Detail: detail})
	}
	long := strings.Repeat("a long name.", 30)
	for _, test := range []struct {
		err     error
		want    string
		users   bool
		pause   time.Duration
		outcome string
	}{
		{problem(acme.ProblemTypeCAA, "CAA record for demo.example.org prevents issuance"), "CAA records of demo.example.org or above forbid the authority: add demo.example.org CAA 0 issue \"letsencrypt.org\"", true, time.Minute, "refused"},
		{problem(acme.ProblemTypeConnection, "2001:db8::9: Timeout during connect (likely firewall problem)"), "its AAAA record leads the authority to 2001:db8::9, not here: Timeout during connect (likely firewall problem): remove that record", true, time.Minute, "refused"},
		{problem(acme.ProblemTypeUnauthorized, "198.51.100.9: Invalid response from http://demo.example.org/: 404"), "it leads the authority to 198.51.100.9, not here: Invalid response from http://demo.example.org/: 404: let it lead here, or pass /.well-known/acme-challenge/ on", true, time.Minute, "refused"},
		{problem(acme.ProblemTypeConnection, "203.0.113.7: Connection refused"), "the authority doesn't reach this relay at its address 203.0.113.7: Connection refused", false, time.Minute, "refused"},
		{problem(acme.ProblemTypeConnection, "2001:db8::7: Connection refused"), "the authority doesn't reach this relay at its address 2001:db8::7: Connection refused", false, time.Minute, "refused"},
		{problem(acme.ProblemTypeTLS, "remote error"), "the authority doesn't reach this relay at demo.example.org: remote error: let it lead here, on port 443", true, time.Minute, "refused"},
		{problem(acme.ProblemTypeDNS, "DNS problem: SERVFAIL looking up A"), "the authority can't look up demo.example.org: DNS problem: SERVFAIL looking up A: check its DNS records", true, time.Minute, "refused"},
		{problem(acme.ProblemTypeRateLimited, "too many certificates"), "the authority's limit is reached: too many certificates", false, time.Hour, "limited"},
		{problem(acme.ProblemTypeRejectedIdentifier, "policy"), "the authority issues nothing for this domain: policy: use another domain", true, time.Hour, "refused"},
		{problem(acme.ProblemTypeInvalidContact, "no MX"), "the authority refuses: no MX", false, time.Minute, "refused"},
		{problem(acme.ProblemTypeUnauthorized, "198.51.100.9: "+long), "it leads the authority to 198.51.100.9, not here: ", true, time.Minute, "refused"},
		{context.DeadlineExceeded, "the authority at https://ca.example/dir can't be reached: context deadline exceeded", false, 2 * time.Second, "failed"},
		{fmt.Errorf("order: %w", &tunnel.Refusal{Code: tunnel.CodeUnproven, Message: "make the record"}), "make the record", false, 0, "failed"},
		{fmt.Errorf("order: %w", &tunnel.Refusal{Code: tunnel.CodeBusy, Message: "cannot check"}), "cannot check", false, 2 * time.Second, "failed"},
	} {
		f := explainDomain(test.err, o, demo)
		if f.users != test.users || f.final || f.pause(0) != test.pause || f.outcome() != test.outcome {
			t.Errorf("%v: %v, users %v, final %v, again in %v, %s", test.err, f, f.users, f.final, f.pause(0), f.outcome())
		}
		n, now := newNames(t, domainKind), time.Now()
		_, _ = n.claim(demo, "key", netip.Prefix{}, false, now)
		n.done(demo, f, now)
		_, err := n.claim(demo, "key", netip.Prefix{}, false, now.Add(-time.Second))
		refused, _ := errors.AsType[*tunnel.Refusal](err)
		if refused == nil || !strings.HasPrefix(refused.Message, "no certificate for demo.example.org yet: "+test.want) || !strings.Contains(refused.Message, "; the relay tries again at ") || len(refused.Message) > 256 {
			t.Errorf("%v: an agent is told %v", test.err, err)
		}
	}
}
