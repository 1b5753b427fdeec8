package devproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/listen"
)

// lingerTime bounds how long a visitor may take for the rest of an answer that
// has been written: at most the credit of one stream, 8 MB, on a slow line.
const lingerTime = 2 * time.Minute

// visitors is the listener of a share as net/http sees it. It knows when the
// last connection of those that came before the end is closed: http.Server's
// Shutdown stops to accept first, and whoever came then would be cut off
// without a word.
type visitors struct {
	net.Listener
	sharing Sharing
	cut     context.Context // done when nobody is waited for any more

	mu     sync.Mutex
	open   int // connections that are waited for
	ending bool
	none   chan struct{} // closed when ending and none is open
}

// Accept puts the scanner before a visitor's connection and marks it.
func (v *visitors) Accept() (net.Conn, error) {
	c, err := v.Listener.Accept()
	if err != nil {
		return nil, err
	}
	who := v.sharing.Visitor(c)
	return listen.Scan(v.count(c), listen.Conn{
		TLS: who.Scheme == "https", Share: v.sharing.Name, Visitor: who.Addr, AddrField: who.AddrField, PublicHost: who.Host,
	}), nil
}

// count waits for c, unless the end has come.
func (v *visitors) count(c net.Conn) net.Conn {
	v.mu.Lock()
	defer v.mu.Unlock()
	closed := func() {}
	if !v.ending {
		v.open++
		closed = sync.OnceFunc(v.leave)
	}
	return &visitorConn{Conn: c, cut: v.cut, closed: closed}
}

func (v *visitors) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open--
	v.settleLocked()
}

// finish begins the end.
func (v *visitors) finish() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ending = true
	v.settleLocked()
}

func (v *visitors) settleLocked() {
	if v.ending && v.open == 0 {
		close(v.none)
	}
}

// visitorConn is one exchange with a visitor. Whoever carries it may end with
// the share, so that it is closed only when the answer has arrived.
type visitorConn struct {
	net.Conn
	cut      context.Context
	closed   func()
	hijacked atomic.Bool
}

// Hijacked is told by package listen that net/http is done with the connection.
func (c *visitorConn) Hijacked() { c.hijacked.Store(true) }

// Close ends what is sent, waits for the other end to have read it, which it
// shows by closing, and closes. After an upgrade it closes at once: the two
// ends have agreed by then.
func (c *visitorConn) Close() error {
	defer c.closed()
	if !c.hijacked.Load() && c.CloseWrite() == nil {
		stop := context.AfterFunc(c.cut, func() { _ = c.Conn.Close() })
		defer stop()
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.Copy(io.Discard, c.Conn) // its end is all that counts
	}
	return c.Conn.Close()
}

// errNoHalfClose is for a provider's connections that end as a whole.
var errNoHalfClose = errors.New("this connection cannot close one direction alone")

// CloseWrite ends what is sent and leaves the other direction open.
func (c *visitorConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errNoHalfClose
}
