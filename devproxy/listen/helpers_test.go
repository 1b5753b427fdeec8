package listen

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
)

// patience bounds what should happen at once; only a failing test waits for it.
const patience = 10 * time.Second

// testTLS is its own certificate for shop.localhost and the loopbacks.
func testTLS(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"shop.localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

// running is a Set with a server on it.
type running struct {
	*Set
	pool *x509.CertPool
}

// serve opens a Set on free ports and serves handler on it. What was refused
// is answered with its status and reason.
func serve(t testing.TB, handler http.Handler) running {
	t.Helper()
	config, pool := testTLS(t)
	set, err := Open(t.Context(), Config{HTTPS: ":0", HTTP: ":0", TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           answerRefused(handler),
		ReadHeaderTimeout: patience,

		DisableGeneralOptionsHandler: true,
		ConnContext:                  ConnContext,
		ConnState:                    ConnState,
	}
	done := make(chan error)
	go func() { done <- server.Serve(set) }()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return running{set, pool}
}

func answerRefused(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal, ok := message.Refused(w, r); ok {
			http.Error(w, refusal.Error(), refusal.Status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// dial connects to the plain HTTP socket, or to the HTTPS one when tls is
// set, without a word of TLS.
func (r running) dial(t testing.TB, onTLS bool) *net.TCPConn {
	t.Helper()
	at := r.HTTP()[0]
	if onTLS {
		at = r.HTTPS()[0]
	}
	c, err := net.DialTimeout("tcp", at.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// client speaks TLS to r, with HTTP/2 or without.
func (r running) client(t testing.TB, http2 bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.pool, ServerName: "shop.localhost"},
		Protocols:       protocols,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// received is a request as the upstream got it.
type received struct{ method, target, body string }

// upstream records what arrives, byte for byte and as messages.
type upstream struct {
	listener  net.Listener
	transport *http.Transport // of the forwarder
	wg        sync.WaitGroup

	mu       sync.Mutex
	raw      bytes.Buffer
	messages []received
	broken   int // connections that ended within a message
	stuck    int // connections that were never closed
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{listener: l, transport: &http.Transport{}}
	u.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			u.wg.Go(func() { u.record(c) })
		}
	})
	t.Cleanup(u.finish)
	return u
}

// finish returns when all that was sent to the upstream has been recorded. No
// exchange may be under way.
func (u *upstream) finish() {
	u.transport.CloseIdleConnections()
	u.listener.Close()
	u.wg.Wait()
}

// Write takes the raw bytes.
func (u *upstream) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.raw.Write(p)
}

func (u *upstream) record(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(io.TeeReader(c, u))
	for {
		if _, err := in.Peek(1); err != nil {
			u.note(func() { u.countStuck(err) })
			return
		}
		r, err := http.ReadRequest(in)
		var body []byte
		if err == nil {
			body, err = io.ReadAll(r.Body)
		}
		if err != nil {
			u.note(func() { u.broken++; u.countStuck(err) })
			return
		}
		u.note(func() { u.messages = append(u.messages, received{r.Method, r.RequestURI, string(body)}) })
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func (u *upstream) note(what func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	what()
}

func (u *upstream) countStuck(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		u.stuck++
	}
}

// forwarder copies both ways at once, as a proxy does.
func (u *upstream) forwarder() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex() // HTTP/2 has it anyway
		body := &noted{ReadCloser: r.Body}
		out := r.Clone(r.Context())
		if r.ContentLength != 0 {
			out.Body = body
		}
		out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", u.listener.Addr().String()
		response, err := u.transport.RoundTrip(out)
		switch {
		case err != nil && body.failed.Load():
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	})
}

// noted is a body that notes that it could not be read to its end.
type noted struct {
	io.ReadCloser
	failed atomic.Bool
}

func (n *noted) Read(p []byte) (int, error) {
	m, err := n.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		n.failed.Store(true)
	}
	return m, err
}
