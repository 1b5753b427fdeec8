package listen

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// firstBuffer holds the heads that browsers send. A longer head makes it grow,
// at most to maxHead, until that head has passed.
const firstBuffer = 4 << 10

// scanned is an accepted HTTP/1 connection with the scanner between it and
// net/http. Reads are net/http's and come one at a time; settle comes between
// them. Only Read is ours: what is written goes straight to the connection.
type scanned struct {
	net.Conn
	about guarded

	scan     scanner
	buf      []byte // nil until the first byte that must be held
	from, to int    // buf[from:to] was read and not yet handed on
	ready    int    // how many of these may be handed on
	err      error  // final; comes after what is ready

	// waiting is true between the end of a request that asked for an upgrade
	// and its answer: nobody knows yet whether what follows is HTTP.
	waiting bool
	// raw is true once a handler took the connection.
	raw bool
}

// Scan puts the scanner before a connection that speaks HTTP/1, whoever
// accepted it: a listener of a share's visitors wraps each of them and marks
// it with facts. A connection with a method Hijacked is told when a handler has
// taken it.
func Scan(c net.Conn, facts Conn) net.Conn {
	return &scanned{Conn: c, about: guarded{facts: facts}}
}

// scannedTLS lets net/http see the facts of TLS too.
type scannedTLS struct {
	*scanned
	tls *tls.Conn
}

// ConnectionState is what net/http fills http.Request.TLS from.
func (c scannedTLS) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

func (c *scanned) guarded() *guarded { return &c.about }

// settle ends the waiting after a request for an upgrade.
func (c *scanned) settle(hijacked bool) {
	c.waiting = false
	c.raw = c.raw || hijacked
	if told, ok := c.Conn.(interface{ Hijacked() }); ok && hijacked {
		told.Hijacked()
	}
}

// Read hands on what the scanner let through, at most to the end of a message.
func (c *scanned) Read(p []byte) (int, error) {
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
		case c.from == c.to && c.scan.free() > 0:
			return c.readFree(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// judge extends ready as far as the message and the bytes at hand go.
func (c *scanned) judge() {
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
			c.refuse(err)
			return
		}
		if n == 0 {
			return
		}
		c.ready += n
	}
	c.endMessage()
}

// endMessage stops at a request for an upgrade until it is answered.
func (c *scanned) endMessage() { c.waiting = c.scan.phase == atEnd && c.scan.head.upgrade }

// refuse ends what is read from the client. A bad head is replaced by the
// request that stands for it.
func (c *scanned) refuse(err error) {
	c.err = err
	var refusal *Refusal
	if errors.As(err, &refusal) {
		c.about.refusal = refusal
		c.buf = []byte(refusedHead)
		c.from, c.to, c.ready = 0, len(c.buf), len(c.buf)
	}
}

func (c *scanned) handOn(p []byte) int {
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
func (c *scanned) readFree(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.scan.free())])
	if c.scan.passed(n); n > 0 {
		c.endMessage()
		return n, nil
	}
	return 0, c.failed(err)
}

// fill reads more to judge, behind what is held already.
func (c *scanned) fill() error {
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
	n, err := c.Conn.Read(c.buf[c.to:])
	c.to += n
	if n > 0 {
		return nil
	}
	return c.failed(err)
}

// failed gives the end of the stream its meaning. Timeouts stay what they are:
// net/http interrupts a Read with one and reads on afterwards.
func (c *scanned) failed(err error) error {
	if errors.Is(err, io.EOF) {
		err = c.scan.ended()
		c.err = err
	}
	return err
}

// errNoHalfClose is for connections that can only be closed as a whole.
var errNoHalfClose = errors.New("this connection cannot close one direction alone")

// CloseWrite ends what is sent and leaves the other direction open.
func (c *scanned) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}
