package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// opened is a connection to the HTTPS port whose first byte was looked at. It
// lies under TLS, and carries the facts of an HTTP/2 connection, which
// net/http must get as a bare *tls.Conn.
type opened struct {
	net.Conn
	about  Conn
	first  [1]byte
	peeked bool // first is still to be read
}

func (o *opened) facts() *Conn { return &o.about }

// peek waits for the first byte until ctx ends.
func (o *opened) peek(ctx context.Context) (byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = o.SetReadDeadline(time.Unix(1, 0)) })
	n, err := o.Conn.Read(o.first[:])
	if !stop() {
		return 0, fmt.Errorf("nothing was sent: %w", context.Cause(ctx))
	}
	if n == 0 {
		return 0, fmt.Errorf("nothing was sent: %w", err)
	}
	o.peeked = true
	return o.first[0], nil
}

// Read begins with the byte that was looked at.
func (o *opened) Read(p []byte) (int, error) {
	if !o.peeked || len(p) == 0 {
		return o.Conn.Read(p)
	}
	o.peeked = false
	return copy(p, o.first[:]), nil
}

// CloseWrite ends what is sent and leaves the other direction open.
func (o *opened) CloseWrite() error {
	if half, ok := o.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}

// errNoHalfClose is for connections that can only be closed as a whole.
var errNoHalfClose = errors.New("this connection cannot close one direction alone")
