package relay

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

const (
	domain = "t.example.com"
	// patience bounds what should happen at once; only a failing test waits that long.
	patience = 20 * time.Second
)

// testKey is a key that is the same in every run.
func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicKey(key ed25519.PrivateKey) Key { return keyOf(key.Public().(ed25519.PublicKey)) }

// authorityCA signs a test's certificates: for every name one that covers it and its
// siblings, like a wildcard.
type authorityCA struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

func newCA(t testing.TB) *authorityCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's root"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authorityCA{key: key, cert: cert, pool: pool, leaves: map[string]*tls.Certificate{}}
}

func (ca *authorityCA) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name != domain && !strings.HasSuffix(name, "."+domain) {
		return nil, errors.New("not a name of this relay: " + name)
	}
	wildcard := name
	if _, parent, _ := strings.Cut(name, "."); name != domain {
		wildcard = "*." + parent
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if leaf := ca.leaves[wildcard]; leaf != nil {
		return leaf, nil
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{wildcard}}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, &ca.key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	ca.leaves[wildcard] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: ca.key}
	return ca.leaves[wildcard], nil
}

// world is a relay that runs.
type world struct {
	*Relay
	t    testing.TB
	ca   *authorityCA
	addr string
	// dialer makes agents' lanes; nil is dialLane.
	dialer func(context.Context) (tunnel.Lane, error)
}

// lanes makes agents' lanes.
func (w *world) lanes(ctx context.Context) (tunnel.Lane, error) {
	if w.dialer != nil {
		return w.dialer(ctx)
	}
	return w.dialLane(ctx)
}

func start(t testing.TB, change func(*Options)) *world {
	t.Helper()
	ca := newCA(t)
	o := Options{Domain: domain, Port: 443, Certificate: ca.certificate, Registry: NewMemory(), Open: true}
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	done := make(chan error, 1)
	go func() { done <- r.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		r.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		connections := func() int {
			handshakes, visitors, lanes := r.conns.counts()
			return handshakes + visitors + lanes
		}
		for deadline := time.Now().Add(patience); (r.memory.Accounts() > 0 || connections() > 0) && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		if r.memory.Used() != 0 || r.memory.Accounts() != 0 {
			t.Errorf("at the end the relay counts %d bytes in %d accounts", r.memory.Used(), r.memory.Accounts())
		}
		if n := connections(); n != 0 || r.upgrades.Load() != 0 {
			t.Errorf("at the end the relay counts %d connections, %d of them upgraded", n, r.upgrades.Load())
		}
	})
	return &world{Relay: r, t: t, ca: ca, addr: ln.Addr().String()}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// dialLane is an agent's connection.
func (w *world) dialLane(ctx context.Context) (tunnel.Lane, error) {
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: w.ca.pool, ServerName: domain, NextProtos: []string{tunnel.ALPN}}}
	c, err := dialer.DialContext(ctx, "tcp", w.addr)
	if err != nil {
		return tunnel.Lane{}, err
	}
	secure := c.(*tls.Conn)
	binding, err := tunnel.Binding(secure.ConnectionState())
	return tunnel.Lane{Conn: secure, Binding: binding}, err
}

// agent is a session with a server of visitors' requests.
type agent struct {
	*tunnel.Session
	t     testing.TB
	grant tunnel.Grant
	done  chan error
}

// claimOf is a claim of unguessable names for a key.
func claimOf(key ed25519.PrivateKey, hosts ...string) tunnel.Claim {
	return tunnel.Claim{Project: "shop", Link: tunnel.Link(key, 0), Hosts: hosts}
}

func (w *world) tryAgent(key ed25519.PrivateKey, claim tunnel.Claim, handler http.Handler) (*agent, error) {
	w.t.Helper()
	hello, err := json.Marshal(claim)
	if err != nil {
		w.t.Fatal(err)
	}
	s, answer, err := tunnel.Dial(w.t.Context(), tunnel.Config{Key: key, Dial: w.lanes, Hello: hello})
	if err != nil {
		return nil, err
	}
	a := &agent{Session: s, t: w.t, done: make(chan error, 1)}
	if err := json.Unmarshal(answer, &a.grant); err != nil {
		w.t.Fatalf("the grant %q: %v", answer, err)
	}
	server := &http.Server{Handler: handler, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, headKey{}, c.(*tunnel.Stream).Head())
	}}
	go func() { a.done <- server.Serve(streams{s}) }()
	w.t.Cleanup(func() {
		a.Close(nil)
		server.Close()
		<-a.done
	})
	return a, nil
}

func (w *world) agent(key ed25519.PrivateKey, claim tunnel.Claim, handler http.Handler) *agent {
	w.t.Helper()
	a, err := w.tryAgent(key, claim, handler)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// ask sends a request on a control stream.
func (a *agent) ask(request tunnel.Request) tunnel.Reply {
	a.t.Helper()
	st, err := a.Open([]byte(tunnel.ControlHead))
	if err != nil {
		a.t.Fatal(err)
	}
	defer st.Close()
	if err := json.NewEncoder(st).Encode(request); err != nil {
		a.t.Fatal(err)
	}
	_ = st.CloseWrite()
	_ = st.SetDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(st)
	if err != nil {
		a.t.Fatal(err)
	}
	var reply tunnel.Reply
	if err := json.Unmarshal(text, &reply); err != nil {
		a.t.Fatalf("%q: %v", text, err)
	}
	return reply
}

type headKey struct{}

// visitorOf returns what the relay has sent about the visitor of r.
func visitorOf(r *http.Request) tunnel.Visitor {
	v, err := tunnel.ParseVisitor(r.Context().Value(headKey{}).([]byte))
	if err != nil {
		panic(err)
	}
	return v
}

// streams is a net.Listener of a session's streams.
type streams struct{ s *tunnel.Session }

func (l streams) Accept() (net.Conn, error) {
	st, err := l.s.Accept(context.Background())
	if err != nil {
		return nil, err
	}
	return st, nil
}

func (streams) Close() error   { return nil }
func (streams) Addr() net.Addr { return (*connListener)(nil).Addr() }

// client is an HTTP client that reaches the relay under every name.
func (w *world) client(protocol string) *http.Client {
	w.t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "h1")
	protocols.SetHTTP2(protocol == "h2")
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: w.ca.pool},
		Protocols:          protocols,
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.addr)
		},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// dial opens a TLS connection to the relay for raw HTTP/1.1.
func (w *world) dial(name string) *tls.Conn {
	w.t.Helper()
	c, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: w.ca.pool, ServerName: name, NextProtos: []string{"http/1.1"}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// get requests a URL and returns status and body.
func get(t testing.TB, client *http.Client, url string, fields ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("GET %s: %v after %q", url, err, body)
	}
	return res.StatusCode, string(body), res.Header
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
		panic("not reached")
	}
}

func dialTCP(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}
