package devproxy

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devproxy/devproxy/devproxy/listen"
	"github.com/devproxy/devproxy/devproxy/share"
	"github.com/devproxy/devproxy/tunnel"
	"github.com/devproxy/devproxy/tunnel/splice"
)

// Sharing is a share as ServeShare serves it.
type Sharing struct {
	// Name is what records call the share; never empty.
	Name string
	// Visitor describes the visitor at the other end of a connection of the
	// listener.
	Visitor func(net.Conn) share.Visitor
	// Share returns the current share. It is called once for each request and
	// never returns nil.
	Share func() *Shared
	// Expect tells the relay the state of a login, whose callback then leads to this
	// share. Nil is for a share without a callback host.
	Expect func(ctx context.Context, state string) error
	// Port takes over the connection of a visitor of a tcp or udp block. It must not block.
	// Nil closes it.
	Port func(net.Conn, share.Visitor)
}

// Shared is the state of a share at one moment.
type Shared struct {
	*share.Share
	// Streams ends the streams that were opened under it: when it is done, their
	// visitors no longer have access. It must be done when the share has ended. Nil
	// means that it is not before.
	Streams context.Context
}

// sharingKey is the context key of *shared.
type sharingKey struct{}

// shared is a share that is being served.
type shared struct {
	Sharing
	over context.Context // done once the share ends
}

// ServeShare serves the visitors that ln accepts until ctx ends, or ln fails:
// like local requests, except that the share's rules apply. Once ctx has ended,
// streams are closed, requests in progress finish and new ones are refused; ln
// is closed after that. Closing ln, or the Server, cuts it short. The error is
// ln's when it failed on its own.
//
// The connections have their own http.Server: a share can end while the rest
// continues, and a connection carries one exchange, whatever the relay makes of
// it, so that no two visitors share a parser.
func (s *Server) ServeShare(ctx context.Context, log *slog.Logger, ln net.Listener, sharing Sharing) error {
	srv := s.httpServer(log)
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.SetKeepAlivesEnabled(false)
	srv.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), sharingKey{}, &shared{Sharing: sharing, over: ctx})
	}
	cut, cutOff := context.WithCancel(s.closing)
	defer cutOff()
	in := &visitors{Listener: ln, sharing: sharing, cut: cut, none: make(chan struct{})}
	var failed error
	served := make(chan struct{})
	go func() {
		defer close(served)
		failed = srv.Serve(in)
	}()
	select {
	case <-served:
	case <-ctx.Done():
		in.finish()
		select {
		case <-in.none:
		case <-served: // ln was closed
		case <-s.closing.Done():
		}
	}
	wanted := ctx.Err() != nil
	cutOff()
	_ = ln.Close() // before srv, which waits for Accept to return
	srv.Close()
	<-served
	if wanted {
		return nil
	}
	return failed
}

// lingerTime bounds how long a visitor may take to receive the rest of a response that
// has been written: at most the credit of one stream, 8 MB, on a slow line.
const lingerTime = 2 * time.Minute

// visitors is the listener of a share for net/http. It notices when the last
// connection from before the end is closed: http.Server's Shutdown first stops
// accepting, which would silently cut off a visitor that arrives then.
type visitors struct {
	net.Listener
	sharing Sharing
	cut     context.Context // done when no connection is waited for any longer

	mu     sync.Mutex
	open   int // connections that are waited for
	ending bool
	none   chan struct{} // closed when ending and none is open
}

// Accept puts the scanner in front of the connection of a visitor who sends requests, and
// marks it. It hands the others to Port.
func (v *visitors) Accept() (net.Conn, error) {
	for {
		c, err := v.Listener.Accept()
		if err != nil {
			return nil, err
		}
		who := v.sharing.Visitor(c)
		if who.Scheme != tunnel.TCP && who.Scheme != tunnel.UDP {
			return listen.Scan(v.count(c), listen.Conn{
				TLS: who.Scheme == "https", Share: v.sharing.Name, Visitor: who.Addr, AddrField: who.AddrField, PublicHost: who.Host,
			}), nil
		}
		if v.sharing.Port == nil {
			_ = c.Close() // nothing was written
			continue
		}
		v.sharing.Port(c, who)
	}
}

// count counts c as open, unless the share is ending.
func (v *visitors) count(c net.Conn) net.Conn {
	closed := func() {}
	v.update(func() {
		if !v.ending {
			v.open++
			closed = sync.OnceFunc(func() { v.update(func() { v.open-- }) })
		}
	})
	return &visitorConn{Conn: c, cut: v.cut, closed: closed}
}

// finish begins the end.
func (v *visitors) finish() { v.update(func() { v.ending = true }) }

func (v *visitors) update(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	over := v.ending && v.open == 0
	change()
	if !over && v.ending && v.open == 0 {
		close(v.none)
	}
}

// visitorConn is one exchange with a visitor. The program that carries it may end with
// the share, so it is closed only when the response has arrived.
type visitorConn struct {
	net.Conn
	cut      context.Context
	closed   func()
	hijacked atomic.Bool
}

// Hijacked is called by package listen when net/http gives the connection up.
func (c *visitorConn) Hijacked() { c.hijacked.Store(true) }

// Close ends the sending direction, waits until the other end has read everything,
// which it shows by closing, and closes. After an upgrade it closes at once: the two
// ends have agreed by then.
func (c *visitorConn) Close() error {
	defer c.closed()
	if !c.hijacked.Load() && c.CloseWrite() == nil {
		stop := context.AfterFunc(c.cut, func() { _ = c.Conn.Close() })
		defer stop()
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.Copy(io.Discard, c.Conn) // only its end counts
	}
	return c.Conn.Close()
}

// CloseWrite ends the sending direction and leaves the other one open.
func (c *visitorConn) CloseWrite() error { return splice.CloseWrite(c.Conn) }
