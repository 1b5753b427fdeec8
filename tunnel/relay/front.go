package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/message"
)

const (
	// maxStreams is how many requests one HTTP/2 connection may have in progress: a
	// cold load of a large module graph requests all modules at once.
	maxStreams = 1000
	// maxFrame is the longest HTTP/2 frame accepted: the least that RFC 9113
	// section 4.2 allows, and what browsers send.
	maxFrame = 16 << 10
	// uploadWindow is HTTP/2's credit for one upload. Eight of a connection may
	// stall, and the ninth still moves.
	uploadWindow = 512 << 10
)

// front accepts connections: it does the TLS handshake, and hands visitors to an
// HTTP server and lanes to agents.
type front struct {
	relay    *Relay
	tls      *tls.Config
	server   *http.Server
	visitors *connListener
}

func newFront(r *Relay) *front {
	f := &front{relay: r, visitors: newConnListener()}
	f.tls = f.tlsConfig()
	f.server = f.httpServer()
	return f
}

func (f *front) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{tunnel.ALPN, "h2", "http/1.1"},
		GetCertificate: f.relay.opts.Certificate,
		// Called in every handshake; GetCertificate is not when a session is resumed.
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if config := f.relay.challengeConfig(hello); config != nil {
				return config, nil
			}
			cert, err := f.relay.opts.Certificate(hello)
			if err != nil {
				return nil, err
			}
			leaf, err := leafOf(cert)
			if err != nil {
				return nil, err
			}
			hello.Conn.(*conn).leaf.Store(leaf)
			return nil, nil // keep this config
		},
	}
}

func leafOf(cert *tls.Certificate) (*x509.Certificate, error) {
	if cert.Leaf != nil || len(cert.Certificate) == 0 {
		return cert.Leaf, nil
	}
	return x509.ParseCertificate(cert.Certificate[0])
}

// newServer returns a server with the limits that all requests have.
func (r *Relay) newServer(handler http.HandlerFunc) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: r.opts.Limits.HeadTimeout,
		MaxHeaderBytes:    r.opts.Limits.HeadBytes,
		ErrorLog:          slog.NewLogLogger(r.logs.logger(r.opts.Log, kindServer).Handler(), slog.LevelDebug),
	}
}

func (f *front) httpServer() *http.Server {
	server := f.relay.newServer(f.relay.visit)
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.DisableGeneralOptionsHandler = true // "OPTIONS *" is for the share to answer
	server.ConnContext = withConn
	server.ConnState = func(c net.Conn, state http.ConnState) {
		message.ConnState(c, state)
		f.relay.conns.stateChanged(connBelow(c), state)
	}
	server.TLSConfig = f.tls
	server.IdleTimeout = f.relay.opts.Limits.IdleTimeout
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReadFrameSize:              maxFrame,
		MaxReceiveBufferPerStream:     uploadWindow,
		MaxReceiveBufferPerConnection: 9 * uploadWindow,
	}
	return server
}

// greet does the TLS handshake of a connection, and hands it on.
func (f *front) greet(c *conn) {
	ctx, cancel := context.WithTimeout(f.relay.life, f.relay.opts.Limits.HandshakeTimeout)
	defer cancel()
	if !f.identify(c, true) {
		return
	}
	secure := tls.Server(c, f.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		level := slog.LevelInfo
		if errors.Is(err, io.EOF) && c.leaf.Load() == nil {
			level = slog.LevelDebug // a port check, which balancers do every few seconds
		}
		f.relay.log.Log(ctx, level, "handshake failed", "from", c.addr, "error", err)
		f.relay.metrics.handshakes.WithLabelValues("failed").Inc()
		c.Close()
		return
	}
	protocol := secure.ConnectionState().NegotiatedProtocol
	switch protocol {
	case tunnel.ALPN:
		f.relay.agents.greet(c, secure)
		return
	case acmeProtocol:
		f.relay.metrics.handshakes.WithLabelValues("challenge").Inc()
		secure.Close() // the handshake was all
		return
	}
	f.relay.metrics.handshakes.WithLabelValues("visitor").Inc()
	if tcp := c.tcp(); tcp != nil {
		// Otherwise the kernel takes megabytes for a visitor that has stopped reading:
		// they would keep the tunnel busy that others wait for.
		tunnel.Tune(tcp, "system")
	}
	switch {
	case !f.relay.conns.promote(c, poolActive):
		f.relay.tooMany("connections", c.addr)
		c.Close()
	case protocol == "h2":
		f.visitors.deliver(secure)
	default:
		f.visitors.deliver(message.ScanTLS(secure, f.relay.opts.Limits.HeadTimeout))
	}
}

