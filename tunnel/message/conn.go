package message

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// firstBuffer holds the heads that browsers send. A longer head makes it
	// grow, at most to maxHead, until that head has passed.
	firstBuffer = 4 << 10

	// closePause and maxDiscarded bound what is read from a client whose body
	// is broken before its connection is closed: bytes that nobody has read
	// reset the connection under the answer (RFC 9112 §9.6).
	closePause   = 500 * time.Millisecond
	maxDiscarded = 256 << 10
)

// Conn is an HTTP/1 connection with the scanner between it and net/http. Reads
// are net/http's and come one at a time; settle comes between them. What is
// written goes straight to the connection.
type Conn struct {
	net.Conn
	limit headLimit

	scan     scanner
	buf      []byte // nil until the first byte that must be held
	from, to int    // buf[from:to] was read and not yet handed on
	ready    int    // how many of these may be handed on
	err      error  // final; comes after what is ready

	// refusal is set before the request that stands for it can be read.
	refusal *Refusal
	// fault is what is wrong with a body, while the client may still be there.
	fault atomic.Pointer[BodyError]

	closed atomic.Bool

	// waiting is true between the end of a request that asked for an upgrade
	// and its answer: nobody knows yet whether what follows is HTTP.
	waiting bool
	// raw is true once a handler took the connection.
	raw bool
}

// Scan puts the scanner before c, which speaks HTTP/1. headTimeout is how long
// a client may take from the first byte of a head to its last while it has no
// other request under way; 0 leaves that to the server's ReadHeaderTimeout,
// which does not hold between two requests. If c has a method Hijacked, it is
// called when a handler has taken the connection.
func Scan(c net.Conn, headTimeout time.Duration) *Conn {
	return &Conn{Conn: c, limit: headLimit{timeout: headTimeout}}
}

// TLSConn is a Conn over TLS. net/http fills http.Request.TLS from it.
type TLSConn struct {
	*Conn
	tls *tls.Conn
}

// ScanTLS is Scan for a TLS connection whose handshake has agreed on HTTP/1.
// HTTP/2 connections go to net/http as they are.
func ScanTLS(c *tls.Conn, headTimeout time.Duration) *TLSConn {
	return &TLSConn{Scan(c, headTimeout), c}
}

// ConnectionState describes the TLS connection.
func (c *TLSConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// NetConn returns the connection that the scanner reads from.
func (c *Conn) NetConn() net.Conn { return c.Conn }

func (c *Conn) scanned() *Conn { return c }

// scannedConn is a *Conn, or a connection that embeds one.
type scannedConn interface{ scanned() *Conn }

// connKey is the context key of *Conn.
type connKey struct{}

// ConnContext belongs into http.Server.ConnContext, for Refused. Connections
// without a scanner are left as they are.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(scannedConn); ok {
		return context.WithValue(ctx, connKey{}, s.scanned())
	}
	return ctx
}

// ConnState belongs into http.Server.ConnState. It tells the scanner that a
// handler took the connection (an upgrade: what follows is not HTTP), or that
// a request was answered and the next may follow.
func ConnState(c net.Conn, state http.ConnState) {
	s, ok := c.(scannedConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		s.scanned().limit.busy.Store(true)
	case http.StateHijacked:
		s.scanned().settle(true)
	case http.StateIdle:
		s.scanned().limit.busy.Store(false)
		s.scanned().settle(false)
	}
}

// settle ends the waiting after a request for an upgrade.
func (c *Conn) settle(hijacked bool) {
	c.waiting = false
	if !hijacked {
		return
	}
	c.raw = true
	if told, ok := c.Conn.(interface{ Hijacked() }); ok {
		told.Hijacked()
	}
}

// Read hands on what the scanner let through, at most to the end of a message.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if c.raw && c.from == c.to {
			c.buf = nil
			return c.Conn.Read(p)
		}
		if c.raw {
			c.ready = c.to - c.from
		} else {
			c.judge()
		}
		switch {
		case c.ready > 0 || len(p) == 0:
			return c.handOn(p), nil
		case c.err != nil:
			return 0, c.err
		case c.waiting && c.from < c.to:
			// Bytes that came before the answer keep until it is given. Only the
			// watch for a client that leaves reads now, and this ends it.
			return 0, nil
		case c.scan.free() > 0: // and nothing is held, which would be ready
			return c.readFree(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// judge extends ready as far as the message and the bytes at hand go.
func (c *Conn) judge() {
	if c.ready > 0 || c.waiting || c.err != nil {
		return
	}
	if c.scan.phase == atEnd {
		c.scan.next()
	}
	c.from += c.scan.skip(c.buf[c.from:c.to])
	for c.scan.phase != atEnd {
		n, err := c.scan.scan(c.buf[c.from+c.ready : c.to])
		if err != nil {
			c.limit.end(c.Conn)
			c.refuse(err)
			return
		}
		if n == 0 {
			return
		}
		c.limit.end(c.Conn)
		c.ready += n
	}
	c.endMessage()
}

// endMessage stops at a request for an upgrade until it is answered.
func (c *Conn) endMessage() { c.waiting = c.scan.phase == atEnd && c.scan.head.upgrade }

// refuse ends what is read from the client. A bad head is replaced by the
// request that stands for it.
func (c *Conn) refuse(err error) {
	c.err = err
	var fault *BodyError
	if errors.As(err, &fault) {
		c.fault.Store(fault)
		return
	}
	_ = errors.As(err, &c.refusal) // the scanner has no third kind
	c.buf = []byte(refusedHead)
	c.from, c.to, c.ready = 0, len(c.buf), len(c.buf)
}

func (c *Conn) handOn(p []byte) int {
	n := copy(p, c.buf[c.from:c.from+c.ready])
	c.from += n
	c.ready -= n
	if c.from == c.to {
		c.from, c.to = 0, 0
		if len(c.buf) > firstBuffer {
			c.buf = nil
		}
	}
	return n
}

// readFree reads bytes of a body past the buffer: they need no judging.
func (c *Conn) readFree(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.scan.free())])
	if c.scan.passed(n); n > 0 {
		c.endMessage()
		return n, nil
	}
	return 0, c.failed(err)
}

// fill reads more to judge, after what is held already.
func (c *Conn) fill() error {
	if c.from > 0 {
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	}
	if c.to == len(c.buf) {
		// The scanner refuses what it cannot judge within maxHead bytes, so
		// that the buffer is never full there.
		larger := make([]byte, min(max(firstBuffer, 2*len(c.buf)), maxHead))
		copy(larger, c.buf)
		c.buf = larger
	}
	if c.to > 0 && c.scan.phase <= inHead {
		c.limit.begin(c.Conn)
	}
	n, err := c.Conn.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil
	}
	return c.failed(err)
}

// failed gives the end of the stream its meaning. Timeouts stay what they are:
// net/http interrupts a Read with one and reads on afterwards.
func (c *Conn) failed(err error) error {
	if errors.Is(err, io.EOF) {
		return c.scan.ended()
	}
	return err
}

// Close closes the connection. After a broken body it first reads on for a
// moment, so that the client gets the answer and not a reset.
func (c *Conn) Close() error {
	if c.fault.Load() != nil && c.closed.CompareAndSwap(false, true) && c.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(closePause))
		_, _ = io.CopyN(io.Discard, c.Conn, maxDiscarded)
	}
	return c.Conn.Close()
}

// errNoHalfClose is for connections that can only be closed as a whole.
var errNoHalfClose = errors.New("this connection cannot close one direction alone")

// CloseWrite ends what is sent and leaves the other direction open.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}
