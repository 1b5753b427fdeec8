//go:build e2e

package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/devproxy/devproxy/devproxy/control"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/relay/acme/pebble"
)

// certifyingRelay is a relay that gets certificates for users' domains from an authority.
type certifyingRelay struct {
	*relayProcess
	users      *usersDNS
	key        ed25519.PrivateKey
	own, admin string
	roots      *x509.CertPool
}

// startCertifyingRelay starts one. change says where the authority asks for challenges, given
// the relay's ports.
func startCertifyingRelay(t *testing.T, validity time.Duration, change func(o *pebble.Options, tls, plain int), args ...string) *certifyingRelay {
	t.Helper()
	r := &certifyingRelay{users: startUsersDNS(t), key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte("d"), 32)), admin: freeDNSAddress(t)}
	r.own = tunnel.OwnName(r.key.Public().(ed25519.PublicKey), certificatesDomain)
	dns, listen, plain := freeDNSAddress(t), freeDNSAddress(t), freeDNSAddress(t)
	r.users.delegate(certificatesDomain, dns)
	o := pebble.Options{DNS: r.users.address, Validity: validity}
	change(&o, int(netip.MustParseAddrPort(listen).Port()), int(netip.MustParseAddrPort(plain).Port()))
	if o.HTTPPort == 0 {
		plain = noAddress
	}
	authority := pebble.New(t, o)
	authority.Start()
	t.Setenv("SSL_CERT_FILE", authority.RootFile)
	r.relayProcess = startRelay(t, t.TempDir(), append([]string{"--domain", certificatesDomain, "--acme-ca", authority.URL, "--dns", dns,
		"--address", "127.0.0.1", "--listen", listen, "--http", plain, "--admin", r.admin, "--token", relayToken}, args...)...)
	r.roots = authority.Issued()
	return r
}

// claim claims the domain.
func (r *certifyingRelay) claim() (*domainAgent, error) {
	return r.claimDomain(r.key, certificatesDomain, r.roots)
}

// claimed claims the domain until the relay grants it.
func (r *certifyingRelay) claimed() *domainAgent {
	r.t.Helper()
	var a *domainAgent
	var err error
	r.until("the domain is granted", func() bool {
		a, err = r.claim()
		if err != nil && codeOf(err) != tunnel.CodeBusy {
			r.t.Fatal(err)
		}
		return err == nil
	})
	if a.grant.Hosts[0] != usersDomain {
		r.t.Fatalf("granted are %q", a.grant.Hosts)
	}
	return a
}

// metric reports whether the metrics have a line.
func (r *certifyingRelay) metric(line string) bool {
	r.t.Helper()
	_, text := get(r.t, "http://"+r.admin+"/metrics")
	return slices.Contains(strings.Split(text, "\n"), line)
}

// serves checks that a visitor of the domain gets the app.
func (r *certifyingRelay) serves() {
	r.t.Helper()
	// A short certificate may expire just now.
	var status int
	var text string
	var err error
	r.until("the domain is served", func() bool {
		status, text, err = r.visitDomain("https://"+usersDomain+"/", r.roots)
		return err == nil && status == http.StatusOK && text == "hello"
	})
}

// serial returns the serial number of the domain's certificate; nil without one.
func (r *certifyingRelay) serial() *big.Int {
	r.t.Helper()
	c, err := tls.Dial("tcp", r.addr, &tls.Config{ServerName: usersDomain, InsecureSkipVerify: true})
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if leaf := c.ConnectionState().PeerCertificates[0]; leaf.VerifyHostname(usersDomain) == nil {
		return leaf.SerialNumber
	}
	return nil
}