// identify reads the address of the client from the header of a balancer. When
// that fails, it closes c and reports false.
func (f *front) identify(c *conn, required bool) bool {
	err := f.relay.readProxyHeader(c, required)
	switch {
	case err == nil:
		return true
	case errors.Is(err, errTooManyOfAddress):
		f.relay.tooMany("connections", c.addr)
	case errors.Is(err, io.EOF): // a port check
		f.relay.log.Debug("connection closed", "from", c.addr, "error", err)
	default:
		f.relay.log.Info("connection refused", "from", c.addr, "error", err)
		f.relay.metrics.handshakes.WithLabelValues("failed").Inc()
	}
	c.Close()
	return false
}

// ServeRedirect redirects plain HTTP on ln to the same URL over TLS, until the
// relay stops or ctx ends.
func (r *Relay) ServeRedirect(ctx context.Context, ln net.Listener) error {
	server, timeout := r.newServer(r.redirect), r.opts.Limits.HeadTimeout
	server.ReadTimeout, server.WriteTimeout, server.IdleTimeout = timeout, timeout, timeout
	server.ConnContext, server.ConnState = message.ConnContext, message.ConnState
	conns := newConnListener()
	if !r.spawn(func() { _ = server.Serve(conns) }) { // ends with Close
		return ln.Close()
	}
	// A connection that was accepted gets its answer, also when no more are.
	context.AfterFunc(r.life, func() { server.Close() })
	return r.accept(ctx, ln, r.accepting, func(c net.Conn) {
		r.count(c, func(counted *conn) {
			if r.front.identify(counted, false) {
				conns.deliver(message.Scan(counted, timeout))
			}
		})
	})
}

// redirect answers with 308, which keeps method and body.
func (r *Relay) redirect(w http.ResponseWriter, req *http.Request) {
	if refusal, refused := message.Refused(w, req); refused {
		w.Header().Set("Connection", "close")
		_ = pageOf(refusal).Write(w, req) // fails only when the client has disconnected
		return
	}
	at, ok := readAuthority(req.Host, "http")
	if text, asked := r.challengeText(req, at.name); ok && asked {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, text) // fails only when the authority has disconnected
		return
	}
	if !ok || !r.isOwn(at.name) && !r.shares.has(at.name) {
		_ = pageOf(errOtherHost).Write(w, req)
		return
	}
	peer, _ := netip.ParseAddrPort(req.RemoteAddr) // otherwise zero, which is not trusted
	if r.visitorScheme(peer.Addr().Unmap().WithZone(""), req.Header) == "https" {
		w.Header().Set("Connection", "close")
		_ = pageOf(errProxyWithoutTLS).Write(w, req)
		return
	}
	w.Header().Set("Connection", "close")
	r.redirectTo(w, req, at)
}

// redirectTo redirects a request over plain HTTP to the same URL over TLS.
func (r *Relay) redirectTo(w http.ResponseWriter, req *http.Request, at authority) {
	to := "https://" + at.name
	if port := r.port.Load(); port != 443 {
		to += ":" + strconv.Itoa(int(port))
	}
	w.Header().Set("Location", to+target(req))
	w.WriteHeader(http.StatusPermanentRedirect)
}

// connListener is a net.Listener of the connections that are delivered to it.
type connListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newConnListener() *connListener {
	return &connListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// deliver hands c over, or closes it after Close.
func (l *connListener) deliver(c net.Conn) {
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (l *connListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; http.Server calls it once.
func (l *connListener) Close() error {
	close(l.done)
	return nil
}

// Addr implements net.Listener.
func (l *connListener) Addr() net.Addr { return &net.UnixAddr{Net: "tls", Name: "visitors"} }
