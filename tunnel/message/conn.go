package message

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/tunnel/splice"
)

const (
	// firstBuffer is large enough for the heads that browsers send. For a longer head
	// the buffer grows, at most to maxHead, until that head has passed.
	firstBuffer = 4 << 10

	// closePause and maxDiscarded limit how much is read from a client with a
	// broken body before its connection is closed: unread bytes would reset the
	// connection before the client has read the answer (RFC 9112 §9.6).
	closePause   = 500 * time.Millisecond
	maxDiscarded = 256 << 10
)

// Conn is an HTTP/1 connection with the scanner between it and net/http. net/http reads
// one at a time, and calls endWaiting between reads. Writes go straight to the
// connection.
type Conn struct {
	net.Conn
	limit headLimit

	scan     scanner
	buf      []byte // nil until a byte must be held
	from, to int    // buf[from:to] was read and not yet returned
	ready    int    // how many of these may be returned
	err      error  // final; follows the ready bytes

	// refusal is set before the request that replaces the refused one can be read.
	refusal *Refusal
	// fault describes the mistake in a body of a client that may still be
	// connected.
	fault atomic.Pointer[BodyError]

	closed atomic.Bool

	// waiting is true between the end of a request for an upgrade and its answer: until
	// then it is unknown whether the next bytes are HTTP.
	waiting bool
	// raw is true once a handler has taken the connection.
	raw bool
}

// Scan puts the scanner before c, an HTTP/1 connection. headTimeout is how long a client
// may take from the first byte of a head to its last while it has no other request in
// progress; 0 leaves that to the server's ReadHeaderTimeout, which does not apply between
// two requests. If c has a method Hijacked, it is called when a handler has taken the
// connection.
func Scan(c net.Conn, headTimeout time.Duration) *Conn {
	return &Conn{Conn: c, limit: headLimit{timeout: headTimeout}}
}

// TLSConn is a Conn over TLS. net/http fills http.Request.TLS from it.
type TLSConn struct {
	*Conn
	tls *tls.Conn
}

// ScanTLS is Scan for a TLS connection whose handshake has agreed on HTTP/1. HTTP/2
// connections go to net/http unchanged.
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

// ConnContext is the function for http.Server.ConnContext; Refused needs it. It
// ignores connections without a scanner.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(scannedConn); ok {
		return context.WithValue(ctx, connKey{}, s.scanned())
	}
	return ctx
}

// ConnState is the function for http.Server.ConnState. It notifies the scanner
// that a handler has taken the connection (after an upgrade the bytes are not
// HTTP), or that a request was answered and the next may follow.
func ConnState(c net.Conn, state http.ConnState) {
	s, ok := c.(scannedConn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		s.scanned().limit.busy.Store(true)
	case http.StateHijacked:
		s.scanned().endWaiting(true)
	case http.StateIdle:
		s.scanned().limit.busy.Store(false)
		s.scanned().endWaiting(false)
	}
}

// endWaiting is called when a request for an upgrade was answered.
func (c *Conn) endWaiting(hijacked bool) {
	c.waiting = false
	if !hijacked {
		return
	}
	c.raw = true
	if inner, ok := c.Conn.(interface{ Hijacked() }); ok {
		inner.Hijacked()
	}
}