// TestE2ERelayDomain: a user's domain gets a certificate when its owner has named the key
// in the DNS, and not before. It is renewed while that is so, also by the relay's next
// process, and gone afterwards.
func TestE2ERelayDomain(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(o *pebble.Options, tls, plain int)
		records func(own string) []string
	}{
		"by a handshake": {
			func(o *pebble.Options, tls, _ int) { o.TLSPort = tls },
			func(own string) []string { return []string{usersDomain + ". 1 CNAME " + own + "."} },
		},
		"over plain HTTP": {
			func(o *pebble.Options, _, plain int) { o.HTTPPort = plain },
			func(own string) []string {
				return []string{usersDomain + ". 1 A 127.0.0.1", "_devproxy." + usersDomain + ". 1 TXT " + own}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := startCertifyingRelay(t, 20*time.Second, test.change)
			if _, err := r.claim(); codeOf(err) != tunnel.CodeUnproven || !strings.Contains(err.Error(), "make the record "+usersDomain+" CNAME "+r.own) {
				t.Fatalf("without a record: %v", err)
			}
			if r.serial() != nil {
				t.Error("without a record there is a certificate")
			}
			if _, metrics := get(t, "http://"+r.admin+"/metrics"); strings.Contains(metrics, `kind="domain"`) || !r.metric("devproxy_relay_domain_certificates_left 20") {
				t.Error("without a record there was an order")
			}
			r.users.set(t, test.records(r.own)...)
			if _, err := r.claim(); codeOf(err) != tunnel.CodeBusy || !strings.Contains(err.Error(), "the certificate for "+usersDomain+" is being issued") {
				t.Errorf("the first claim: %v", err)
			}
			r.claimed()
			r.serves()
			for _, line := range []string{`devproxy_relay_certificate_orders_total{kind="domain",outcome="issued"} 1`, "devproxy_relay_domain_certificates 1", "devproxy_relay_domain_certificates_left 19"} {
				if !r.metric(line) {
					t.Errorf("the metrics have no %s", line)
				}
			}
			first := r.serial()
			r.until("it is renewed", func() bool { return r.serial().Cmp(first) != 0 })
			r.serves()

			second := r.serial()
			r.signal(syscall.SIGHUP)
			r.ready()
			r.expect("handover")
			r.until("the next process renews it", func() bool { return r.serial() != nil && r.serial().Cmp(second) != 0 })
			r.claimed()
			r.serves()

			r.users.set(t)
			r.until("it is gone", func() bool { return r.serial() == nil })
			r.logHas(`"msg":"certificate not renewed","name":"` + usersDomain + `"`)
			r.until("it is removed", func() bool {
				left, err := filepath.Glob(filepath.Join(r.home, "relay-certificates", "certificates", "*", usersDomain))
				return err == nil && len(left) == 0
			})
			r.signal(syscall.SIGTERM)
			r.expect("stopped")
		})
	}
}

// heldPort passes connections on to an address. Until open, it keeps them instead.
type heldPort struct {
	port int
	came chan struct{} // has one, once a connection has come
	open chan struct{}
}

func startHeldPort(t *testing.T) (*heldPort, func(to string)) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &heldPort{port: ln.Addr().(*net.TCPAddr).Port, came: make(chan struct{}, 1), open: make(chan struct{})}
	target := ""
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer c.Close()
				select {
				case h.came <- struct{}{}:
				default: // known
				}
				<-h.open
				to, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer to.Close()
				group.Go(func() {
					_, _ = io.Copy(to, c)
					to.Close()
				})
				_, _ = io.Copy(c, to)
			})
		}
	})
	var once sync.Once
	open := func(to string) {
		once.Do(func() {
			target = to
			close(h.open)
		})
	}
	t.Cleanup(func() {
		ln.Close()
		open("")
		group.Wait()
	})
	return h, open
}

// TestE2ERelayDomainHandover: a relay that is replaced while it orders a certificate does
// not wait for it, and the next process orders it again.
func TestE2ERelayDomainHandover(t *testing.T) {
	held, open := startHeldPort(t)
	r := startCertifyingRelay(t, time.Hour, func(o *pebble.Options, _, _ int) { o.TLSPort = held.port })
	r.users.set(t, usersDomain+". 1 CNAME "+r.own+".")
	if _, err := r.claim(); codeOf(err) != tunnel.CodeBusy {
		t.Fatalf("the first claim: %v", err)
	}
	select {
	case <-held.came:
	case <-time.After(patience):
		t.Fatal("the authority does not ask")
	}
	r.signal(syscall.SIGHUP)
	r.ready()
	r.expect("handover")
	open(r.addr)
	r.claimed()
	r.serves()
	if text, err := os.ReadFile(filepath.Join(r.home, "relay-certificates", "domains.json")); err != nil || strings.Count(string(text), usersDomain) != 1 {
		t.Errorf("domains.json has %s, %v", text, err)
	}
	r.signal(syscall.SIGTERM)
	r.expect("stopped")
}

