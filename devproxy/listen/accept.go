package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/devproxy/devproxy/devproxy/front"
	"github.com/devproxy/devproxy/tunnel/message"
)

const (
	// handshakeTimeout is how long a connection may take from being accepted to
	// the end of its TLS handshake. Both ends are on one machine; it is this long
	// for a client that shows the certificate to its user.
	handshakeTimeout = 10 * time.Second

	// maxHandshakes bounds the connections accepted and not yet handed on. The
	// newest is refused: those before it end by handshakeTimeout. A browser
	// with a hundred tabs opens fewer at once.
	maxHandshakes = 1024

	// An accept that fails without free descriptors works again once some are
	// closed: the loop pauses, longer each time, as net/http does.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// recordHandshake is the first byte of a TLS connection (RFC 8446 §5.1). No
// HTTP request begins with it.
const recordHandshake = 0x16

// acceptLoop accepts on socket until it is closed.
func (s *Set) acceptLoop(socket net.Listener, serve func(net.Conn)) {
	pause := minAcceptPause
	for {
		c, err := socket.Accept()
		if err == nil {
			pause = minAcceptPause
			if front.Local(socket.Addr(), c.RemoteAddr()) {
				s.admit(c, serve)
			} else {
				c.Close()
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.log.Warn("accepting a connection failed; retrying", "listener", socket.Addr().String(), "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return
		}
		pause = min(2*pause, maxAcceptPause)
	}
}

// admit serves c on its own goroutine, unless too many are being served.
func (s *Set) admit(c net.Conn, serve func(net.Conn)) {
	select {
	case s.slots <- struct{}{}:
	default:
		s.log.Warn("a connection was closed: too many have not finished their handshake", "limit", maxHandshakes)
		c.Close()
		return
	}
	s.wg.Go(func() {
		serve(c)
		<-s.slots
	})
}

// handOn passes c to Accept, or closes it when the Set is closed.
func (s *Set) handOn(c net.Conn) {
	select {
	case s.accepted <- c:
	case <-s.ctx.Done():
		c.Close()
	}
}

func (s *Set) plain(c net.Conn) { s.handOn(Scan(c, s.facts(c))) }

// secure hands on c after the handshake, in the form that net/http needs:
// HTTP/2 as a *tls.Conn, anything else behind the scanner.
func (s *Set) secure(c net.Conn) {
	ready, err := s.handshake(c)
	if err != nil {
		s.log.Debug("a client left in the handshake", "client", c.RemoteAddr(), "error", err)
		c.Close()
		return
	}
	s.handOn(ready)
}

func (s *Set) handshake(c net.Conn) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	o := &opened{Conn: c, known: known{s.facts(c)}}
	first, err := o.peek(ctx)
	if err != nil {
		return nil, err
	}
	if first != recordHandshake {
		o.about.PlainOnTLS = true
		return Scan(o, o.about), nil
	}
	t := tls.Server(o, s.tls)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	state := t.ConnectionState()
	o.about.TLS, o.about.ServerName = true, state.ServerName
	if state.NegotiatedProtocol == "h2" {
		return t, nil
	}
	return &scannedTLS{message.ScanTLS(t, HeadTimeout), o.known}, nil
}

func (s *Set) facts(c net.Conn) Conn {
	return Conn{ID: s.lastID.Add(1), Local: addrPort(c.LocalAddr())}
}