// Read returns the bytes that the scanner passes, at most to the end of a
// message.
func (c *Conn) Read(p []byte) (int, error) {
	for {
		if c.raw && c.from == c.to {
			c.buf = nil
			return c.Conn.Read(p)
		}
		if c.raw {
			c.ready = c.to - c.from
		} else {
			c.scanAhead()
		}
		switch {
		case c.ready > 0 || len(p) == 0:
			return c.copyReady(p), nil
		case c.err != nil:
			return 0, c.err
		case c.waiting && c.from < c.to:
			// Bytes that came before the answer stay until it is given. Only net/http's
			// watch for a client that leaves reads now, and this ends it.
			return 0, nil
		case c.scan.free() > 0: // and nothing is held: it would be ready
			return c.readFree(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// scanAhead extends ready to the end of the message or of the held bytes.
func (c *Conn) scanAhead() {
	if c.ready > 0 || c.waiting || c.err != nil {
		return
	}
	if c.scan.phase == atEnd {
		c.scan = scanner{}
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

// refuse ends reading from the client. It replaces a bad head by a request with a reserved
// method.
func (c *Conn) refuse(err error) {
	c.err = err
	var fault *BodyError
	if errors.As(err, &fault) {
		c.fault.Store(fault)
		return
	}
	_ = errors.As(err, &c.refusal) // the only other type
	c.buf = []byte(refusedHead)
	c.from, c.to, c.ready = 0, len(c.buf), len(c.buf)
}

func (c *Conn) copyReady(p []byte) int {
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

// readFree reads bytes of a body that need no check, without the buffer.
func (c *Conn) readFree(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.scan.free())])
	if c.scan.passed(n); n > 0 {
		c.endMessage()
		return n, nil
	}
	return 0, c.failed(err)
}

// fill reads more after the held bytes.
func (c *Conn) fill() error {
	if c.from > 0 {
		c.to = copy(c.buf, c.buf[c.from:c.to])
		c.from = 0
	}
	if c.to == len(c.buf) {
		// The scanner decides within maxHead bytes, so the buffer is never full at that
		// size.
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

// failed turns the end of the stream into an error of the message. Timeouts are unchanged:
// net/http interrupts a Read with one and reads on after it.
func (c *Conn) failed(err error) error {
	if errors.Is(err, io.EOF) {
		return c.scan.ended()
	}
	return err
}

// Close closes the connection. After a broken body it first reads on for a moment, so that
// the client gets the answer and not a reset.
func (c *Conn) Close() error {
	if c.fault.Load() != nil && c.closed.CompareAndSwap(false, true) && c.CloseWrite() == nil {
		_ = c.Conn.SetReadDeadline(time.Now().Add(closePause))
		_, _ = io.CopyN(io.Discard, c.Conn, maxDiscarded)
	}
	return c.Conn.Close()
}

// CloseWrite closes the sending direction and leaves the other one open.
func (c *Conn) CloseWrite() error { return splice.CloseWrite(c.Conn) }

// headLimit bounds the time that a head may take to arrive. The scanner holds a head until
// it is complete, so net/http considers a connection idle on which half of one has come.
type headLimit struct {
	timeout time.Duration
	// busy is true while a request is in progress. Heads that arrive then wait for their
	// turn and are not limited: a failing Read would cancel that request.
	busy atomic.Bool
	// begun is true from the first limited Read of a head to its last byte. Only Read uses
	// it.
	begun bool

	mu    sync.Mutex
	asked time.Time // the read deadline that net/http has set
	until time.Time // for the head that is arriving; zero without a limit
}

// begin limits a head whose first bytes have come.
func (l *headLimit) begin(c net.Conn) {
	if l.begun || l.timeout == 0 || l.busy.Load() {
		return
	}
	l.begun = true
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Now().Add(l.timeout)
	_ = c.SetReadDeadline(l.earliestLocked()) // the Read that follows fails too
}

// end removes the limit: the head has come.
func (l *headLimit) end(c net.Conn) {
	if !l.begun {
		return
	}
	l.begun = false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = time.Time{}
	_ = c.SetReadDeadline(l.asked) // the Read that follows fails too
}

func (l *headLimit) earliestLocked() time.Time {
	if l.asked.IsZero() || !l.until.IsZero() && l.until.Before(l.asked) {
		return l.until
	}
	return l.asked
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(at time.Time) error {
	c.limit.mu.Lock()
	defer c.limit.mu.Unlock()
	c.limit.asked = at
	return c.Conn.SetReadDeadline(c.limit.earliestLocked())
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(at time.Time) error {
	if err := c.SetWriteDeadline(at); err != nil {
		return err
	}
	return c.SetReadDeadline(at)
}
