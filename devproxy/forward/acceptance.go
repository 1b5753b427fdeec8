package forward

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/tunnel/splice"
)

// A port forwarder (docker-proxy, kubectl port-forward, ssh -L) accepts
// connections for a server that is not there yet, and closes them at once. That
// is like a refusal: requests are held until the server is there. What tells it
// from a server that fails while it works on a request is that the connection is
// closed although nothing was sent on it.

const (
	// acceptTime is how long a new connection must stay open before it is used,
	// where that is in doubt; when one was closed later than that, twice as long.
	acceptTime = 20 * time.Millisecond
	// maxAcceptTime bounds that: a forwarder to another network takes a round trip
	// to learn that nothing is there.
	maxAcceptTime = 500 * time.Millisecond
)

// errClosedAtOnce is the error of a connection that was accepted, and closed
// before anything was sent on it.
var errClosedAtOnce = errors.New("accepted the connection and closed it at once")

// acceptance is what is known of a member's listener.
type acceptance struct {
	answered atomic.Bool  // something has answered since the listener refused last
	doubt    atomic.Int64 // how long each new connection must stay open; 0 when nothing is in doubt
}

// noteAnswer says that an answer has come.
func (a *acceptance) noteAnswer() {
	if !a.answered.Load() || a.doubt.Load() != 0 {
		a.answered.Store(true)
		a.doubt.Store(0)
	}
}

// noteRefusal says that the listener has refused a connection.
func (a *acceptance) noteRefusal() { a.answered.Store(false) }

// doubtAfter is how long a connection must stay open when another was closed
// after lived.
func doubtAfter(lived time.Duration) time.Duration {
	return min(max(2*lived, acceptTime), maxAcceptTime)
}

// confirm returns a new connection once it has stayed open for as long as asker
// needs. A request that may be sent again is sent at once: when it is lost again
// and again, its last connection is confirmed. Any other is sent at once only to a listener from
// which an answer has come. A nil asker is a probe.
func (a *acceptance) confirm(ctx context.Context, c net.Conn, asker *attempt) (net.Conn, error) {
	wait := time.Duration(a.doubt.Load())
	if asker != nil {
		wait = max(wait, asker.doubt)
		if !a.answered.Load() && !isIdempotent(asker.f.r.Method) {
			wait = max(wait, acceptTime)
		}
	}
	if wait == 0 {
		return c, nil
	}
	start := time.Now()
	open, err := stayOpen(ctx, c, wait)
	switch {
	case err == nil:
		a.doubt.Store(0)
		return open, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		a.answered.Store(false)
		a.doubt.Store(int64(doubtAfter(time.Since(start))))
		err = errClosedAtOnce
	}
	_ = c.Close()
	return nil, err
}

// stayOpen waits for d, or until the other side closes c or sends something.
func stayOpen(ctx context.Context, c net.Conn, d time.Duration) (net.Conn, error) {
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	first := make([]byte, 1)
	n, err := c.Read(first)
	var timeout net.Error
	switch {
	case !stop():
		return nil, ctx.Err()
	case n > 0:
		c = &aheadConn{c, first}
	case !errors.As(err, &timeout) || !timeout.Timeout():
		return nil, err
	}
	return c, c.SetReadDeadline(time.Time{})
}

// aheadConn is a connection of which something was read already.
type aheadConn struct {
	net.Conn
	ahead []byte
}

// Read implements net.Conn.
func (c *aheadConn) Read(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite ends what is sent and leaves the other direction open.
func (c *aheadConn) CloseWrite() error { return splice.CloseWrite(c.Conn) }
