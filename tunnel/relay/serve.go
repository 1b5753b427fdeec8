package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/message"
)

const (
	// maxStreams is what one HTTP/2 connection may ask for at once: a cold load
	// of a large module graph asks for all it knows of.
	maxStreams = 1000
	// maxFrame is the longest HTTP/2 frame taken: the least that RFC 9113
	// section 4.2 allows, and what browsers send.
	maxFrame = 16 << 10
	// uploadWindow is HTTP/2's credit for one upload. Eight of a connection may
	// stall, and the ninth still moves.
	uploadWindow = 512 << 10
	// acceptPause is how long accepting rests after a failure, such as no
	// descriptor being left.
	acceptPause = 50 * time.Millisecond
)

// Serve takes agents and visitors from ln until the relay stops or ctx ends,
// which is Close. The error is ln's own.
func (r *Relay) Serve(ctx context.Context, ln net.Listener) error {
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok {
		r.port.CompareAndSwap(0, uint32(tcp.Port))
	}
	return r.accept(ctx, ln, public, func(c net.Conn) {
		entered := r.door.enter(c)
		if entered == nil {
			r.tooMany("connections", addrOf(c.RemoteAddr()))
			c.Close()
			return
		}
		r.group.Go(func() { r.greet(entered) }) // accept is counted itself
	})
}

// tooMany counts and logs a connection that a limit closes.
func (r *Relay) tooMany(limit string, from netip.AddrPort) {
	r.metrics.limited.WithLabelValues(limit).Inc()
	r.log.Info("connection refused", "from", from, "error", "too many "+limit)
}

// accept has take take every connection of ln, which it must do at once.
func (r *Relay) accept(ctx context.Context, ln net.Listener, k kind, take func(net.Conn)) error {
	if !r.hold(ln, k) {
		ln.Close()
		return nil
	}
	defer r.group.Done()
	r.run()
	defer context.AfterFunc(ctx, r.Close)()
	for {
		c, err := ln.Accept()
		switch {
		case err == nil:
			take(c)
		case errors.Is(err, net.ErrClosed):
			return nil
		case isTemporary(err):
			r.log.Error("connection not accepted", "error", err)
			r.rest(acceptPause)
		default:
			return fmt.Errorf("cannot accept on %s: %w", ln.Addr(), err)
		}
	}
}

// isTemporary tells errors of one connection, or of a moment, from those of
// the socket.
func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

func (r *Relay) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.life.Done():
	}
}

func (r *Relay) tlsConfig() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{tunnel.ALPN, "h2", "http/1.1"},
	}
	config.GetCertificate = r.opts.Certificate
	// Asked in every handshake; GetCertificate is not when a session is resumed.
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		cert, err := r.opts.Certificate(hello)
		if err != nil {
			return nil, err
		}
		leaf, err := leafOf(cert)
		if err != nil {
			return nil, err
		}
		hello.Conn.(*conn).leaf.Store(leaf)
		return nil, nil // the config that is there
	}
	return config
}

func leafOf(cert *tls.Certificate) (*x509.Certificate, error) {
	if cert.Leaf != nil || len(cert.Certificate) == 0 {
		return cert.Leaf, nil
	}
	return x509.ParseCertificate(cert.Certificate[0])
}

func (r *Relay) httpServer() *http.Server {
	l := r.opts.Limits
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:                      http.HandlerFunc(r.visit),
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is the share's to answer
		ConnContext:                  withConn,
		ConnState: func(c net.Conn, state http.ConnState) {
			message.ConnState(c, state)
			r.door.follow(connBelow(c), state)
		},
		TLSConfig:         r.tls,
		ReadHeaderTimeout: l.HeadTimeout,
		IdleTimeout:       l.IdleTimeout,
		MaxHeaderBytes:    l.HeadBytes,
		Protocols:         protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReadFrameSize:              maxFrame,
			MaxReceiveBufferPerStream:     uploadWindow,
			MaxReceiveBufferPerConnection: 9 * uploadWindow,
		},
		ErrorLog: slog.NewLogLogger(r.journal.logger(r.opts.Log, kindServer).Handler(), slog.LevelDebug), // strangers' doing
	}
}

// introduce finds out whose connection c is, where a balancer tells. It closes c
// and reports false when that fails.
func (r *Relay) introduce(c *conn, required bool) bool {
	err := r.readProxyHeader(c, required)
	switch {
	case err == nil:
		return true
	case errors.Is(err, errTooManyOfAddress):
		r.tooMany("connections", c.addr)
	case errors.Is(err, io.EOF): // a look whether the port is open
		r.log.Debug("connection closed", "from", c.addr, "error", err)
	default:
		r.log.Info("connection refused", "from", c.addr, "error", err)
		r.metrics.handshakes.WithLabelValues("failed").Inc()
	}
	c.Close()
	return false
}

// greet finds out who a connection is from, and hands it on.
func (r *Relay) greet(c *conn) {
	ctx, cancel := context.WithTimeout(r.life, r.opts.Limits.HandshakeTimeout)
	defer cancel()
	if !r.introduce(c, true) {
		return
	}
	secure := tls.Server(c, r.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		level := slog.LevelInfo
		if errors.Is(err, io.EOF) && c.leaf.Load() == nil {
			level = slog.LevelDebug // a look whether the port is open, which balancers take every few seconds
		}
		r.log.Log(ctx, level, "handshake failed", "from", c.addr, "error", err)
		r.metrics.handshakes.WithLabelValues("failed").Inc()
		c.Close()
		return
	}
	if secure.ConnectionState().NegotiatedProtocol == tunnel.ALPN {
		r.join(c, secure)
		return
	}
	r.metrics.handshakes.WithLabelValues("visitor").Inc()
	if !r.door.become(c, visiting) {
		r.tooMany("connections", c.addr)
		c.Close()
		return
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		r.handed.give(secure)
		return
	}
	r.handed.give(message.ScanTLS(secure, r.opts.Limits.HeadTimeout))
}

// join makes a lane of an agent's connection.
func (r *Relay) join(c *conn, secure *tls.Conn) {
	r.metrics.handshakes.WithLabelValues("agent").Inc()
	binding, err := tunnel.Binding(secure.ConnectionState())
	if err != nil {
		r.log.Info("lane refused", "from", c.addr, "error", err)
		c.Close()
		return
	}
	r.lane(c, tunnel.Lane{Conn: secure, Binding: binding, TCP: c.tcp()})
}

// lane joins a lane to its session. Until it has, the connection counts as in
// its handshake.
func (r *Relay) lane(c *conn, lane tunnel.Lane) {
	if lane.TCP != nil {
		tunnel.Tune(lane.TCP, r.opts.Congestion)
	}
	if err := r.agents.Join(r.life, lane); err != nil {
		if !errors.As(err, new(*loggedError)) {
			r.log.Info("lane refused", "from", c.addr, "error", err)
		}
		return
	}
	if !r.door.become(c, laning) {
		r.tooMany("lanes", c.addr)
		lane.Conn.Close()
	}
}
