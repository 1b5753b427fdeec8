package agent

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/devproxy/devproxy/tunnel"
)

// withoutOurs passes everything but handshakes that offer our protocol: what a
// network does that lets only HTTPS pass.
func withoutOurs(client, relay net.Conn) {
	var hello [4096]byte
	n, err := client.Read(hello[:])
	if err != nil || bytes.Contains(hello[:n], []byte(tunnel.ALPN)) {
		relay.Close()
		return
	}
	if _, err := relay.Write(hello[:n]); err == nil {
		join(client, relay)
	}
}

// TestWebSocket has lanes go inside WebSockets where nothing else passes, and
// the next ones at once.
func TestWebSocket(t *testing.T) {
	for name, spoil := range map[string]func(*fakeRelay, *fakeProxy){
		"the handshake is cut": func(_ *fakeRelay, p *fakeProxy) { p.pass = withoutOurs },
		"ALPN is not agreed":   func(r *fakeRelay, _ *fakeProxy) { r.protocols = []string{"http/1.1"} },
		"ALPN is not there":    func(r *fakeRelay, _ *fakeProxy) { r.protocols = []string{} },
		"no proxy at all":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t)
			p := (&fakeProxy{t: t}).connectProxy("")
			environment := env{}
			if spoil == nil {
				r.protocols = []string{"http/1.1"}
			} else {
				spoil(r, p)
			}
			r.start(nil)
			p.relay = r.ln.Addr().String()
			p.start()
			if spoil != nil {
				environment["HTTPS_PROXY"] = p.at("http", "")
			}
			opts := optionsFor(r)
			opts.Getenv = environment.get
			a := run(t, opts)
			go echo(a.Agent)
			visit(t, r.session(), strings.Repeat("in a WebSocket ", 20_000))
			if web, plain := r.joined("websocket"), r.joined(tunnel.ALPN); web == 0 || plain > 0 {
				t.Errorf("%d lanes joined in WebSockets and %d without", web, plain)
			}
			if !a.dialer.prefersWeb() {
				t.Error("what worked is not remembered")
			}
		})
	}
}

// TestPlainAgain has the plain way tried again when the other fails.
func TestPlainAgain(t *testing.T) {
	r := newRelay(t)
	r.web = http.NotFoundHandler()
	r.start(nil)
	a := prepare(optionsFor(r))
	a.dialer.remember(true)
	if _, err := a.dialer.lane(t.Context()); !isReason(err, ReasonNotRelay) {
		t.Errorf("the WebSocket fails with %v", err)
	}
	lane, err := a.dialer.lane(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lane.Conn.Close()
}

// TestNotRelay is a web server with a good certificate.
func TestNotRelay(t *testing.T) {
	for name, handler := range map[string]http.Handler{
		"404 Not Found":        http.NotFoundHandler(),
		"302 Found":            http.RedirectHandler("https://login.example.com/", http.StatusFound),
		"200 OK":               http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }),
		"426 Upgrade Required": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUpgradeRequired) }),
		"101 Switching Protocols": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
				c.Close()
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRelay(t)
			r.web, r.protocols = handler, []string{"h2", "http/1.1"}
			r.start(nil)
			a := run(t, optionsFor(r))
			wants(t, a.fails(), ReasonNotRelay, "not a devproxy relay: it answers "+name, "devproxy relay --domain "+relayName)
		})
	}
}

// TestInspected has TLS ended on the way by a program that this machine trusts: the
// relay sees that the proof is of another connection.
func TestInspected(t *testing.T) {
	r := newRelay(t)
	company := newAuthority(t, "Company Proxy CA")
	r.start(nil)
	for name, protocols := range map[string][]string{"as it is": {tunnel.ALPN, "http/1.1"}, "as HTTP": {"http/1.1"}} {
		t.Run(name, func(t *testing.T) {
			p := (&fakeProxy{t: t, relay: r.ln.Addr().String()}).connectProxy("")
			p.pass = func(client, relay net.Conn) {
				inside := tls.Server(client, &tls.Config{Certificates: []tls.Certificate{company.leaf(t, relayName, time.Time{})}, NextProtos: protocols})
				if inside.Handshake() != nil {
					return
				}
				join(inside, tls.Client(relay, &tls.Config{RootCAs: r.ca.pool(), ServerName: relayName, NextProtos: []string{inside.ConnectionState().NegotiatedProtocol}}))
			}
			p.start()
			opts := optionsFor(r)
			opts.Roots, opts.Getenv = company.pool(), env{"HTTPS_PROXY": p.at("http", "")}.get
			a := run(t, opts)
			wants(t, a.until(Waiting).Err, ReasonInspected, "something on the way decrypts TLS", "leave "+relayName+" out of TLS inspection")
		})
	}
}