// TestE2ERelayDomainElsewhere: a domain whose records prove the key, but lead the authority
// to another server, gets no certificate, and its user is told so.
func TestE2ERelayDomainElsewhere(t *testing.T) {
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(elsewhere)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	r := startCertifyingRelay(t, time.Hour, func(o *pebble.Options, _, _ int) { o.HTTPPort = elsewhere.Addr().(*net.TCPAddr).Port })
	r.users.set(t, usersDomain+". 1 A 127.0.0.1", "_devproxy."+usersDomain+". 1 TXT "+r.own)
	said := ""
	r.until("the order fails", func() bool {
		_, err := r.claim()
		if codeOf(err) != tunnel.CodeBusy {
			t.Fatal(err)
		}
		said = err.Error()
		return !strings.Contains(said, "is being issued")
	})
	if !strings.Contains(said, "no certificate for "+usersDomain+" yet: the authority doesn't reach this relay at ") || !strings.Contains(said, "; the relay tries again at ") {
		t.Errorf("the user is told %q", said)
	}
	if r.serial() != nil || !r.metric(`devproxy_relay_certificate_orders_total{kind="domain",outcome="refused"} 1`) {
		t.Error("there is a certificate")
	}
	r.signal(syscall.SIGTERM)
	r.expect("stopped")
}

// project shares a project with the domain from another home.
func (r *certifyingRelay) project() *sharedProject {
	r.t.Helper()
	upstream := startApp(r.t, func(w http.ResponseWriter, _ *http.Request) { html(w, "hello") })
	return loggedIn(r.relayProcess, certificatesDomain, r.roots).share(r.t, projectDir(r.t, fmt.Sprintf("host \"shop.localhost\" { upstream = %q }\nshare { domain = %q }\n", upstream.URL, usersDomain)), nil)
}

// awaitMoved waits until the share has another link. What happens to its domain before that
// is reported too.
func awaitMoved(p *sharedProject) {
	p.t.Helper()
	e := p.await("shared", "relay", "domain")
	for e.Event != "shared" {
		e = p.await("shared", "relay", "domain")
	}
	p.noteLink(e)
}

// TestE2ERelayDomainOfProject: a project with a domain is shared under a name of the relay
// until there is a record and a certificate, then under the domain, and under a name of the
// relay again when the record is gone.
func TestE2ERelayDomainOfProject(t *testing.T) {
	r := startCertifyingRelay(t, time.Hour, func(o *pebble.Options, tls, _ int) { o.TLSPort = tls })
	p := r.project()
	own := p.domain()
	if own.State != control.DomainUnproven || !strings.HasSuffix(p.base(), "."+certificatesDomain+strings.TrimPrefix(r.addr, "127.0.0.1")) {
		t.Fatalf("without a record: %s, %+v", p.link, own)
	}
	r.users.set(t, usersDomain+". 1 CNAME "+own.Target+".")
	awaitMoved(p)
	if !strings.HasPrefix(p.link, "https://"+usersDomain+":") {
		t.Fatalf("with a record and a certificate: %s", p.link)
	}
	if status, text, err := r.visitDomain(p.link, r.roots); status != http.StatusOK || !strings.Contains(text, "hello") || err != nil {
		t.Errorf("a visitor: %d %s, %v", status, text, err)
	}
	if d := p.domain(); d.State != control.DomainUp {
		t.Errorf("the domain is %+v", d)
	}
	r.users.set(t)
	r.signal(syscall.SIGHUP) // the next process looks for the record at once
	r.ready()
	r.expect("handover")
	awaitMoved(p)
	if d := p.domain(); d.State != control.DomainUnproven || !strings.Contains(d.Error, "CNAME "+own.Target) || !strings.HasSuffix(p.base(), "."+certificatesDomain+strings.TrimPrefix(r.addr, "127.0.0.1")) {
		t.Errorf("after the record is gone: %s, %+v", p.link, d)
	}
	r.signal(syscall.SIGTERM)
	r.expect("stopped")
}
